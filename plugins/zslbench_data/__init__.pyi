from .download.advice import how_to_get as how_to_get
from .download.catalogue import catalogue as catalogue
from .download.regions_advice import how_to_get_region_features as how_to_get_region_features
