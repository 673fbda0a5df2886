"""Region grids: which region lies where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zslbench.data import RegionStore, RegionWriter
from zslbench.errors import ZslbenchError
from zslbench_report.plots.attention import as_map, enlarged, grid_of, overlay


def source(folder: Path, recorded: tuple[int, int] | None) -> RegionStore:
    """A region store whose provenance says how its regions lie."""
    path = folder / f"store {recorded}"
    provenance = {} if recorded is None else {"grid": list(recorded)}
    labels = np.zeros(1, dtype=np.int64)
    with RegionWriter(path, (1, 4, 2), np.float32, labels=labels, provenance=provenance) as writer:
        writer.append(np.zeros((1, 4, 2), dtype=np.float32))
    return RegionStore.open(path)


@pytest.mark.parametrize(
    ("recorded", "regions", "grid"),
    [
        (None, 196, (14, 14)),
        (None, 1, (1, 1)),
        ((2, 8), 16, (2, 8)),
        ((2, 6), 12, (2, 6)),
        ((7, 7), 9, (3, 3)),
    ],
)
def test_the_grid_is_the_recorded_one_or_a_square(
    tmp_path: Path, recorded: tuple[int, int] | None, regions: int, grid: tuple[int, int]
) -> None:
    assert grid_of(source(tmp_path, recorded), regions) == grid


def test_a_number_that_is_no_square_is_refused(tmp_path: Path) -> None:
    for one in (None, source(tmp_path, None), source(tmp_path, (3, 5))):
        with pytest.raises(ZslbenchError, match="12 regions"):
            grid_of(one, 12)


def test_regions_are_row_major_and_scaled_by_their_maximum() -> None:
    cells = as_map(np.array([0, 1, 2, 3, 4, 8], dtype=np.float32), (2, 3))
    np.testing.assert_allclose(cells, [[0, 0.125, 0.25], [0.375, 0.5, 1]])
    even = as_map(np.full(4, 0.25, dtype=np.float32), (2, 2))
    np.testing.assert_array_equal(even, 1)  # an even map looks even
    np.testing.assert_array_equal(as_map(np.zeros(4, dtype=np.float32), (2, 2)), 0)


def test_enlarging_is_linear_between_the_centres_of_regions() -> None:
    bigger = enlarged(np.array([[0, 1], [2, 3]], dtype=np.float32), 8, 8)
    centres = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(bigger, 2 * centres[:, None] + centres[None, :], atol=1e-6)


def test_without_strength_the_picture_shows_and_with_it_the_heat() -> None:
    picture = np.tile(np.array([1, 0, 0], dtype=np.float32), (1, 2, 1))
    heat = np.tile(np.array([0, 0, 1], dtype=np.float32), (1, 2, 1))
    none, full = overlay(picture, heat, np.array([[0, 1]], dtype=np.float32))[0]
    assert np.ptp(none) == pytest.approx(0)  # grey
    assert full[2] > 0.8 > full[0]
