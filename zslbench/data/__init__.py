"""Reading data sets. The names below are public: data set plugins import them from here.

They load when first used, so that listings, which only ask where data lie, import no numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zslbench.data.attributes import (
        attribute_names as attribute_names,
        attribute_vectors as attribute_vectors,
    )
    from zslbench.data.provenance import source as source
    from zslbench.data.regions import (
        ArrayRegions as ArrayRegions,
        RegionStore as RegionStore,
        RegionWriter as RegionWriter,
    )
    from zslbench.data.regions.attach import RegionsWanted as RegionsWanted
    from zslbench.data.regions.cache import cached_store as cached_store
    from zslbench.data.roots import find_folder as find_folder
    from zslbench.data.xlsa17 import ExpectedCounts as ExpectedCounts, read_xlsa17 as read_xlsa17
    from zslbench.data.xlsa17_described import read_described as read_described
    from zslbench.data.xlsa17_files import HOW_TO_GET as HOW_TO_GET, dataset_folder as dataset_folder
    from zslbench.plugin.dataset import (
        DataRequest as DataRequest,
        Dataset as Dataset,
        OfficialSplit as OfficialSplit,
        RegionSource as RegionSource,
        Source as Source,
    )
    from zslbench.store.files import sha256_of as sha256_of

_PUBLIC = {
    "ArrayRegions": "zslbench.data.regions",
    "DataRequest": "zslbench.plugin.dataset",
    "Dataset": "zslbench.plugin.dataset",
    "ExpectedCounts": "zslbench.data.xlsa17",
    "HOW_TO_GET": "zslbench.data.xlsa17_files",
    "OfficialSplit": "zslbench.plugin.dataset",
    "RegionSource": "zslbench.plugin.dataset",
    "RegionStore": "zslbench.data.regions",
    "RegionWriter": "zslbench.data.regions",
    "RegionsWanted": "zslbench.data.regions.attach",
    "Source": "zslbench.plugin.dataset",
    "attribute_names": "zslbench.data.attributes",
    "attribute_vectors": "zslbench.data.attributes",
    "cached_store": "zslbench.data.regions.cache",
    "dataset_folder": "zslbench.data.xlsa17_files",
    "find_folder": "zslbench.data.roots",
    "read_described": "zslbench.data.xlsa17_described",
    "read_xlsa17": "zslbench.data.xlsa17",
    "sha256_of": "zslbench.store.files",
    "source": "zslbench.data.provenance",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'zslbench.data' has no attribute {name!r}")
