"""Small images and tiny models."""

from __future__ import annotations

from picture_files import data_root, make_image  # noqa: F401
from tiny_models import no_network, one_thread  # noqa: F401
