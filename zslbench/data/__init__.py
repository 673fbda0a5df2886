"""Reading data sets: the field's folders and MATLAB files, region features, names and word vectors of
attributes.

All public names can be imported from here; numpy, scipy and h5py load when a name that needs them is first
used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
