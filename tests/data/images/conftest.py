"""Small images, and a data set made of them."""

from picture_files import data_root, make_image  # noqa: F401
