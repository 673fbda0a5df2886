"""Imports a data set that is one file of arrays, as the releases of E-PGN, SAE and others have them.

MATLAB files, ``.npz`` files and HDF5 files (arrays in groups are ``group/array``) are read. Names are
compared without case, ``_`` and ``/``; ``NAMES`` has the known ones. Images and class attributes are rows;
arrays with an image per column are transposed. A file contains:

* images and labels for training and for testing; test images are in ``x_test_seen`` and ``x_test_unseen``, or
  together in ``x_test`` (SAE), where those of training classes are ``test_seen``. E-PGN keeps labels in
  ``label.mat`` next to ``data.mat``.
* class attributes: of all classes, indexed by labels that count from 0 or 1 (E-PGN's ``attribute``); or of
  training and test classes (``S_tr``, ``S_te``), a row per image or per class, the latter in the order of the
  labels or of ``te_cl_id`` (SAE).

Sources: yunlongyu/EPGN, scripts/utils.py; Kodirov et al., "Semantic Autoencoder for Zero-Shot Learning" (CVPR
2017), demo data.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int

from zslbench.data import (
    HDF5,
    MATLAB_4,
    MATLAB_5,
    MATLAB_73,
    NPZ,
    PARTS,
    SPLITS_FILE,
    Findings,
    dataset_findings,
    few,
    file_kind,
    mat_variables,
    no_features,
    open_examined,
    read_mat,
    require_space,
)
from zslbench.errors import DataError, SettingsError
from zslbench.plugin import Dataset, OfficialSplit
from zslbench.store import checked_name, sha256_of
from zslbench_data.checking.features import scan
from zslbench_data.download.catalogue import catalogue
from zslbench_data.exporting.xlsa17 import TAKEN, blocks, write_images, write_splits
from zslbench_data.importing.custom import unit_length
from zslbench_data.importing.records import (
    Imported,
    import_key,
    is_done,
    read_import,
    remove_replaced,
    target,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import SPARE, locked, remove_abandoned, staged_folder

NAMES = {
    "x_train": "xtrain xtr trainx trainfea trainfeature trainfeatures",
    "y_train": "ytrain ytr trainy trainidx trainlabel trainlabels trainlabelscub",
    "x_test": "xtest xte testx testfea testfeature testfeatures",
    "y_test": "ytest yte testy testidx testlabel testlabels testlabelscub",
    "x_test_seen": "xtestseen testseenx testseenfea testseenfeature testseenfeatures",
    "y_test_seen": "ytestseen testseeny testseenidex testseenidx testseenlabel testseenlabels",
    "x_test_unseen": "xtestunseen testunseenx testunseenfea testunseenfeature testunseenfeatures",
    "y_test_unseen": "ytestunseen testunseeny testunseenidex testunseenidx testunseenlabel testunseenlabels",
    "attributes": "attribute attributes att classattributes",
    "S_tr": "str strain trains atttrain trainatt seenpro",
    "S_te": "ste stepro stest tests atttest testatt unseenpro",
    "te_cl_id": "teclid xteclid testclassesid",
}
"""Names of each array, in lower case and without ``_`` and ``/``; of several in a file, the first is read."""

_RATIO, _SLACK = 50, 64 << 20
"""Largest accepted content of a ``.npz`` file: a multiple of its size, plus a number of bytes."""
_KIND = "custom"
_PARTS = {"trainval": "train", "test_seen": "test_seen", "test_unseen": "test_unseen", "test": "test"}
"""Parts of the split (``test``: seen or unseen), and how the names of their arrays end."""
Arrays = dict[str, np.ndarray]


def variables(path: Path) -> list[str]:
    """Names of the arrays of a file; none if it has another format. DataError: it is damaged."""
    kind = file_kind(path)
    if kind in (MATLAB_4, MATLAB_5, MATLAB_73):
        return mat_variables(path)
    if kind not in (HDF5, NPZ):
        return []
    found: list[str] = []
    try:
        if kind == NPZ:
            with zipfile.ZipFile(path) as archive:
                return [one.removesuffix(".npy") for one in archive.namelist()]
        with open_examined(path) as file:
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(path, [f"the file cannot be read ({error})"]) from None
    return found


def is_one_file(names: list[str]) -> bool:
    """Whether a file with these arrays is a data set of this kind."""
    return {"x_train"} < _known(names).keys()


def _known(names: list[str]) -> dict[str, str]:
    """The names of a file by the names in ``NAMES``."""
    plain = {"".join(one for one in name.lower() if one not in "_/"): name for name in names}
    known = {
        key: next((plain[one] for one in text.split() if one in plain), "") for key, text in NAMES.items()
    }
    return {key: name for key, name in known.items() if name}


def _read(path: Path) -> Arrays:
    """The known arrays of a file by the names in ``NAMES``.

    Raises:
        DataError: one cannot be read, or is not a matrix of real numbers.
    """
    names, kind = _known(variables(path)), file_kind(path)
    if kind == NPZ:
        values: Mapping[str, Any] = {}
        try:
            with zipfile.ZipFile(path) as packed:
                if sum(one.file_size for one in packed.infolist()) > _RATIO * path.stat().st_size + _SLACK:
                    raise DataError(path, [f"expands to over {_RATIO} times its size"])
            with np.load(path, allow_pickle=False) as archive:
                values = {name: archive[name] for name in names.values()}
        except DataError:
            raise
        except Exception as error:  # NumPy evaluates headers, which can raise anything
            why = " ".join(f"{type(error).__name__}: {error}".split())
            fault = f"the file cannot be read ({why[:300]})"
            raise DataError(path, [fault]) from None
    else:
        values = read_mat(path, names.values())
    found: Arrays = {}
    for key, name in names.items():
        value = np.asarray(values[name])
        value = value.T if kind == HDF5 else value  # only MATLAB's own files have their axes reversed
        if value.dtype.kind not in "fiub" or value.ndim > 2:
            raise DataError(path, [f"{name} is {value.dtype} {value.shape}, not a matrix of real numbers"])
        found[key] = value
    return found


def import_one_file(
    root: Path,
    path: Path,
    name: str,
    *,
    features_name: str | None = None,
    force: bool = False,
    display: Display = SILENT,
) -> Imported:
    """Import a file of arrays as a custom data set; repeating an import changes nothing.

    Args:
        features_name: stem of the features file; None: the file's.

    Raises:
        DataError: everything that is wrong with the file; or another data set has this name; or no space.
        SettingsError: a name cannot be used.
    """
    to = target(root, name)
    if to.key in catalogue().datasets:
        raise SettingsError(f"--name {name}: an official data set has this name; choose another")
    folder, stem = to.folder, checked_name(features_name or path.stem, "--features-name", taken=TAKEN)
    label_file = path.with_name("label.mat")
    files = [path, label_file] if label_file.is_file() and label_file != path else [path]
    key = import_key({one.name: sha256_of(one) for one in files} | {"features": stem})
    commands = [to.command("zslbench data check"), to.command("zslbench run METHOD --dataset")]
    with locked(folder):
        remove_abandoned(folder)
        if is_done(folder, _KIND, key, force=force):
            return Imported(to, "already there", commands)
        replaced = read_import(folder, _KIND)
        if (folder / SPLITS_FILE).exists() and not force:
            advice = "Choose another --name, or pass --force to replace it"
            raise DataError(folder, ["another data set has this name"], advice)
        display.message(f"checking {path}")
        arrays, findings = Arrays(), Findings()
        for one in reversed(files):
            arrays |= _read(one)
            names = variables(one)
            if unread := sorted(set(names) - set(_known(names).values())):
                findings.note(f"{one.name}: not used: {few(unread)}")
        dataset, features, attributes = _assemble(arrays, path, findings)
        require_space(folder / SPLITS_FILE, 4 * features.size + 16 * attributes.size + SPARE)
        with staged_folder(folder) as staging:
            write_images(staging / f"{stem}.mat", labels=dataset.labels, image_files=None, features=features)
            att = unit_length(attributes)
            write_splits(staging / SPLITS_FILE, dataset, att=att, original_att=attributes)
            origins = {one: {"archive": path.name} for one in (f"{stem}.mat", SPLITS_FILE)}
            write_import(folder, staging, _KIND, key, origins, features=stem)
        remove_replaced(folder, replaced, origins)
    parts = ", ".join(f"{part} {len(rows)}" for part, rows in dataset.split.parts.items())
    text = f"{len(dataset.labels)} images of {len(dataset.class_names)} classes ({parts})"
    return Imported(to, f"{text}, {attributes.shape[1]} attributes", commands, findings.notes)


def _assemble(
    arrays: Arrays, path: Path, findings: Findings
) -> tuple[Dataset, Float[np.ndarray, "images d"], Float[np.ndarray, "classes attributes"]]:
    """The data set without features, the features, and the attributes as given.

    Raises:
        DataError: lists every fault.
    """
    images: list[tuple[str, np.ndarray, np.ndarray]] = []
    if {"x_test_seen", "x_test_unseen"} & arrays.keys() and arrays.pop("x_test", None) is not None:
        findings.note("x_test is not used: the file has separate test images of seen and unseen classes")
    for part, end in _PARTS.items():
        x, y = arrays.get(f"x_{end}"), arrays.get(f"y_{end}")
        if x is None or y is None:
            if x is not None:
                names = NAMES[f"y_{end}"].replace(" ", ", ")
                findings.error(f"no labels of x_{end}; name them one of {names}, outside a struct", path.name)
            continue
        if not x.size and not y.size:
            continue
        if (fault := _labels_fault(y)) or len(y.ravel()) not in x.shape or x.ndim != 2:
            findings.error(f"x_{end} is {x.shape}, y_{end} {y.shape}{fault}", path.name)
            continue
        labels = y.ravel().astype(np.int64)
        images.append((part, x if len(x) == len(labels) else x.T, labels))
    if not {"trainval"} < {part for part, *_ in images}:
        findings.error("there are no training and test images with labels", path.name)
    if len({x.shape[1] for _, x, _ in images}) > 1:
        findings.error(f"features of different lengths: {few(x.shape[1] for _, x, _ in images)}", path.name)
    findings.raise_errors(path.parent)
    ids, attributes = _attributes(arrays, images, path, findings)
    features = np.concatenate([x for _, x, _ in images])
    numbers = np.concatenate([labels for *_, labels in images])
    used, labels = np.unique(numbers, return_inverse=True)
    if unused := len(ids) - len(used):
        findings.note(f"{unused} classes with attributes have no images and are left out")
    owner = np.concatenate([np.full(len(one), part, dtype=object) for part, _, one in images])
    seen = np.isin(numbers, numbers[owner == "trainval"])
    owner[(owner == "test") & seen], owner[(owner == "test") & ~seen] = "test_seen", "test_unseen"
    dataset = Dataset(
        name="imported",
        features=no_features(len(labels)),
        labels=labels.astype(np.int64),
        class_names=tuple(f"class_{number:03d}" for number in used),
        semantics=unit_length(attributes).astype(np.float32),
        split=OfficialSplit(*(np.flatnonzero(owner == one) for one in PARTS)),
        features_name="none",
        semantics_name="att",
    )
    findings.extend(dataset_findings(dataset))
    found = scan(blocks(features))
    if found.nan or found.inf:
        findings.error(f"{found.nan} NaN and {found.inf} infinite values in features", path.name)
    findings.raise_errors(path.parent)
    return dataset, features, attributes


def _labels_fault(labels: np.ndarray) -> str:
    if not labels.size or labels.size != max(labels.shape):
        return ": labels must be one number per image"
    if (
        not np.isfinite(labels).all()
        or (labels != np.floor(labels)).any()
        or not (labels.min() >= 0 and labels.max() < 2**53)
    ):
        return ": labels must be whole numbers, from 0 or 1"
    return ""


def _attributes(
    arrays: Arrays, images: list[tuple[str, np.ndarray, np.ndarray]], path: Path, findings: Findings
) -> tuple[Int[np.ndarray, " known"], Float[np.ndarray, "classes attributes"]]:
    """The numbers of all classes that have attributes, and the attributes of those with images, in order.

    Raises:
        DataError: there are none, or it is unclear which classes they describe.
    """
    used = np.unique(np.concatenate([labels for *_, labels in images]))
    known: dict[int, np.ndarray] = {}
    for key, training in (("S_tr", True), ("S_te", False)):
        if (given := arrays.get(key)) is None:
            continue
        labels = np.concatenate([one for part, _, one in images if (part == "trainval") == training])
        classes = np.unique(labels)
        if not training and len(given) != len(labels):  # of unseen classes only
            classes = np.setdiff1d(
                classes, np.concatenate([one for part, _, one in images if part == "trainval"])
            )
            if (order := arrays.get("te_cl_id")) is not None:
                classes = order.ravel().astype(np.int64)
        owners, ordered = (
            labels if len(given) == len(labels) else classes,
            not training and "te_cl_id" in arrays,
        )
        if len(given) != len(labels) and not ordered and "attributes" not in arrays:
            text = f"rows of {key} are taken to be classes in the order of their numbers"
            findings.note(f"{text} ({few(classes.tolist())})")
        if given.ndim != 2 or len(given) != len(owners):
            fault = f"{key} is {given.shape}, for {len(labels)} images of {len(classes)} classes"
            raise DataError(path, [fault], "Give it a row per image or per class")
        for owner, row in zip(owners.tolist(), given, strict=True):
            if not np.array_equal(known.setdefault(owner, row), row):
                raise DataError(path, [f"images of class {owner} have different rows in {key}"])
    if (table := arrays.get("attributes")) is not None:
        return _indexed(table, used, known, path)
    if missing := [one for one in used.tolist() if one not in known]:
        advice = "Store the attributes of all classes as 'attribute', (classes, attributes)"
        raise DataError(path, [f"no attributes of {len(missing)} classes ({few(missing)})"], advice)
    if len({len(row) for row in known.values()}) > 1:
        raise DataError(path, ["S_tr and S_te have different numbers of attributes"])
    ids = np.array(sorted(known), dtype=np.int64)
    return ids, np.array([known[one] for one in used.tolist()], dtype=np.float64)


def _indexed(
    table: np.ndarray, used: np.ndarray, known: Mapping[int, np.ndarray], path: Path
) -> tuple[Int[np.ndarray, " known"], Float[np.ndarray, "classes attributes"]]:
    """The rows of a table of all classes that labels refer to, counting from 0 or from 1.

    It must be certain which: the rows agree with other attributes, or a label is 0 or the number of rows.
    """
    exact: list[tuple[np.ndarray, int]] = []
    agreeing: list[tuple[np.ndarray, int]] = []
    for rows in (table, table.T):
        for base in (0, 1):
            if used.min() < base or used.max() >= len(rows) + base:
                continue
            if used.min() == 0 or used.max() == len(rows):
                exact.append((rows, base))
            others = {one - base: row for one, row in known.items() if 0 <= one - base < len(rows)}
            if others and all(
                len(row) == rows.shape[1] and np.allclose(rows[one], row) for one, row in others.items()
            ):
                agreeing.append((rows, base))
    fits = agreeing if len(agreeing) == 1 else exact
    if len(fits) != 1:
        what = "can be matched in several ways" if fits else "cannot be matched with certainty"
        fault = f"attributes {table.shape} and labels from {used.min()} to {used.max()} {what}"
        raise DataError(
            path, [fault], "Labels must be rows of the attributes (classes, attributes), from 0 or 1"
        )
    ((rows, base),) = fits
    return np.arange(len(rows)) + base, np.asarray(rows[used - base], dtype=np.float64)
