"""Region features of a data set: in memory, in a store on the disk, or in the authors' HDF5 layout."""

from __future__ import annotations

from zslbench.data.regions.array import ArrayRegions
from zslbench.data.regions.store import RegionStore
from zslbench.data.regions.writer import RegionWriter

__all__ = ["ArrayRegions", "RegionStore", "RegionWriter"]
