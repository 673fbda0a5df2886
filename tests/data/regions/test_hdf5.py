"""The authors' HDF5 layout: mapped in place or copied once, with the same rows and digests."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from zslbench.data.regions import hdf5
from zslbench.data.regions.find import open_regions
from zslbench.errors import DataError

Write = Callable[..., Path]
GZIP = {"chunks": (7, 12, 2, 3), "compression": "gzip"}


def regions_of(feature_map: np.ndarray) -> np.ndarray:
    """Region r of the 2 x 3 map is the place (r // 3, r % 3), by the layout's definition."""
    images, channels = feature_map.shape[:2]
    out = np.zeros((images, 6, channels), dtype=feature_map.dtype)
    for region in range(6):
        out[:, region] = feature_map[:, :, region // 3, region % 3]
    return out


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_one_piece_is_mapped_and_chunks_are_copied_with_equal_rows(
    tmp_path: Path, cache: Path, write_hdf5: Write, contents: Any, dtype: str, userblock: int
) -> None:
    scale = 0.125 if dtype == "uint8" else None
    feature_map = (contents["feature_map"] * 200).astype(dtype)
    one = open_regions(write_hdf5(tmp_path / "one.hdf5", scale, userblock, feature_map=feature_map))
    assert not (one.folder / "regions.npy").exists()  # it is mapped where it is
    path = write_hdf5(tmp_path / "many.h5", scale, userblock, GZIP, feature_map=feature_map)
    many = open_regions(path)
    assert (many.folder / "regions.npy").exists()
    true = regions_of(feature_map).astype(np.float32) * np.float32(scale or 1)
    rows = np.array([59, 0, 13, 13, -2])
    for regions in (one, many):
        assert (regions.shape, regions.dtype.name, regions.scale) == ((60, 6, 12), dtype, scale)
        np.testing.assert_array_equal(regions[rows], true[rows])
        np.testing.assert_array_equal(regions.raw(rows), regions_of(feature_map)[rows])
        np.testing.assert_allclose(regions.features, true.mean(axis=1), rtol=1e-5)
        assert regions.labels.tolist() == contents["labels"].tolist()
        assert regions.image_files is not None and regions.image_files[7] == "some/where/7.jpg"
        for key, name in (("att", "att"), ("w2v_att", "attribute_vectors"), ("trainval_loc", "trainval")):
            np.testing.assert_array_equal(regions.companions[name], contents[key])
        assert regions.describe()["grid"] == [2, 3]
    assert one.sha256 == many.sha256
    np.testing.assert_array_equal(one.features, many.features)
    assert (one.name, many.name, many.path) == ("one", "many", path)
    assert one.verify() == many.verify() == []


def test_a_file_is_copied_once_and_again_when_it_changed(
    tmp_path: Path, cache: Path, write_hdf5: Write, contents: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_hdf5(tmp_path / "x.hdf5", layout=GZIP)
    with caplog.at_level(logging.INFO, "zslbench"):
        first = open_regions(path)
        assert sum("copying" in one.message for one in caplog.records) == 1
        second = open_regions(path)
        assert sum("copying" in one.message for one in caplog.records) == 1
        assert first.folder == second.folder
        write_hdf5(path, layout=GZIP, feature_map=contents["feature_map"] + 1)
        os.utime(path, ns=(1, 1))
        third = open_regions(path)
    assert third.sha256 != first.sha256
    np.testing.assert_allclose(third.features, first.features + 1, rtol=1e-5)


def test_a_digest_is_computed_once(tmp_path: Path, write_hdf5: Write, monkeypatch: Any) -> None:
    path = write_hdf5(tmp_path / "x.hdf5")
    found = open_regions(path).sha256

    def again(*_: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(hdf5.RegionFile, "copy", again)
    assert open_regions(path).sha256 == found
    assert open_regions(path).features.shape == (60, 12)


def test_types_without_a_store_type_become_float32(tmp_path: Path, write_hdf5: Write, contents: Any) -> None:
    double, big = contents["feature_map"].astype(np.float64), contents["feature_map"].astype(">f4")
    for name, feature_map in (("double", double), ("big", big)):
        regions = open_regions(write_hdf5(tmp_path / f"{name}.h5", feature_map=feature_map))
        assert regions.dtype == np.float32
        np.testing.assert_array_equal(regions[np.arange(60)], regions_of(contents["feature_map"]))


def test_large_chunks_are_read_whole_and_blocks_add_up(
    tmp_path: Path, write_hdf5: Write, contents: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK_BYTES", 1)
    for chunks in ((1, 12, 2, 3), (25, 1, 1, 3), (60, 12, 2, 3)):
        path = write_hdf5(tmp_path / f"{chunks[0]}.h5", layout={"chunks": chunks})
        np.testing.assert_array_equal(open_regions(path)[np.arange(60)], regions_of(contents["feature_map"]))


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"feature_map": None}, "no 'feature_map'"),
        ({"feature_map": np.zeros((60, 4, 6))}, "feature_map & (60, 4, 6)"),
        ({"feature_map": np.zeros((60, 4, 2, 3), dtype=np.int32)}, "feature_map & int32"),
        ({"labels": None}, "has no 'labels'"),
        ({"labels": np.zeros(59)}, "labels & 59 & 60"),
        ({"labels": np.full(60, 1.5)}, "60 & labels & whole numbers"),
        ({"labels": np.full(60, np.nan)}, "60 & labels & whole numbers"),
        ({"att": np.zeros(6)}, "att & float64 (6,) & 2 axes"),
        ({"image_files": np.array([b"x"] * 3, dtype=object)}, "image_files & 3 & 60"),
        ({"scale": -1.0}, "-1.0 & float32 & uint8"),
    ],
)
def test_files_in_another_layout_are_refused(
    tmp_path: Path, write_hdf5: Write, changes: dict[str, Any], facts: str
) -> None:
    path = write_hdf5(tmp_path / "x.hdf5", **changes)
    with pytest.raises(DataError) as caught:
        found = open_regions(path)
        _ = found.labels, found.image_files
    assert str(path) in str(caught.value)
    assert all(fact in str(caught.value) for fact in facts.split(" & "))
    assert "\n" not in str(caught.value)


def test_damaged_files_leave_nothing_in_the_cache(tmp_path: Path, cache: Path, write_hdf5: Write) -> None:
    path = write_hdf5(tmp_path / "x.hdf5", layout=GZIP)
    with h5py.File(path) as file:
        offset = file["feature_map"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 4 : offset + 20] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x\.hdf5: cannot be read as HDF5"):
        open_regions(path)
    assert not any(one.is_dir() for one in cache.iterdir())
    path.write_bytes(data[:300])
    with pytest.raises(DataError, match=r"x\.hdf5: cannot be read as HDF5"):
        open_regions(path)
    with pytest.raises(DataError, match=r"y\.hdf5: no such file"):
        open_regions(tmp_path / "y.hdf5")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, write_hdf5: Write, contents: Any) -> None:
    contents["feature_map"][30, 1, 1, 1] = np.nan
    for layout in (None, GZIP):
        path = write_hdf5(tmp_path / f"{layout is None}.hdf5", layout=layout)
        with pytest.raises(DataError, match="1 images have NaN or infinite regions"):
            _ = open_regions(path).sha256


def test_two_processes_that_copy_at_once_both_end_well(
    tmp_path: Path, cache: Path, write_hdf5: Write
) -> None:
    path = write_hdf5(tmp_path / "x.hdf5", layout=GZIP)
    code = """
        import sys, time
        from pathlib import Path
        from zslbench.data.regions import hdf5
        original = hdf5.RegionFile.copy
        def slow(*arguments):
            time.sleep(0.3)
            print("copied")
            original(*arguments)
        hdf5.RegionFile.copy = slow
        print(hdf5.open_hdf5(Path(sys.argv[1])).sha256)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line for one in processes for line in one.communicate()[0].splitlines()]
    assert [one.returncode for one in processes] == [0, 0]
    assert lines.count("copied") == 1
    assert lines.count(open_regions(path).sha256) == 2
    assert len([one for one in cache.iterdir() if one.is_dir()]) == 1


def test_leftovers_of_a_killed_copy_are_removed(tmp_path: Path, cache: Path, write_hdf5: Write) -> None:
    path = write_hdf5(tmp_path / "x.hdf5", layout=GZIP)
    code = """
        import os, sys
        from pathlib import Path
        from zslbench.data.regions import hdf5, writer
        writer.RegionWriter._publish = lambda self: os._exit(9)
        hdf5.open_hdf5(Path(sys.argv[1]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert [one.suffix for one in cache.iterdir() if one.is_dir()] == [".part"]
    assert open_regions(path).shape == (60, 6, 12)
    assert [one.suffix for one in cache.iterdir() if one.is_dir()] == [""]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, write_hdf5: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="ZSLBENCH_CACHE"):
        open_regions(write_hdf5(tmp_path / "x.hdf5", layout=GZIP))
