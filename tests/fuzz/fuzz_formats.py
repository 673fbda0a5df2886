"""The formats that zslbench reads: how to write an intact file of each, and how zslbench reads it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse
import torch
from fuzz_mutations import damaged, recompressed
from PIL import Image

from zslbench.data import RegionStore, RegionWriter, read_class_vectors, read_xlsa17, write_semantics
from zslbench.data.attributes import attribute_names, attribute_vectors
from zslbench.data.images.decoding import Decoder
from zslbench.data.regions.hdf5 import open_hdf5
from zslbench.evaluation.candidates import candidates_of, with_candidates
from zslbench.experiment.suites.cells import CellRecord, Ledger
from zslbench.experiment.suites.definition import find_suite
from zslbench.plugin.presets import read_preset_file
from zslbench.store.files import read_records
from zslbench.store.identity import run_id
from zslbench.store.record import RunContent, RunInfo
from zslbench.store.stages import StageStore
from zslbench.store.store import Store
from zslbench.training import checkpoint
from zslbench_audit.stored import AuditResult, ProbeResult, save, stored
from zslbench_data.download.catalogue import Archive, DownloadPart
from zslbench_data.download.get import unpack
from zslbench_data.importing.custom import CustomFiles
from zslbench_data.importing.custom_write import import_custom
from zslbench_data.importing.one_file import import_one_file
from zslbench_data.progress import SILENT
from zslbench_data.words.vector_files import read_words
from zslbench_external.submitted import KEYS, read_submitted


@dataclass(frozen=True)
class Format:
    """One format of files."""

    name: str
    make: Callable[[Path], None]
    """Writes intact files into an empty folder."""
    read: Callable[[Path], object]
    """Reads them as zslbench does; what it gives has a digest, see :func:`digest`."""
    files: tuple[str, ...]
    """Patterns of the files that are damaged, one at a time."""
    guarded: bool = False
    """Whether digests guard all values: ``read`` gives a list, whose parts were written so, or are None."""
    also: tuple[object, ...] = ()
    """Other parts that ``read`` may give: an earlier checkpoint."""
    text: bool = False
    harm: Callable[[bytes, random.Random], bytes] | None = None
    """Damages a file; None: any damage."""

    def damage(self, folder: Path, chance: random.Random) -> str:
        """Damage one of the files; returns its name."""
        found = sorted({path for pattern in self.files for path in folder.rglob(pattern) if path.is_file()})
        path = chance.choice(found)
        whole = path.read_bytes()
        harm = self.harm or partial(damaged, text=self.text)
        path.write_bytes(harm(whole, chance))
        return path.name


def digest(value: object) -> str:
    """A digest of arrays, text, numbers and collections of them."""
    found = hashlib.sha256()
    for one in _parts(value):
        found.update(one)
    return found.hexdigest()


def _parts(value: Any) -> Iterable[bytes]:
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield (
            f"{value.dtype.newbyteorder('=')} {value.shape}".encode() + np.ascontiguousarray(value).tobytes()
        )
    elif isinstance(value, pd.DataFrame):
        yield value.to_csv().encode("utf-8", "surrogatepass")
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key).encode("utf-8", "surrogatepass")
            yield from _parts(value[key])
    elif isinstance(value, (list, tuple)):
        yield str(len(value)).encode()
        for one in value:
            yield from _parts(one)
    else:
        yield repr(value).encode("utf-8", "surrogatepass")


# --- MATLAB files and data sets -------------------------------------------------------------------


def _dataset() -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables of ``att_splits.mat`` and ``res101.mat``: five classes with four images each."""
    chance = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, 6), 4)
    rows = np.arange(1, 21)
    names = np.array([[f"class {one}"] for one in range(5)], dtype=object)
    parts = {"trainval_loc": rows[:12][rows[:12] % 4 > 0], "test_seen_loc": rows[:12][rows[:12] % 4 == 0]}
    splits = {"att": chance.random((6, 5)), "original_att": chance.random((6, 5)), "allclasses_names": names}
    splits |= {name: found[:, None] for name, found in (parts | {"test_unseen_loc": rows[12:]}).items()}
    files = np.array([[f"images/{one}.jpg"] for one in range(20)], dtype=object)
    return splits, {"features": chance.random((8, 20)), "labels": labels[:, None], "image_files": files}


def _write73(path: Path, variables: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            if value.dtype != object:
                compressed = {"compression": "gzip", "chunks": True} if value.size > 50 else {}
                file.create_dataset(name, data=value.T, **compressed)
                continue
            cells = file.create_dataset(name, (1, len(value)), dtype=h5py.ref_dtype)
            for number, (text,) in enumerate(value):
                codes = np.array([[ord(one)] for one in text], np.uint16)
                cells[0, number] = file.create_dataset(f"#refs#/{name}{number}", data=codes).ref


def _make_mat(kind: str, folder: Path) -> None:
    for file, variables in zip(("att_splits.mat", "res101.mat"), _dataset(), strict=True):
        if kind == "7.3":
            _write73(folder / file, variables)
            continue
        if kind == "sparse" and "features" in variables:
            values = variables["features"]
            variables = variables | {"features": scipy.sparse.csc_matrix(values * (values > 0.5))}
        scipy.io.savemat(folder / file, variables, do_compression=kind == "compressed")


def _read_dataset(folder: Path) -> object:
    found = read_xlsa17(folder, name=folder.name, image_files=True)
    arrays = [found.features, found.labels, found.semantics, *found.split.parts.values()]
    return arrays, found.class_names, found.image_files


def _recompress(whole: bytes, chance: random.Random) -> bytes:
    return recompressed(damaged(whole, chance, text=False))


def _make_one_file(save: Callable[..., None], folder: Path) -> None:
    """Three seen and two unseen classes."""
    chance = np.random.default_rng(0)
    variables = {"S_tr": chance.random((3, 6)), "S_te": chance.random((2, 6))}
    for part, labels in {
        "train": [1, 1, 2, 2, 3, 3],
        "test_seen": [1, 2, 3],
        "test_unseen": [4, 4, 5],
    }.items():
        variables |= {f"x_{part}": chance.random((len(labels), 8)), f"y_{part}": np.array(labels)[:, None]}
    save(folder / "data.mat", variables)


def _savez(path: Path, variables: dict[str, Any]) -> None:
    np.savez_compressed(path.with_suffix(".npz"), **variables)


def _read_one_file(folder: Path) -> object:
    root, [path] = folder / "root", [*folder.glob("data.*")]
    import_one_file(root, path, "Mine", display=SILENT)
    return _read_dataset_of(root)


def _read_dataset_of(root: Path) -> object:
    [folder] = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    [features] = [path.stem for path in folder.glob("*.mat") if path.name != "att_splits.mat"]
    found = read_xlsa17(folder, name="Mine", features=features, image_files=False)
    return [found.features, found.labels, found.semantics, *found.split.parts.values()], found.class_names


# --- region features ------------------------------------------------------------------------------


def _make_store(folder: Path) -> None:
    values = np.random.default_rng(0).random((6, 4, 8), dtype=np.float32)
    names = [f"{one}.jpg" for one in range(6)]
    with RegionWriter(
        folder / "store", values.shape, np.float16, labels=np.arange(6) % 3, image_files=names
    ) as it:
        it.append(values)


def _read_store(folder: Path) -> object:
    store = RegionStore.open(folder / "store")
    store.require_sound()
    return [(store[np.arange(store.shape[0])], store.features, store.labels, store.image_files, store.scale)]


def _make_regions(kind: str, folder: Path) -> None:
    values = np.random.default_rng(0).random((6, 8, 2, 2), dtype=np.float32)
    with h5py.File(folder / "regions.hdf5", "w") as file:
        how: dict[str, Any] = {} if kind == "contiguous" else {"chunks": (2, 8, 2, 2), "compression": "gzip"}
        file.create_dataset("feature_map", data=values, **how)
        file["labels"] = np.arange(6) % 3
        file["att"] = np.random.default_rng(1).random((3, 5))
        file["trainval_loc"] = np.arange(4)
        file["image_files"] = np.array([f"{one}.jpg".encode() for one in range(6)])


def _read_regions(folder: Path) -> object:
    store = open_hdf5(folder / "regions.hdf5")
    return store[np.arange(store.shape[0])], store.labels, store.image_files, store.companions


# --- text -----------------------------------------------------------------------------------------

_SUITE = """
title = "Two methods"
datasets = ["toy"]
seeds = 3
select = "last"

[settings]
"classifier.gamma" = 1.0

[[methods]]
method = "eszsl"

[[methods]]
method = "tf-vaegan"
epochs = 5
label = "ours"
[methods.settings]
"generator.hidden" = 64
"""
_PRESET = """
[generator]
epochs = 500
lr = 1e-4
penalty_bounds = [0.1, 10.0]

[classifier]
batch_size = 1200
"""


def _make_text(file: str, text: str, folder: Path) -> None:
    (folder / file).write_text(text)


def _read_suite(folder: Path) -> object:
    suite = find_suite(folder / "suite.toml")
    return [vars(row) for row in suite.rows]


def _read_preset(folder: Path) -> object:
    return read_preset_file(str(folder / "preset.toml")).settings


def _make_custom(folder: Path) -> None:
    chance = np.random.default_rng(0)
    classes = [f"class {one}" for one in range(5)]
    table = pd.DataFrame(chance.random((5, 3)).round(3), columns=["wings", "fur", "red"])
    table.insert(0, "name", classes)
    table.to_csv(folder / "attributes.csv", index=False)
    parts = ["trainval", "trainval", "trainval", "test_seen"]
    rows = [(name, parts[one] if name < "class 3" else "test_unseen") for name in classes for one in range(4)]
    pd.DataFrame(rows, columns=["class", "part"]).to_csv(folder / "split.csv", index_label="row")
    np.save(folder / "features.npy", chance.random((20, 8), dtype=np.float32))


def _read_custom(folder: Path) -> object:
    given = CustomFiles(folder / "attributes.csv", folder / "split.csv", features=folder / "features.npy")
    import_custom(folder / "root", "Mine", given, display=SILENT)
    return _read_dataset_of(folder / "root")


def _make_sources(folder: Path) -> None:
    text = '{"files": {"res101.mat": {"sha256": "ab", "bytes": 3}}, "imports": {"custom": {"features": "x"}}}'
    (folder / "sources.json").write_text(text)


def _read_sources(folder: Path) -> object:
    return read_records(folder / "sources.json")


def _make_words(kind: str, folder: Path) -> None:
    values = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    words = ["red", "wings", "fur", "blue", "tail", "é"]
    if kind == "binary":
        packed = [word.encode() + b" " + row.tobytes() for word, row in zip(words, values, strict=True)]
        text = b"6 4\n" + b"\n".join(packed)
    else:
        lines = [" ".join([word, *map(str, row)]) for word, row in zip(words, values.tolist(), strict=True)]
        text = ("\n".join(lines) + "\n").encode()
    if kind == "zip":
        with zipfile.ZipFile(folder / "words", "w", zipfile.ZIP_DEFLATED) as pack:
            pack.writestr("words.txt", text)
        return
    (folder / "words").write_bytes(gzip.compress(text) if kind == "gzip" else text)


def _read_words(folder: Path) -> object:
    found = read_words(folder / "words", ["red", "fur", "é", "absent"])
    return found.dimension, found.vectors


# --- results --------------------------------------------------------------------------------------


def _make_runs(folder: Path) -> None:
    store = Store(folder / "store")
    identity: dict[str, Any] = {"method": "eszsl", "variant": None, "components": {}, "settings": {}}
    identity |= {"selection": {"mode": "last"}, "versions": {}}
    run = run_id(identity)
    info = RunInfo(run, "eszsl", None, "toy", 0, "last", identity, store.runs / run)
    content = RunContent(
        info=info,
        metrics={"acc": 0.5, "u": 0.25, "s": 0.5, "h": 0.3, "ausuc": 0.2, "epochs": None},
        environment={"device": "cpu", "python": "3"},
        data={"features": "simulated", "semantics": "att", "arrays": []},
        notes=["a note"],
        tables={"classes": pd.DataFrame({"class_id": [0, 1], "name": ["cat", "dog"], "x": [0.5, 0.25]})},
        networks={"embedding/net/w": torch.arange(6.0)},
    )
    with store.workspace(run):
        store.write(content)
    Ledger(store).write("cell", CellRecord("run", run=run, facts={"method": "eszsl"}))


def _read_runs(folder: Path) -> object:
    store = Store(folder / "store")
    found = []
    for record in store.records():
        tables = {name: record.table(name) for name in record.table_names}
        found.append((record.info.id, record.metrics, record.data, record.notes, tables, record.networks()))
    return [*found, Ledger(store).find("cell")]


def _make_audits(folder: Path) -> None:
    probes = (ProbeResult("seed", True, "A claim.", "A detail."),)
    when = datetime(2026, 11, 29, tzinfo=UTC)
    audit = AuditResult(
        "eszsl", None, None, {"eszsl": "1 ab"}, "1", {"classifier": {}}, "val", probes, when, 1.5
    )
    save(Store(folder / "store"), audit)


def _read_audits(folder: Path) -> object:
    return stored(Store(folder / "store"))


def _make_steps(folder: Path) -> None:
    for number in (1, 2):
        checkpoint.save(folder / "run", {"w": torch.full((4,), float(number))}, {"epoch": number})
    StageStore(folder / "stages").keep("key", {"w": torch.arange(5.0)}, {"epochs": [1, 2]})


def _read_steps(folder: Path) -> object:
    return [checkpoint.load(folder / "run"), StageStore(folder / "stages").find("key")]


# --- pictures, archives, pickles ------------------------------------------------------------------


def _make_picture(kind: str, folder: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    if kind == "png16":
        Image.fromarray((values[..., 0].astype(np.uint16)) * 257).save(folder / "picture", "PNG")
    elif kind in ("png8", "gif"):
        Image.fromarray(values).quantize(16).save(folder / "picture", "PNG" if kind == "png8" else "GIF")
    else:
        Image.fromarray(values).save(folder / "picture", kind)


def _read_picture(folder: Path) -> object:
    return Decoder(16).read(folder / "picture")


_PART = DownloadPart(
    "splits",
    Archive("set.zip", (), page="", holds="", licence=""),
    10_000,
    ("CUB/att_splits.mat", "CUB/res101.mat"),
)


def _make_archive(kind: str, folder: Path) -> None:
    files = {
        "CUB/att_splits.mat": b"split " * 50,
        "CUB/res101.mat": bytes(range(256)) * 4,
        "CUB/readme": b"text",
    }
    if kind == "zip":
        with zipfile.ZipFile(folder / "archive", "w", zipfile.ZIP_DEFLATED) as pack:
            for name, content in files.items():
                pack.writestr(name, content)
        return
    with tarfile.open(folder / "archive", "w:gz" if kind == "tar.gz" else "w") as pack:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            pack.addfile(info, io.BytesIO(content))


def _read_archive(folder: Path) -> object:
    staging = folder / "staging"
    unpack(folder / "archive", "0" * 64, _PART, staging, SILENT)
    outside = sorted(path.name for path in folder.iterdir() if path.name not in ("archive", "staging"))
    assert not outside, outside
    return [{name: (staging / name).read_bytes() for name in ("att_splits.mat", "res101.mat")}]


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (os.environ["FUZZ_MARKER"],))


def _make_pickles(folder: Path) -> None:
    folder = folder / "P"
    folder.mkdir()
    array = np.array([_Runs()] * 5, dtype=object)
    np.save(folder / "attribute_vectors.npy", array, allow_pickle=True)
    _make_custom(folder)
    np.save(folder / "features.npy", array, allow_pickle=True)
    (folder / "res101.mat").write_bytes(pickle.dumps(_Runs()))
    shutil.copy(folder / "res101.mat", folder / "att_splits.mat")
    (folder / "words").write_bytes(pickle.dumps({"red": _Runs()}))


def _read_pickles(folder: Path) -> object:
    """Every reader that takes a file of the user's; none may run what a pickle holds."""
    from zslbench.errors import ZslbenchError

    found: list[object] = []
    inner = folder / "P"
    readers: list[Callable[[], object]] = [
        lambda: attribute_vectors(inner, 5), lambda: _read_custom(inner), lambda: _read_dataset(inner),
        lambda: _read_words(inner),
    ]  # fmt: skip
    error = None
    for reader in readers:
        try:
            found.append(reader())
        except ZslbenchError as fault:
            error = fault
    assert not Path(os.environ["FUZZ_MARKER"]).exists(), "a pickle was executed"
    if error is not None and not any(found):
        raise error
    return found


def _make_names(folder: Path) -> None:
    (folder / "attribute_names.txt").write_text("1 has wings\n2 has fur\n3 is red\n4 flies\n5 swims\n6 é\n")


def _read_names(folder: Path) -> object:
    found = attribute_names(folder, 6, None)
    return None if found is None else found[0]


def _make_candidates(folder: Path) -> None:
    _make_mat("plain", folder)
    (folder / "candidates.txt").write_text("class 3\nclass 4\n")


def _read_candidates(folder: Path) -> object:
    dataset = read_xlsa17(folder, name=folder.name)
    return candidates_of(with_candidates(dataset, folder / "candidates.txt")).classes


def _make_vectors(folder: Path) -> None:
    np.save(folder / "attribute_vectors.npy", np.random.default_rng(0).random((6, 4), dtype=np.float32))


def _read_vectors(folder: Path) -> object:
    found = attribute_vectors(folder, 6)
    return None if found is None else found[0]


def _make_semantics(folder: Path) -> None:
    values = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    write_semantics(folder, "texts", values, [f"class {one}" for one in range(6)], {"kind": "texts"}, date="")


def _read_semantics(folder: Path) -> object:
    found = read_class_vectors(folder / "semantics" / "texts.npy", [f"class {one}" for one in range(6)])
    return [found.values, dict(found.made or {})]


_MAT, _NPY, _JSON, _TOML = ("*.mat",), ("*.npy",), ("*.json",), ("*.toml",)
_RECORDS = ("*.json", "*.parquet", "*.safetensors")
_FIRST = ({"w": torch.full((4,), 1.0)}, {"epoch": 1})


def _make_answers(name: str, folder: Path) -> None:
    scores = np.random.default_rng(0).random((20, 3)).round(3)
    if name.endswith(".npz"):
        np.savez(
            folder / name, scores=scores, classes=np.array(["ant", "bee", "cow"]), image_index=np.arange(20)
        )
    else:
        table = pd.DataFrame(scores, columns=["ant", "bee", "cow"])
        table.insert(0, "image", range(20))
        table.to_csv(folder / name, index=False)


def _read_answers(folder: Path) -> object:
    (path,) = folder.iterdir()
    submitted = read_submitted(path)
    return [getattr(submitted, name) for name in KEYS]


FORMATS: tuple[Format, ...] = (
    *(
        Format(f"MAT {kind}", partial(_make_mat, kind), _read_dataset, _MAT)
        for kind in ("plain", "compressed", "sparse", "7.3")
    ),
    Format("MAT compressed after", partial(_make_mat, "plain"), _read_dataset, _MAT, harm=_recompress),
    Format("MAT of one file", partial(_make_one_file, scipy.io.savemat), _read_one_file, _MAT),
    Format("NPZ of one file", partial(_make_one_file, _savez), _read_one_file, ("*.npz",)),
    Format("region store", _make_store, _read_store, ("*.npy", "*.json", "*.parquet"), guarded=True),
    *(
        Format(f"HDF5 regions, {kind}", partial(_make_regions, kind), _read_regions, ("*.hdf5",))
        for kind in ("contiguous", "chunked")
    ),
    Format("TOML suite", partial(_make_text, "suite.toml", _SUITE), _read_suite, _TOML, text=True),
    Format("TOML preset", partial(_make_text, "preset.toml", _PRESET), _read_preset, _TOML, text=True),
    Format("CSV of a custom set", _make_custom, _read_custom, ("*.csv",), text=True),
    Format("NPY features", _make_custom, _read_custom, _NPY),
    Format("NPY word vectors", _make_vectors, _read_vectors, _NPY),
    Format("class semantics", _make_semantics, _read_semantics, (*_NPY, *_JSON), guarded=True),
    Format("attribute names", _make_names, _read_names, ("*.txt",), text=True),
    Format("candidates", _make_candidates, _read_candidates, ("candidates.txt",), text=True),
    Format("sources.json", _make_sources, _read_sources, _JSON, text=True),
    Format("run records, ledger", _make_runs, _read_runs, _RECORDS, guarded=True),
    Format("audits", _make_audits, _read_audits, ("audits/*.json",), guarded=True, text=True),
    Format("checkpoints, stages", _make_steps, _read_steps, _RECORDS, guarded=True, also=(_FIRST,)),
    *(
        Format(f"words, {kind}", partial(_make_words, kind), _read_words, ("words",), text=kind == "text")
        for kind in ("text", "binary", "gzip", "zip")
    ),
    *(
        Format(f"picture, {kind}", partial(_make_picture, kind), _read_picture, ("picture",))
        for kind in ("png8", "png16", "JPEG", "gif", "TIFF", "WEBP", "BMP")
    ),
    *(
        Format(f"archive, {kind}", partial(_make_archive, kind), _read_archive, ("archive",), kind != "tar")
        for kind in ("zip", "tar.gz", "tar")
    ),
    Format("NPZ of scores", partial(_make_answers, "scores.npz"), _read_answers, ("*.npz",)),
    Format("CSV of scores", partial(_make_answers, "scores.csv"), _read_answers, ("*.csv",), text=True),
    Format("pickles", _make_pickles, _read_pickles, ("*.npy", "*.mat", "words")),
)
