"""Classifies pictures or features with a finished run: ``zslbench.load(run).predict(images="FOLDER")``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zslbench.errors import PluginError, SettingsError
from zslbench.experiment import FittedRun, Notify, applied, choose_mode, load_run
from zslbench.store import RunRecord, Store
from zslbench_predict.classes import read_classes
from zslbench_predict.files import FeatureRows
from zslbench_predict.new_classes import with_classes

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.plugin import Task
    from zslbench_predict.pictures import Pictures


def predict(
    run: str | RunRecord | FittedRun,
    *,
    images: str | Path | None = None,
    features: str | Path | None = None,
    classes: str | Path | None = None,
    seen: bool | None = None,
    top: int = 5,
    calibrated: bool = False,
    settings: Mapping[str, Any] | None = None,
    batch: int | None = None,
    workers: int | None = None,
    regions: str | None = None,
    semantics: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    notify: Notify = lambda text: None,
) -> pd.DataFrame:
    """The highest-scoring classes of pictures, or of features.

    Args:
        run: a run that was stored with ``keep_weights``; or its id, or the first characters of it.
        images: a folder of pictures, or one picture. They pass through the extractor that the run's features
            came from.
        features: instead of pictures, a file with what the extractor would give
            (:class:`zslbench_predict.files.FeatureRows`).
        classes: a CSV file of new classes, known by their attributes only
            (:func:`zslbench_predict.classes.read_classes`); None: the run's own classes.
        seen: whether the run's seen classes are scored as well; None: not with new classes.
        top: how many classes each picture gets.
        calibrated: subtract the calibration offset that the run's validation chose from the scores of seen
            classes.
        settings: of the extractor, to override the recorded ones: ``{"extractor.weights": "FILE"}``.
        regions, semantics: where the run's are, if not under the names in its record.
        device, threads, data_root, store: as for :func:`zslbench.run`; unused if ``run`` is a ``FittedRun``.
        batch, workers: pictures at a time, and processes that decode them; None: as for extraction.
        notify: called with each line that the user should read.

    Returns:
        A row for each picture and class, best first: ``file`` (``row`` for features without names), ``rank``,
        ``class``, ``side`` (``seen``, ``unseen`` or ``new``) and ``score``, on the classifier's own scale. If
        pictures cannot be read, their single row has ``fault``, which says why, and no class.

    Raises:
        ZslbenchError: the run has no weights; its data, backbone or classes do not fit. One line says which.
    """
    if (images is None) == (features is None):
        raise SettingsError("give either images or features, not both")
    with contextlib.ExitStack() as held:
        if not isinstance(run, FittedRun):
            where = held.enter_context(applied(choose_mode(device, threads)))
            record = run if isinstance(run, RunRecord) else Store.default(store).resolve(run)
            run = load_run(
                record, data_root, regions=regions, semantics=semantics, notify=notify, device=where
            )
        source: Pictures | FeatureRows
        if images is not None:
            from zslbench_predict.pictures import Pictures  # needs the extra extract

            source = Pictures(run, Path(images), settings or {}, batch, workers, notify)
        else:
            source = FeatureRows(run, Path(str(features)))
        seen = ("gzsl" in run.fitter.tasks) and classes is None if seen is None else seen
        task: Task = "gzsl" if seen else "czsl"
        scored = run
        if classes is not None:
            scored = with_classes(run, *read_classes(Path(classes), run, notify), task)
        offset = _offset(run, seen) if calibrated else 0.0
        return _table(scored, task, source, top, offset, classes is not None)


def _offset(run: FittedRun, seen: bool) -> float:
    """The calibration offset γ that validation chose."""
    offset = run.record.metrics.get("offset")
    if offset is None or not seen:
        why = "scores no seen classes" if offset is not None else "has no calibration offset (--select val)"
        raise SettingsError(f"run {run.record.info.id}: {why}; leave out --calibrated")
    return float(offset)


def _table(
    run: FittedRun, task: Task, source: Pictures | FeatureRows, top: int, offset: float, new: bool
) -> pd.DataFrame:
    import pandas as pd

    names = run.classes(task)
    seen = {run.fold.space.names[one] for one in run.fold.space.seen.tolist()}
    sides = ["seen" if name in seen else "new" if new else "unseen" for name in names]
    favour = torch.tensor([offset if side == "seen" else 0.0 for side in sides], dtype=torch.float64)
    found: list[dict[str, Any]] = []
    for images, inputs, faults in source:
        rows = np.flatnonzero([not fault for fault in faults])
        order: dict[int, tuple[list[int], list[float]]] = {}
        if len(rows):
            scores = run.scores(inputs[rows], task, images[rows])
            which, best = _best(scores, favour if offset else None, top)
            order = dict(zip(rows.tolist(), zip(which.tolist(), best.tolist(), strict=True), strict=True))
        for place, image in enumerate(images.tolist()):
            picture = {source.key: source.name(image)}
            if place not in order:
                found.append({**picture, "fault": faults[place]})
                continue
            found += [
                {**picture, "rank": rank, "class": names[one], "side": sides[one], "score": score}
                for rank, (one, score) in enumerate(zip(*order[place], strict=True), 1)
            ]
    columns = [source.key, "rank", "class", "side", "score"]
    if any("fault" in row for row in found):
        columns.append("fault")
    return pd.DataFrame(found, columns=columns).astype({"rank": "Int64"})


def _best(scores: Tensor, favour: Tensor | None, top: int) -> tuple[Tensor, Tensor]:
    """Columns of the highest scores, and the scores, highest first; ties keep the order of the columns."""
    if torch.isnan(scores).any():
        raise PluginError("the classifier returned NaN scores")
    if favour is not None:
        scores = scores.double() - favour.to(scores.device)
    ordered, which = torch.sort(scores, dim=1, descending=True, stable=True)
    return which[:, :top], ordered[:, :top]
