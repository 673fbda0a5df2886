"""A scan in blocks gives what NumPy gives for the whole array."""

from __future__ import annotations

import numpy as np
import pytest

from zslbench_data.checking.features import duplicates, scan


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_against_the_whole_array(step: int, dtype: type) -> None:
    random = np.random.default_rng(step)
    array = random.integers(0, 3, size=(40, 4, 2)).astype(dtype)
    array[:, 1, 1], array[7], array[9] = 2, 0, array[8]
    if dtype is not np.uint8:
        array[3, 0, 0], array[4, 2, 1] = np.nan, -np.inf
    found = scan((array[start : start + step] for start in range(0, 40, step)), digests=True)
    flat = array.reshape(40, 8).astype(np.float64)
    assert found.rows == 40
    assert (found.nan, found.inf) == (np.isnan(flat).sum(), np.isinf(flat).sum())
    assert found.bad_rows == np.flatnonzero(~np.isfinite(flat).all(axis=1)).tolist()
    assert found.zero_rows == [row for row in range(40) if (flat[row] == 0).all()]
    assert found.constant == tuple(one for one in range(8) if len(set(flat[:, one])) == 1)
    assert found.largest == np.abs(flat[np.isfinite(flat)]).max()
    groups = duplicates(found.digests)
    expected = [
        rows
        for row in range(40)
        if (rows := [one for one in range(40) if array[one].tobytes() == array[row].tobytes()])[0] == row
        and len(rows) > 1
    ]
    assert groups == expected
    assert [8, 9] in [[one for one in group if one in (8, 9)] for group in groups]
    assert all(8 not in group for group in duplicates(found.digests, [8]))


def test_nothing() -> None:
    assert scan([]).rows == 0
    assert scan([np.zeros((0, 3))]).constant == ()
