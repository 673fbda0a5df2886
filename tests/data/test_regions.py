"""Regions in memory, and the digests of arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zslbench.data import ArrayRegions
from zslbench.data.provenance import array_sha256, source
from zslbench.experiment.datasets import arrays
from zslbench_datasets.settings import ToySettings
from zslbench_datasets.toy import generate


def test_rows_are_copies_in_the_requested_order() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    regions = ArrayRegions(array.copy())
    assert regions.shape == (4, 3, 2)
    taken = regions[np.array([2, 0, 2])]
    np.testing.assert_array_equal(taken, array[[2, 0, 2]])
    taken[:] = -1
    np.testing.assert_array_equal(regions[np.arange(4)], array)


def test_digest_depends_on_values_shape_and_dtype_not_on_layout() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    digest = array_sha256(array)
    assert digest == array_sha256(np.asfortranarray(array)) == array_sha256(array.astype(">i8"))
    others = [array.reshape(3, 2), array.astype(np.int32), array.astype(np.float64), array + 1, array[:0]]
    assert len({digest, *(array_sha256(one) for one in others)}) == 6
    assert source("labels", "CUB/res101.mat", array).sha256 == digest


def test_regions_in_memory_are_part_of_a_runs_identity() -> None:
    sound = generate(ToySettings(classes=4, unseen=1, images_per_class=5))
    first = np.random.default_rng(0).random((len(sound.labels), 4, 3), dtype=np.float32)
    second = first.copy()
    second[0, 0, 0] += 1
    digests = [
        {one.array: one.sha256 for one in arrays(replace(sound, regions=ArrayRegions(values)))}
        for values in (first, second, first.copy())
    ]
    assert digests[0] == digests[2]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {"regions"}
    assert "regions" not in {one.array for one in arrays(replace(sound, regions=None))}
