"""The data set that is looked at: what its splits and label files say, each fault on the way a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zslbench.data import (
    SPLIT_VARIABLES,
    SPLITS_FILE,
    MatValue,
    Variables,
    mat_variables,
    no_features,
    read_mat,
    read_split,
)
from zslbench.plugin import Dataset, OfficialSplit
from zslbench_data.checking.findings import Findings
from zslbench_data.download.catalogue import Entry

PARTS = ("trainval", "test_seen", "test_unseen")


@dataclass
class Subject:
    """What is known of a data set so far; None: it could not be read."""

    folder: Path
    entry: Entry | None
    """Of the catalogue, where it is an official data set."""
    splits: dict[str, MatValue] = field(default_factory=dict)
    labels: np.ndarray | None = None
    labels_from: str = ""
    image_files: tuple[str, ...] | None = None
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    """The split's parts, as far as they could be read."""
    class_names: tuple[str, ...] = ()
    split: OfficialSplit | None = None
    att: np.ndarray | None = None
    """(classes, attributes), float32."""

    def part_of(self) -> np.ndarray:
        """The number of each image's part in ``PARTS``; -1: none."""
        found = np.full(0 if self.labels is None else len(self.labels), -1)
        for number, part in enumerate(PARTS):
            rows = self.rows.get(part)
            if rows is not None:
                found[rows[(rows >= 0) & (rows < len(found))]] = number
        return found

    def dataset(self, semantics: np.ndarray, name: str) -> Dataset | None:
        """The data set with these class semantics and no features."""
        if self.labels is None or self.split is None:
            return None
        return Dataset(
            name=self.folder.name,
            features=no_features(len(self.labels)),
            labels=self.labels,
            class_names=self.class_names,
            semantics=semantics,
            split=self.split,
            features_name="none",
            semantics_name=name,
            image_files=self.image_files,
        )


def read_subject(folder: Path, entry: Entry | None, findings: Findings) -> Subject:
    """Read splits and labels, and hold the files that have labels against each other."""
    subject = Subject(folder, entry)
    with findings.guard(SPLITS_FILE):
        subject.splits = read_mat(folder / SPLITS_FILE, {*SPLIT_VARIABLES, "att", "original_att"})
    _labels(subject, findings)
    if subject.splits:
        complete(subject, findings)
    return subject


def complete(subject: Subject, findings: Findings) -> None:
    """The split, the classes and ``att``, from the splits file and the labels."""
    faults: list[str] = []
    att = Variables(faults).matrix(subject.splits, SPLITS_FILE, "att")
    if att is not None:
        with np.errstate(over="ignore"):
            subject.att = np.ascontiguousarray(att.T, dtype=np.float32)
    reading = read_split(
        subject.folder, subject.splits, subject.labels, None if att is None else att.shape[1]
    )
    subject.rows, subject.class_names, subject.split = reading.parts, reading.class_names, reading.split
    findings.faults(faults + reading.faults, SPLITS_FILE)
    for note in reading.notes:
        findings.ok(note, SPLITS_FILE)


def _labels(subject: Subject, findings: Findings) -> None:
    """Labels and image names of the first file that has them; others must say the same."""
    paths = sorted(subject.folder.glob("*.mat"), key=lambda one: (one.name != "res101.mat", one.name))
    for path in paths:
        with findings.guard(path.name):
            if "labels" not in mat_variables(path):
                continue
            here = read_mat(path, {"labels", "image_files"})
            faults: list[str] = []
            labels = Variables(faults).indices(here, path.name, "labels")
            findings.faults(faults, path.name)
            if labels is None:
                continue
            if subject.labels is None:
                subject.labels, subject.labels_from = labels, path.name
            elif len(labels) != len(subject.labels):
                findings.error(
                    f"{len(labels)} images, {subject.labels_from} has {len(subject.labels)}", path.name
                )
                continue
            elif (differ := int(np.count_nonzero(labels != subject.labels))) > 0:
                findings.error(f"labels differ from those of {subject.labels_from}", path.name, differ)
            names = here.get("image_files")
            if isinstance(names, list):
                if len(names) != len(labels):
                    findings.error(f"{len(names)} image_files of {len(labels)} images", path.name)
                elif subject.image_files is None:
                    subject.image_files = tuple(names)
                elif (other := sum(a != b for a, b in zip(names, subject.image_files, strict=True))) > 0:
                    findings.error("image names differ between the files with labels", path.name, other)
