"""Puts submitted scores into the order of a data set's test images and classes, and checks that they fit.

The evaluator takes scores over the seen classes and the candidates, ascending, for the test_seen images and
then the test_unseen ones, in the order of the split. They may name their images and classes in any order;
if they name none, they must be in this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from zslbench.data import few
from zslbench.errors import DataError, did_you_mean
from zslbench.evaluation import candidates_of
from zslbench.plugin import Dataset, Indices
from zslbench_external.submitted import NO_CLASS, SubmittedScores


@dataclass(frozen=True)
class Aligned:
    """Scores in the evaluator's order, for each task that was submitted."""

    scores: Mapping[str, np.ndarray]
    """By task, ``gzsl`` (n, classes) and ``czsl`` (m, unseen)."""
    labels_only: frozenset[str]
    """Tasks with predicted classes only: their scores are 1 for the prediction and 0 otherwise."""
    notes: tuple[str, ...] = ()


class Target:
    """The test images and classes of a data set, against which submitted scores are checked."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, split = dataset, dataset.split
        self.names = tuple(map(str, dataset.class_names))
        self.seen = np.unique(dataset.labels[split.trainval])
        self.unseen = candidates_of(dataset).classes
        self.space = np.union1d(self.seen, self.unseen)
        self.rows = {
            "gzsl": np.concatenate([split.test_seen, split.test_unseen]).astype(np.int64),
            "czsl": split.test_unseen.astype(np.int64),
        }
        self.columns: dict[str, Indices] = {"gzsl": self.space, "czsl": self.unseen}

    def align(self, submitted: SubmittedScores, *, restrict: bool = True) -> Aligned:
        """The submitted scores in the evaluator's order.

        Args:
            restrict: whether CZSL, without scores of its own, takes those of GZSL over the unseen classes.

        Raises:
            DataError: classes or images are missing, repeated, unknown or of another split; true classes
                differ from the data set's; or scores are NaN or infinite.
        """
        return _Alignment(self, submitted).result(restrict)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Class ids by name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def files(self) -> dict[str, int]:
        """Rows by file name; empty if the data set does not name its images."""
        return {name: row for row, name in enumerate(self.dataset.image_files or ())}

    def name(self, one: int) -> str:
        return self.names[one]


class _Alignment:
    def __init__(self, target: Target, submitted: SubmittedScores) -> None:
        self.target, self.submitted = target, submitted
        self.notes: list[str] = []

    def result(self, restrict: bool) -> Aligned:
        found, target = self.submitted, self.target
        self._check_sides()
        given = {task: one for task, one in (("gzsl", found.gzsl), ("czsl", found.czsl)) if one is not None}
        classes = None if found.classes is None else self._class_ids(found.classes, "classes")
        if found.scores is not None:
            given[self._task_of(found.scores.shape[1], classes)] = found.scores
        images, only = self._image_rows(), len(given) == 1
        scores: dict[str, np.ndarray] = {}
        for task, values in given.items():
            places = self._places_of_images(task, images, len(values))
            if values.ndim == 2:
                order = self._places_of_classes(task, classes, only, values.shape[1])
                self._check_finite(task, values)
                scores[task] = _as_float(values[places][:, order])
            else:
                scores[task] = self._one_hot(task, values[places])
        labels_only = frozenset(task for task, values in given.items() if values.ndim == 1)
        if restrict and "gzsl" in scores and "czsl" not in scores and "gzsl" not in labels_only:
            unseen = np.searchsorted(target.space, target.unseen)
            scores["czsl"] = np.ascontiguousarray(
                scores["gzsl"][len(target.dataset.split.test_seen) :, unseen]
            )
            self.notes.append("Acc is computed from the GZSL scores of the unseen classes")
        if "gzsl" in scores and not len(target.dataset.split.test_seen):
            del scores["gzsl"]
            if not scores:
                raise self._fail(
                    f"'{target.dataset.name}' has no test_seen images: only CZSL can be evaluated"
                )
            self.notes.append("the data set has no test_seen images: only CZSL is evaluated")
        return Aligned(scores, labels_only, tuple(self.notes))

    def _fail(self, *faults: str, advice: str = "") -> DataError:
        return DataError(self.submitted.where, faults, advice)

    # --- classes -----------------------------------------------------------------------------------

    def _class_ids(self, given: np.ndarray, what: str) -> Indices:
        """Class ids for names or ids, all of which must be in the data set."""
        target = self.target
        if given.dtype.kind in "iu":
            wrong = given[(given < 0) | (given >= len(target.names))]
            if len(wrong):
                shown, last = few(np.unique(wrong).tolist()), len(target.names) - 1
                fault = f"'{what}' has ids outside 0 to {last}: {len(wrong)} ({shown})"
                raise self._fail(fault, advice="Ids count from 0")
            return np.asarray(given, dtype=np.int64)
        names = [str(name) for name in given.tolist()]
        unknown = list(
            dict.fromkeys(name for name in names if name not in target.numbers and name != NO_CLASS)
        )
        if unknown:
            hint = did_you_mean(unknown[0], target.numbers)
            raise self._fail(
                f"classes unknown to '{target.dataset.name}': {len(unknown)} ({few(unknown)}), {hint}"
            )
        return np.array([target.numbers.get(name, -1) for name in names], dtype=np.int64)

    def _check_sides(self) -> None:
        for what, given, own in (
            ("seen_classes", self.submitted.seen_classes, self.target.seen),
            ("unseen_classes", self.submitted.unseen_classes, self.target.unseen),
        ):
            if given is not None and len(odd := np.setxor1d(self._class_ids(given, what), own)):
                shown = few(self.target.name(one) for one in odd.tolist())
                raise self._fail(f"'{what}' is of another split; classes that differ: {len(odd)} ({shown})")

    def _task_of(self, width: int, classes: Indices | None) -> str:
        """Whether ``scores`` are for GZSL or CZSL."""
        target = self.target
        if classes is None:
            widths = {len(target.space): "gzsl", len(target.unseen): "czsl"}
            task = widths.get(width)
            if task is None:
                raise self._fail(
                    f"scores of {width} classes; '{target.dataset.name}' has {len(target.space)} for GZSL "
                    f"and {len(target.unseen)} unseen ones for CZSL"
                )
        else:
            task = "czsl" if len(classes) and np.isin(classes, target.unseen).all() else "gzsl"
        if getattr(self.submitted, task) is not None:
            raise self._fail(f"'scores' and '{task}' are both for {task.upper()}; give one")
        return task

    def _places_of_classes(self, task: str, classes: Indices | None, only: bool, width: int) -> Indices:
        """The column of each class, in the evaluator's order."""
        wanted = self.target.columns[task]
        if classes is None:
            if width != len(wanted):
                raise self._fail(f"{task.upper()} scores of {width} classes, not of {len(wanted)}")
            return np.arange(width)
        # Beside GZSL scores, whose classes are listed, CZSL scores have the unseen ones among these.
        listed = classes if task == "gzsl" or only else classes[np.isin(classes, wanted)]
        self._check_cover(f"{task.upper()}: classes", listed, wanted, self.target.name)
        if width != len(listed):
            raise self._fail(f"{task.upper()} scores of {width} classes, but {len(listed)} are listed")
        return _places(listed, wanted)

    def _one_hot(self, task: str, values: np.ndarray) -> np.ndarray:
        """Predicted classes as scores."""
        wanted = self.target.columns[task]
        if blank := np.count_nonzero(values == "") if values.dtype.kind not in "iu" else 0:
            raise self._fail(f"{task.upper()}: {blank} of {len(values)} images have no prediction")
        ids = self._class_ids(values, task)
        wrong = ids[~np.isin(ids, wanted) & (ids >= 0)]
        if len(wrong):
            shown = few(self.target.name(one) for one in np.unique(wrong).tolist())
            what = "not unseen classes" if task == "czsl" else "neither seen classes nor candidates"
            raise self._fail(f"{task.upper()} predictions that are {what}: {len(wrong)} ({shown})")
        scores = np.zeros((len(ids), len(wanted)), dtype=np.float32)
        named = np.flatnonzero(ids >= 0)
        scores[named, np.searchsorted(wanted, ids[named])] = 1
        return scores

    # --- images ------------------------------------------------------------------------------------

    def _image_rows(self) -> Indices | None:
        """Rows of the data set, after a check of the true classes; None: no images are named."""
        given, target = self.submitted.images, self.target
        if given is None:
            rows = None
        elif given.dtype.kind in "iu":
            rows = np.asarray(given, dtype=np.int64)
        else:
            rows = self._rows_of_files([str(name) for name in given.tolist()])
        labels = self.submitted.labels
        if labels is None:
            if rows is None:
                self.notes.append(
                    "images are not named: rows are assumed to be the test_seen images and then the "
                    "test_unseen ones, in the order of the split"
                )
            return rows
        ids = self._class_ids(labels, "labels")
        own = rows
        if own is None:
            tasks = [one for one in target.rows.values() if len(one) == len(ids)]
            own = tasks[0] if tasks else target.rows["gzsl"]
        if len(own) != len(ids):
            raise self._fail(f"{len(ids)} true classes ('labels' or 'class') for {len(own)} images")
        inside = (own >= 0) & (own < len(target.dataset.labels))
        wrong = np.count_nonzero(target.dataset.labels[own[inside]] != ids[inside])
        if wrong:
            raise self._fail(
                f"the true classes of {wrong} of {len(own)} images are not those of "
                f"'{target.dataset.name}': the images or the class ids are in another order"
            )
        return rows

    def _rows_of_files(self, names: Sequence[str]) -> Indices:
        files, data = self.target.files, self.target.dataset.name
        if not files:
            raise self._fail(
                f"images are given by file name, but '{data}' does not list file names",
                advice="Give 'image_index' (in CSV, the column 'image'): rows counted from 0",
            )
        unknown = [name for name in names if name not in files]
        if unknown:
            files = _by_last_parts(files, len(PurePosixPath(unknown[0]).parts))
            names = [PurePosixPath(name).as_posix() for name in names]
            unknown = [name for name in names if files.get(name, -1) < 0]
        if unknown:
            raise self._fail(
                f"{len(unknown)} file names match no image of '{data}', or several ({few(unknown)})"
            )
        return np.array([files[name] for name in names], dtype=np.int64)

    def _places_of_images(self, task: str, images: Indices | None, count: int) -> Indices:
        """The row of each test image, in the evaluator's order."""
        wanted, target = self.target.rows[task], self.target
        if images is None:
            if count != len(wanted):
                split = target.dataset.split
                raise self._fail(
                    f"{task.upper()}: {count} rows, but '{target.dataset.name}' has {len(split.test_seen)} "
                    f"test_seen and {len(split.test_unseen)} test_unseen images"
                )
            return np.arange(count)
        listed = images if task == "gzsl" else images[~np.isin(images, target.dataset.split.test_seen)]
        if np.array_equal(np.sort(listed) - 1, np.sort(wanted)):
            raise self._fail("row numbers of images must count from 0; these count from 1")
        if trained := np.count_nonzero(np.isin(listed, target.dataset.split.trainval)):
            raise self._fail(
                f"{task.upper()}: {trained} of {len(listed)} images are training images of "
                f"'{target.dataset.name}': the scores are of another split"
            )
        self._check_cover(f"{task.upper()}: images", listed, wanted, self._image_name)
        if count != len(listed):
            raise self._fail(f"{task.upper()}: {count} rows for {len(listed)} images")
        return _places(listed, wanted)

    # --- both --------------------------------------------------------------------------------------

    def _image_name(self, row: int) -> str:
        files = self.target.dataset.image_files
        return str(row) if files is None or not 0 <= row < len(files) else files[row]

    def _check_cover(self, what: str, listed: Indices, wanted: Indices, name: Callable[[int], str]) -> None:
        unique, counts = np.unique(listed, return_counts=True)
        faults = [
            f"{len(some)} {how} ({few(name(one) for one in some.tolist())})"
            for some, how in (
                (unique[counts > 1], "are listed twice"),
                (np.setdiff1d(wanted, unique), "are missing"),
                (np.setdiff1d(unique, wanted), "do not belong there"),
            )
            if len(some)
        ]
        if faults:
            raise self._fail(f"{what}: {', '.join(faults)}")

    def _check_finite(self, task: str, values: np.ndarray) -> None:
        if wrong := np.count_nonzero(~np.isfinite(values).all(axis=1)):
            raise self._fail(
                f"{task.upper()}: the scores of {wrong} of {len(values)} images are NaN or infinite"
            )


def _places(listed: Indices, wanted: Indices) -> Indices:
    """The index in ``listed`` of each wanted number; each occurs there once."""
    order = np.argsort(listed)
    return np.asarray(order[np.searchsorted(listed, wanted, sorter=order)])


def _as_float(values: np.ndarray) -> np.ndarray:
    """Floats that torch takes: float32 if they are float32 or half precision, otherwise float64."""
    kind = np.float32 if values.dtype.kind == "f" and values.dtype.itemsize <= 4 else np.float64
    return np.ascontiguousarray(values, dtype=kind)


def _by_last_parts(files: Mapping[str, int], parts: int) -> dict[str, int]:
    """Rows by the last parts of paths, since folders in front differ between machines; -1: several rows."""
    found: dict[str, int] = {}
    for name, row in files.items():
        last = "/".join(PurePosixPath(name).parts[-parts:])
        found[last] = -1 if last in found else row
    return found
