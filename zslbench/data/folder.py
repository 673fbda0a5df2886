"""Reads a data set's folder in the xlsa17 format, except its features: labels, classes, split, semantics.

:class:`FolderContents` reads as much as it can and collects everything that is wrong, so loading, checking,
importing and extraction all use it. Format: Xian et al., "Zero-Shot Learning - A Comprehensive Evaluation of
the Good, the Bad and the Ugly" (TPAMI 2018), archive xlsa17, version 2 of the proposed split. Indices and
labels count from 1 in the files and from 0 here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from zslbench.data.attributes import attribute_count, listed_lines, transposition
from zslbench.data.locations import SPLITS_FILE
from zslbench.data.matfile import MatValue, mat_variables, read_mat
from zslbench.data.validate import PARTS, Findings, Severity, class_name, dataset_findings, few
from zslbench.plugin.dataset import Dataset, Indices, OfficialSplit

SEMANTICS_FILES = {"att": SPLITS_FILE, "original_att": SPLITS_FILE, "sentence": "sent_splits.mat"}
"""Class semantics by name, and the file each is in."""

_SPLIT_VARIABLES = ("allclasses_names", *(f"{part}_loc" for part in (*PARTS, "train", "val")))
"""Variables that ``att_splits.mat`` and ``sent_splits.mat`` share."""

_LABEL_FILES = {"res101.mat": 0, "labels.mat": 2, SPLITS_FILE: 3}
"""Files with labels are read in this order, all others at 1."""

Attributes = Float[np.ndarray, "classes attributes"]


@dataclass(frozen=True)
class ImageLabels:
    """The class of every image."""

    labels: Indices
    """Class ids, int64."""
    file: str
    """Name of the file that they are from."""
    image_files: tuple[str, ...] | None = None


class FileVariables:
    """The variables of one MATLAB file; an unusable one is a finding.

    Args:
        file: its name, for findings.
        values: as read.
    """

    def __init__(self, file: str, values: Mapping[str, MatValue], findings: Findings) -> None:
        self.file, self.values, self.findings = file, values, findings

    def matrix(self, key: str) -> np.ndarray | None:
        """A matrix as in the file; None if it is missing or something else."""
        values = self._numbers(key)
        if values is not None and values.ndim != 2:
            self.findings.error(f"{key} has {values.ndim} axes instead of 2", self.file)
            return None
        return values

    def indices(self, key: str) -> Indices | None:
        """A 1-based index vector, as 0-based int64; None if it is missing or unusable."""
        values = self._numbers(key)
        if values is None:
            return None
        if values.size and values.size != max(values.shape, default=1):
            self.findings.error(f"{key} is {values.shape}, not a vector", self.file)
            return None
        flat = values.ravel()
        # The comparison is false for NaN; 2**53 bounds what a float64 can count.
        strange = ~(np.abs(flat.astype(np.float64)) < 2**53) | (flat != np.floor(flat))
        if count := int(np.count_nonzero(strange)):
            self.findings.error(f"{count} values of {key} are not whole numbers", self.file, count)
            return None
        return flat.astype(np.int64) - 1  # converted first: the files hold uint16, where 0 - 1 is 65535

    def labels(self) -> ImageLabels | None:
        """Labels and image names; None if there are no usable labels."""
        labels, names = self.indices("labels"), self.values.get("image_files")
        if labels is None:
            return None
        if isinstance(names, list) and len(names) != len(labels):
            self.findings.error(f"{len(names)} image_files, {len(labels)} labels", self.file)
            names = None
        return ImageLabels(labels, self.file, tuple(names) if isinstance(names, list) else None)

    def _numbers(self, key: str) -> np.ndarray | None:
        values = self.values.get(key)
        if isinstance(values, np.ndarray):
            return values
        self.findings.error(f"no variable '{key}'" if values is None else f"{key} is text", self.file)
        return None


class FolderContents:
    """What could be read of a folder: ``att_splits.mat``, class semantics and the lists of classes.

    Args:
        images: labels from :func:`label_files` or of region features; None: only what needs none is read.
        semantics: a key of ``SEMANTICS_FILES``.
        findings: where to collect what is wrong or worth noting; None: a new list.
    """

    def __init__(
        self,
        folder: Path,
        images: ImageLabels | None = None,
        semantics: str = "att",
        findings: Findings | None = None,
    ) -> None:
        self.folder, self.images, self.findings = folder, images, findings or Findings()
        self.variables: dict[str, MatValue] = {}
        """The variables of ``att_splits.mat``, as in the file."""
        self.semantics: Attributes | None = None
        self.parts: dict[str, Indices] = {}
        """Rows of each readable part of the split."""
        self.class_names: tuple[str, ...] = ()
        """By class id."""
        self.split: OfficialSplit | None = None
        """With the official validation classes; None without semantics, labels or one of the parts."""
        if not (folder / SPLITS_FILE).is_file():
            return
        readable = False
        with self.findings.guard(SPLITS_FILE):
            self.variables = _read_splits(folder / SPLITS_FILE)
            readable = True
        if readable:
            self._read(semantics)

    def _read(self, semantics: str) -> None:
        variables = FileVariables(SPLITS_FILE, self.variables, self.findings)
        with self.findings.guard(SEMANTICS_FILES[semantics]):
            self.semantics = self.read_semantics(semantics)
        for part in PARTS:
            if part == "test_seen" and f"{part}_loc" not in self.variables:  # a data set for CZSL only
                self.parts[part] = np.zeros(0, dtype=np.int64)
            elif (rows := variables.indices(f"{part}_loc")) is not None:
                self.parts[part] = rows
        train, val = (
            variables.indices(key) if key in self.variables else None for key in ("train_loc", "val_loc")
        )
        stored = self.variables.get("allclasses_names")
        self.class_names = tuple(name.strip() for name in stored) if isinstance(stored, list) else ()
        if self.images is not None and self.semantics is not None and len(self.parts) == len(PARTS):
            if not self.class_names:
                self.class_names = self._listed_names(len(self.semantics), self.images.labels)
            validation = self._validation_classes(self.images.labels, train, val)
            self.split = OfficialSplit(**self.parts, validation_classes=validation)
        if semantics != "sentence":
            self._note_missing_values()

    def read_semantics(self, name: str) -> Attributes | None:
        """Class semantics by name, float32; None if they are unusable.

        Raises:
            DataError: ``sent_splits.mat`` cannot be read.
        """
        file, variables = SEMANTICS_FILES[name], self.variables
        if name == "sentence":
            variables = _read_splits(self.folder / file)
            self._compare_splits(variables, file)
        key = "att" if name == "sentence" else name
        matrix = FileVariables(file, variables, self.findings).matrix(key)
        if matrix is None:
            return None
        attributes = {} if name == "sentence" else attribute_count(self.folder)
        fault = transposition(key, matrix.T, self._class_counts(), attributes)
        self.findings.extend([fault] if fault else [], file)
        return None if fault else transposed(matrix)

    def _class_counts(self) -> dict[str, int]:
        """The number of classes according to each source that states it."""
        names, listed = self.variables.get("allclasses_names"), listed_lines(self.folder / "allclasses.txt")
        labels = np.zeros(0) if self.images is None else self.images.labels
        found = {"class names": len(names) if isinstance(names, list) else len(listed)}
        return {
            key: count
            for key, count in (found | {"labels": int(labels.max(initial=-1)) + 1}).items()
            if count
        }

    def unchecked(self, name: str, semantics: Attributes | None = None) -> Dataset | None:
        """The data set without features and with these semantics; None if something cannot be read.

        Args:
            name: of the semantics.
            semantics: None: those that were read.
        """
        semantics = self.semantics if semantics is None else semantics
        if self.images is None or self.split is None or semantics is None:
            return None
        return Dataset(
            name=self.folder.name,
            features=no_features(len(self.images.labels)),
            labels=self.images.labels,
            class_names=self.class_names,
            semantics=semantics,
            split=self.split,
            features_name="none",
            semantics_name=name,
            image_files=self.images.image_files,
            notes=self.findings.notes,
        )

    def _listed_names(self, count: int, labels: Indices) -> tuple[str, ...]:
        """Names for a file without ``allclasses_names``.

        The lines of ``allclasses.txt``, if there are ``count`` different ones and ``testclasses.txt`` (where
        present) lists the unseen classes by them: some copies are not sorted by class id. Otherwise
        ``class_001`` and so on.
        """
        listed = listed_lines(self.folder / "allclasses.txt")
        if len(listed) == count == len(set(listed)):
            official = set(listed_lines(self.folder / "testclasses.txt"))
            unseen = _classes_of(labels, self.parts["test_unseen"])
            if not official or official == {listed[one] for one in unseen if one < count}:
                text = "class names are the lines of allclasses.txt, taken to be in the order of class ids"
                self.findings.note(text, SPLITS_FILE)
                return tuple(listed)
        text = "the data set has no class names; classes are numbered from class_001"
        self.findings.note(text, SPLITS_FILE)
        return tuple(f"class_{one:03d}" for one in range(1, count + 1))

    def _validation_classes(
        self, labels: Indices, train: Indices | None, val: Indices | None
    ) -> Indices | None:
        """Ids of the official validation classes, or None; compared with the lists of classes.

        They are the classes of ``val_loc``, else those in ``valclasses1.txt``. In version 2 of the split,
        ``train_loc`` and ``val_loc`` contain every test_seen image, in some copies none; so their classes are
        used, never their images.
        """
        parts, found = self.parts, self.findings
        self._compare_list("testclasses.txt", _classes_of(labels, parts["test_unseen"]), "test_unseen")
        if train is None or val is None:
            ids = self._listed_ids("valclasses1.txt")
            ids = None if ids is None else np.intersect1d(ids, labels)
            given = ids is not None and len(ids) > 0
            text = (
                "validation classes are those of valclasses1.txt"
                if given
                else "the data set has no validation classes of its own"
            )
            found.note(f"{SPLITS_FILE} lacks train_loc or val_loc; {text}", SPLITS_FILE)
            return ids if given else None
        both, validation = np.union1d(train, val), _classes_of(labels, val)
        outside = [part[(part < 0) | (part >= len(labels))] for part in (train, val)]
        for wrong, fault in (
            (np.concatenate(outside), f"have {{}} indices outside 1 to {len(labels)}"),
            (np.intersect1d(_classes_of(labels, train), validation), "share {} classes"),
            (np.intersect1d(both, parts["test_unseen"]), "contain {} test_unseen images"),
        ):
            if len(wrong):
                found.error(f"train_loc and val_loc {fault.format(len(wrong))}", SPLITS_FILE, len(wrong))
        text = f"train_loc and val_loc hold no test_seen images ({len(train)} and {len(val)} images)"
        if seen := len(np.intersect1d(both, parts["test_seen"])):
            text = f"train_loc and val_loc contain {seen} test_seen images, which validation leaves out"
        found.note(text, SPLITS_FILE)
        unassigned = len(np.setdiff1d(_classes_of(labels, parts["trainval"]), _classes_of(labels, both)))
        if unassigned:
            text = (
                f"{unassigned} seen classes are in neither train_loc nor val_loc; validation trains on them"
            )
            found.note(text, SPLITS_FILE)
        self._compare_list("valclasses1.txt", validation, "val_loc")
        return validation

    def _listed_ids(self, file: str) -> Indices | None:
        """Ids of the classes that a text file lists; None: there is no file, or it lists unknown ones."""
        if not (self.folder / file).is_file():
            return None
        listed = listed_lines(self.folder / file)
        ids = {name: number for number, name in reversed(list(enumerate(self.class_names)))}
        if unknown := [one for one in listed if one not in ids]:
            text = f"{file} lists {len(unknown)} unknown classes ({few(unknown)})"
            self.findings.error(text, SPLITS_FILE, len(unknown))
            return None
        return np.array(sorted({ids[one] for one in listed}), dtype=np.int64)

    def _compare_list(self, file: str, ids: Indices, part: str) -> None:
        listed = self._listed_ids(file)
        assert self.images is not None
        if listed is not None:  # classes without images cannot be in any part
            listed = np.intersect1d(listed, self.images.labels)
        odd = ids[:0] if listed is None else np.setxor1d(ids, listed)
        if len(odd):
            shown = few(class_name(self.class_names, one) for one in odd.tolist())
            text = f"{file} and the classes of {part} differ in {len(odd)} classes ({shown})"
            self.findings.error(text, SPLITS_FILE, len(odd))

    def _compare_splits(self, other: Mapping[str, MatValue], file: str) -> None:
        """Report where another splits file has other images or another order of classes."""
        for key in sorted({*_SPLIT_VARIABLES} & self.variables.keys() & other.keys()):
            ours, theirs = self.variables[key], other[key]
            if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
                same = np.array_equal(np.sort(ours, axis=None), np.sort(theirs, axis=None))
            else:
                same = isinstance(ours, list) and ours == theirs
            if not same:
                self.findings.error(f"{key} differs from that of {SPLITS_FILE}", file)

    def _note_missing_values(self) -> None:
        """AWA marks attribute values that nobody rated by -1."""
        original, names = self.variables.get("original_att"), self.class_names
        if not isinstance(original, np.ndarray) or original.ndim != 2 or original.shape[1] != len(names):
            return
        missing = original == -1
        if missing.any() and (original[~missing] >= 0).all():
            owners = ", ".join(names[one] for one in np.flatnonzero(missing.any(axis=0)))
            text = f"{np.count_nonzero(missing)} attribute values are missing (-1 in original_att) and kept"
            self.findings.note(f"{text}: {owners}", SPLITS_FILE)


def read_without_features(
    folder: Path, images: ImageLabels | None = None, semantics: str = "att"
) -> Dataset | None:
    """The data set in a folder, with one column of zeros as its features.

    Args:
        images: labels of another source; None: those of the first file with labels.

    Returns:
        None if there is no ``att_splits.mat`` or there are no labels.

    Raises:
        DataError: lists every fault.
    """
    findings = Findings()
    images = images or next(label_files(folder, findings, names=False), None)
    dataset = FolderContents(folder, images, semantics, findings).unchecked(semantics)
    if dataset is not None:
        findings.extend(dataset_findings(dataset))
    findings.raise_errors(folder)
    return dataset


def label_files(
    folder: Path, findings: Findings, *, names: bool = True, unreadable: Severity = "error"
) -> Iterator[ImageLabels]:
    """The labels in each file that has some: ``res101.mat``, other features, ``labels.mat``,
    ``att_splits.mat``.

    Args:
        findings: where unusable labels and unreadable files are reported.
        names: whether to read image names too (half a second for 37,000 images).
        unreadable: the severity of a file that cannot be read.
    """
    keys = {"labels", "image_files"} if names else {"labels"}
    for path in sorted(folder.glob("*.mat"), key=lambda one: (_LABEL_FILES.get(one.name, 1), one.name)):
        images = None
        with findings.guard(path.name, unreadable):
            if "labels" in mat_variables(path):
                images = FileVariables(path.name, read_mat(path, keys), findings).labels()
        if images is not None:
            yield images


def original_attributes(folder: Path) -> Attributes | None:
    """``original_att``, the ratings before normalisation (-1: nobody rated); None if there is none."""
    found = read_mat(folder / SPLITS_FILE, {"original_att"}).get("original_att")
    return transposed(found) if isinstance(found, np.ndarray) and found.ndim == 2 else None


def no_features(images: int) -> np.ndarray:
    """Features (images, 1) of zeros in the memory of one number, for checks of everything else."""
    return np.broadcast_to(np.float32(0), (images, 1))


def transposed(matrix: Shaped[np.ndarray, "columns rows"]) -> Float[np.ndarray, "rows columns"]:
    """A matrix of a file as float32 rows; what does not fit into float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(matrix.T, dtype=np.float32)


def _read_splits(path: Path) -> dict[str, MatValue]:
    return read_mat(path, {*_SPLIT_VARIABLES, "att", "original_att"})


def _classes_of(labels: Indices, rows: Indices) -> Indices:
    return np.asarray(np.unique(labels[rows[(rows >= 0) & (rows < len(labels))]]))
