"""Data sets: sound ones, and ones that break one rule each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zslbench.data import ArrayRegions
from zslbench.errors import MissingData
from zslbench.plugin.interfaces import DatasetSource
from zslbench_datasets.settings import ToySettings
from zslbench_datasets.toy import generate

_SIMULATED = generate(ToySettings(classes=8, unseen=2, images_per_class=6, grid=2, channels=8), "fake")


class Sound(DatasetSource):
    """A simulated one."""

    def load(self, request):
        return generate(ToySettings(classes=8, unseen=2, images_per_class=6, grid=2, channels=8), "fake")


class SoundAndAbsent(DatasetSource):
    """One that is never there."""

    def load(self, request):
        raise MissingData(request.root, ["features.npy is missing"], "Download it from its home page")


class NoAdvice(DatasetSource):
    """loads_or_says_what_is_missing: MissingData without advice"""

    def load(self, request):
        raise MissingData(request.root, ["features.npy is missing"])


class BareError(DatasetSource):
    """loads_or_says_what_is_missing: load from an empty folder raises FileNotFoundError"""

    def load(self, request):
        return np.load(request.root / "features.npy")


class Writes(Sound):
    """loads_or_says_what_is_missing: load writes into the data root"""

    def load(self, request):
        request.root.mkdir(exist_ok=True)
        (request.root / "cache.bin").write_bytes(b"x")
        return super().load(request)


class Dictionary(Sound):
    """dataset_valid: a dict, not a Dataset"""

    def load(self, request):
        return vars(super().load(request))


class DoublePrecision(Sound):
    """dataset_valid: features: float64 instead of float32"""

    def load(self, request):
        found = super().load(request)
        return replace(found, features=found.features.astype(np.float64))


class Leaks(Sound):
    """dataset_valid: trainval and test_seen share 1 images"""

    def load(self, request):
        found = super().load(request)
        split = found.split
        more = np.sort(np.append(split.trainval, split.test_seen[:1]))
        return replace(found, split=replace(split, trainval=more))


class Nameless(Sound):
    """dataset_valid: features_name is empty"""

    def load(self, request):
        return replace(super().load(request), features_name="")


class Shuffles(Sound):
    """dataset_deterministic: features differs from one load to the next"""

    def load(self, request):
        found = super().load(request)
        return replace(found, features=found.features + np.float32(np.random.rand()))  # noqa: NPY002


class OneArray(Sound):
    """dataset_deterministic: features is one writable array for all loads"""

    def load(self, request):
        return _SIMULATED


class RenamesClasses(Sound):
    """dataset_deterministic: names of classes or attributes differ"""

    loads = 0

    def load(self, request):
        type(self).loads += 1
        found = super().load(request)
        return replace(found, class_names=tuple(f"{one} {self.loads}" for one in found.class_names))


class FewRegions(Sound):
    """regions_by_row: regions of 3 images, but there are 48"""

    def load(self, request):
        found = super().load(request)
        return replace(found, regions=ArrayRegions(np.ones((3, 4, 8), dtype=np.float32)))


class _Sorted(ArrayRegions):
    def __getitem__(self, rows):
        return super().__getitem__(np.sort(rows))


class _Double(ArrayRegions):
    def __getitem__(self, rows):
        return self.array[rows].astype(np.float64)


class SortedRegions(Sound):
    """regions_by_row: regions are not in the order"""

    def load(self, request):
        found = super().load(request)
        return replace(found, regions=_Sorted(found.regions.array))


class DoubleRegions(Sound):
    """regions_by_row: regions of two images are float64"""

    def load(self, request):
        found = super().load(request)
        return replace(found, regions=_Double(found.regions.array))


class NaNRegions(Sound):
    """regions_by_row: regions hold NaN"""

    def load(self, request):
        found = super().load(request)
        return replace(found, regions=ArrayRegions(found.regions.array * np.float32("nan")))


class Prints(Sound):
    """leaves_process_alone: load prints 'loading' to standard output"""

    def load(self, request):
        print("loading")  # noqa: T201
        return super().load(request)
