"""The region store: what is written is read, and nothing incomplete or damaged passes for a store."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

from zslbench.data import RegionStore, RegionWriter
from zslbench.data.provenance import array_sha256
from zslbench.data.regions import writer as writing
from zslbench.errors import DataError

SHAPE = (23, 6, 5)
LABELS = np.zeros(23, dtype=np.int64)


def values(dtype: str) -> np.ndarray:
    random = np.random.default_rng(2)
    if dtype == "uint8":
        return random.integers(0, 256, SHAPE).astype(np.uint8)
    return random.normal(size=SHAPE).astype(dtype)


def write(path: Path, array: np.ndarray, scale: float | None = None, **given: Any) -> RegionStore:
    labels = np.arange(len(array)) % 4
    names = [f"{one}.jpg" for one in labels]
    with RegionWriter(
        path, array.shape, array.dtype, scale, labels=labels, image_files=names, **given
    ) as writer:
        for start in range(0, len(array), 7):
            writer.append(array[start : start + 7])
    return RegionStore.open(path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_reading_gives_what_was_written(tmp_path: Path, dtype: str) -> None:
    array = values(dtype)
    scale = 0.3 if dtype == "uint8" else None
    store = write(tmp_path / "s", array, scale, provenance={"source": "x.hdf5", "grid": [2, 3]})
    true = array.astype(np.float32) * np.float32(scale or 1)
    assert (store.shape, store.dtype.name, store.scale) == (SHAPE, dtype, scale)
    for rows in ([3, 0, 22, 3], [-1, -23], [], range(23)):
        numbers = np.array(rows, dtype=np.int64)
        assert store[numbers].dtype == np.float32
        np.testing.assert_array_equal(store[numbers], true[numbers])
        np.testing.assert_array_equal(store.raw(numbers), array[numbers])
        assert store.raw(numbers).dtype == array.dtype
    out = np.zeros((2, 6, 5), dtype=array.dtype)
    assert store.raw(np.array([1, 4]), out) is out
    np.testing.assert_array_equal(out, array[[1, 4]])
    np.testing.assert_allclose(store.features, true.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert store.labels.tolist() == [one % 4 for one in range(23)]
    assert store.image_files is not None and store.image_files[5] == "1.jpg"
    assert store.array_sha256 == array_sha256(array)
    assert store.verify() == []
    assert store.describe() == {
        "name": "s", "shape": list(SHAPE), "dtype": dtype, "scale": scale, "sha256": store.sha256,
        "simulated": False, "source": "x.hdf5", "grid": [2, 3],
    }  # fmt: skip
    for row in (23, -24):
        with pytest.raises(IndexError):
            store[np.array([0, row])]


def test_the_files_follow_the_format(tmp_path: Path) -> None:
    array = values("float16")
    att = np.arange(6, dtype=">f8").reshape(2, 3)
    store = write(tmp_path / "s", array, companions={"att": att}, provenance={"simulated": True})
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "regions.npy"), array)
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "features.npy"), store.features)
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "att.npy"), att)
    np.testing.assert_array_equal(store.companions["att"], att)
    table = parquet.read_table(tmp_path / "s" / "images.parquet")
    assert table.column_names == ["row", "image_file", "label"]
    assert table["row"].to_pylist() == list(range(23))
    described = json.loads((tmp_path / "s" / "store.json").read_text())
    assert described["format"] == 1
    assert described["arrays"]["regions"]["sha256"] == array_sha256(array)
    assert described["arrays"]["att"]["shape"] == [2, 3]
    assert store.simulated and store.describe()["simulated"] is True
    assert sorted(one.name for one in tmp_path.iterdir()) == ["s"]


def test_the_digest_covers_the_scale(tmp_path: Path) -> None:
    array = values("uint8")
    stores = [write(tmp_path / str(scale), array, scale) for scale in (None, 0.25, 0.5)]
    assert len({one.array_sha256 for one in stores}) == 1
    assert len({one.sha256 for one in stores}) == 3


def test_floats_are_converted_to_the_stored_type(tmp_path: Path) -> None:
    array = values("float32")
    with RegionWriter(tmp_path / "h", SHAPE, "float16", labels=LABELS) as writer:
        writer.append(array)
    half = RegionStore.open(tmp_path / "h")
    np.testing.assert_array_equal(half.raw(np.arange(23)), array.astype(np.float16))
    exact = array.astype(np.float16).mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(half.features, exact, rtol=1e-4, atol=1e-5)
    assert half.image_files is None
    with RegionWriter(tmp_path / "u", SHAPE, "uint8", 0.01, labels=LABELS) as writer:
        writer.append(np.abs(array))
    found = RegionStore.open(tmp_path / "u")[np.arange(23)]
    np.testing.assert_allclose(found, np.clip(np.abs(array), 0, 2.55), atol=0.00501)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for name, wrong in (("float32", np.nan), ("float32", -np.inf), ("float16", 1e6), ("uint8", np.nan)):
        array = values("float32")
        array[17, 2, 3] = wrong
        message = r"1 images have NaN or infinite regions.*\(row 17\)"
        writer = RegionWriter(tmp_path / "s", SHAPE, name, labels=LABELS)
        with pytest.raises(DataError, match=message), writer:
            writer.append(array[:10])
            writer.append(array[10:])
        assert list(tmp_path.iterdir()) == []


def test_a_writer_that_is_left_early_leaves_nothing(tmp_path: Path) -> None:
    array = values("float32")

    def new(name: str) -> RegionWriter:
        return RegionWriter(tmp_path / name, SHAPE, "float32", labels=LABELS)

    with pytest.raises(ValueError, match="10 of 23 images"), new("s") as writer:
        writer.append(array[:10])
    with pytest.raises(KeyboardInterrupt), new("s") as writer:
        writer.append(array)
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="do not fit"), new("s") as writer:
        writer.append(np.concatenate([array, array]))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    code = """
        import os, sys
        import numpy as np
        from zslbench.data import RegionWriter
        with RegionWriter(sys.argv[1], (20, 6, 5), "float32", labels=np.zeros(20, dtype=np.int64)) as writer:
            writer.append(np.ones((20, 6, 5), dtype=np.float32))
            (writer._part / "images.parquet").write_bytes(writer._index())
            os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "s")], check=False)
    assert done.returncode == 9
    left = list(tmp_path.iterdir())
    assert len(left) == 1 and left[0].name.startswith(".s.") and left[0].name.endswith(".part")
    for folder in (left[0], tmp_path / "s"):
        with pytest.raises(DataError, match=r"store\.json"):
            RegionStore.open(folder)
    write(tmp_path / "s", values("float32"))  # the way is free
    with pytest.raises(DataError, match="exists"):
        write(tmp_path / "s", values("float32"))


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    usage = type("usage", (), {"free": 10**9})
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda path: usage)
    message = r"needs 11\.6 GB, the disk has 1\.0 GB free; nothing was written"
    labels = np.zeros(14340, dtype=np.int64)
    writer = RegionWriter(tmp_path / "new" / "s", (14340, 196, 2048), "float16", labels=labels)
    with pytest.raises(DataError, match=message), writer:
        pass
    assert not any(tmp_path.rglob("*.npy")) and not any(tmp_path.rglob("*.part"))


def test_invalid_types_and_scales(tmp_path: Path) -> None:
    for dtype, scale, message in (
        ("float64", None, "regions of type float64; stored types are float16, float32, uint8"),
        ("float16", 0.5, "only uint8"),
        ("uint8", 0.0, "a number above 0"),
        ("uint8", float("nan"), "a number above 0"),
    ):
        with pytest.raises(DataError, match=message):
            RegionWriter(tmp_path / "s", SHAPE, dtype, scale, labels=LABELS)
    with pytest.raises(DataError, match="no regions to write"):
        RegionWriter(tmp_path / "s", (0, 6, 5), "float16", labels=LABELS[:0])


def damaged(store: RegionStore, file: str, change: Any) -> str:
    """What opening says once a file of the store was changed."""
    path = store.folder / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        RegionStore.open(store.folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_stores_are_refused_and_name_the_file(tmp_path: Path) -> None:
    def store(name: str) -> RegionStore:
        return write(tmp_path / name, values("float32"))

    assert "regions.npy: is cut off" in damaged(store("a"), "regions.npy", lambda data: data[:-1])
    assert "features.npy: " in damaged(store("b"), "features.npy", lambda data: b"x" * 200)
    assert "store.json: is damaged" in damaged(store("c"), "store.json", lambda data: data[:50])
    assert "store.json: is damaged" in damaged(store("d"), "store.json", lambda data: b"[]")
    newer = damaged(store("e"), "store.json", lambda data: data.replace(b'"format": 1', b'"format": 2'))
    assert "has format 2, this zslbench reads format 1" in newer
    one = store("f")
    assert "store.json: is damaged" in damaged(
        one, "store.json", lambda data: data.replace(b"<f4", b"<f2", 1)
    )
    description = json.loads((one.folder / "store.json").read_bytes())
    del description["sha256"]  # as earlier versions wrote it
    other = damaged(one, "store.json", lambda _: json.dumps(description).encode())
    assert "holds float32" in other and "says float16" in other
    one = store("g")
    (one.folder / "features.npy").unlink()
    with pytest.raises(DataError, match=r"features\.npy: is missing"):
        RegionStore.open(one.folder)


def test_verify_names_the_arrays_whose_bytes_changed(tmp_path: Path) -> None:
    store = write(tmp_path / "s", values("float16"), companions={"att": np.ones((2, 2))})
    for file in ("regions.npy", "att.npy", "images.parquet"):
        data = bytearray((tmp_path / "s" / file).read_bytes())
        data[-1] ^= 1
        (tmp_path / "s" / file).write_bytes(data)
    assert RegionStore.open(tmp_path / "s").verify() == ["regions", "att", "index"]
    assert store.path == tmp_path / "s"


def test_opening_reads_neither_the_arrays_nor_the_index(tmp_path: Path) -> None:
    """Opening takes no time that depends on the size: it works where only headers and lengths are there."""
    write(tmp_path / "s", values("float32"))
    (tmp_path / "s" / "images.parquet").unlink()
    path = tmp_path / "s" / "regions.npy"
    kept = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(128)
        file.truncate(kept)
    store = RegionStore.open(tmp_path / "s")
    assert not store[np.array([4])].any()
    with pytest.raises(DataError, match=r"images\.parquet: is missing"):
        _ = store.labels
