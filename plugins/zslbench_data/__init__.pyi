from .download.catalogue import catalogue as catalogue
from .download.presence import (
    how_to_get as how_to_get,
    how_to_get_region_features as how_to_get_region_features,
)
from .extraction.engine import default_batch as default_batch, default_workers as default_workers
from .extraction.recorded import RecordedExtraction as RecordedExtraction
