"""Small images, a data set made of them, and tiny randomly initialised models."""

from picture_files import data_root, make_image  # noqa: F401
from tiny_models import models, no_network, one_thread  # noqa: F401
