"""How real and synthetic features lie in backbone space and in the embedding's (SC-EGG, Figure 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.errors import ZslbenchError
from zslbench.report.results import label
from zslbench.store.record import RunRecord
from zslbench_report.plots.canvas import Figure, look
from zslbench_report.plots.fitted import FittedRun, Say, open_run, silent
from zslbench_report.plots.projection import project
from zslbench_report.plots.samples import Chosen, Samples, choose, embedded, real, synthetic, together
from zslbench_report.plots.scatter import draw

_NO_BASELINE = "real features only: no baseline run with a generator of these features was given"


@dataclass(frozen=True)
class Panel:
    """One space with its points."""

    name: str
    """``backbone`` or ``embedding``."""
    title: str
    note: str
    """What the reader must know of the panel; empty: nothing."""
    samples: Samples
    points: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Projection:
    """The points of both panels and what they are of."""

    record: RunRecord
    class_names: tuple[str, ...]
    chosen: Chosen
    panels: tuple[Panel, ...]

    def frame(self) -> pd.DataFrame:
        """One row per point: panel, kind, class, image (row number; missing for synthetic ones), x, y."""
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "panel": one.name,
                        "kind": one.samples.kinds,
                        "class_id": one.samples.labels,
                        "class": [self.class_names[label] for label in one.samples.labels],
                        "image": pd.array(one.samples.rows, dtype="Int64"),
                        "x": one.points[:, 0],
                        "y": one.points[:, 1],
                    }
                )
                for one in self.panels
            ],
            ignore_index=True,
        )


def figure(
    record: RunRecord,
    *,
    baseline: RunRecord | None = None,
    classes: int = 10,
    per_class: int = 50,
    seed: int = 0,
    data_root: str | Path | None = None,
    regions: str | None = None,
    say: Say = silent,
) -> Figure:
    """Two panels, backbone space and the embedding's, as :func:`compute` finds them."""
    found = compute(
        record,
        baseline=baseline,
        classes=classes,
        per_class=per_class,
        seed=seed,
        data_root=data_root,
        regions=regions,
        say=say,
    )
    return drawn(found)


def compute(
    record: RunRecord,
    *,
    baseline: RunRecord | None = None,
    classes: int = 10,
    per_class: int = 50,
    seed: int = 0,
    data_root: str | Path | None = None,
    regions: str | None = None,
    backbone: bool = True,
    say: Say = silent,
) -> Projection:
    """The coordinates of real seen, real unseen and synthetic unseen features in both spaces.

    Args:
        record: a run that was kept with its networks.
        baseline: a run on the same images whose generator works on the backbone's features; its synthetic
            features join the backbone's panel. None: that panel shows real features alone.
        classes: how many classes, half of them unseen; drawn by the seed.
        per_class: most test images of a class, and number of synthetic features of an unseen class.
        seed: of the choice, the synthetic features' noise and t-SNE. Same seed, same machine: same points.
        data_root: where data sets lie; None: the configured place.
        regions: name or path of the runs' region features; None: those of their records' names.
        backbone: False for the embedding's panel alone.
        say: is told what the user should know beside the figure.

    Raises:
        ZslbenchError: networks were not kept, the data are not the run's, or the baseline does not fit.
    """
    run = open_run(record, data_root, regions=regions, say=say)
    chosen = choose(run, classes, per_class, seed)
    name = record.info.identity["components"]["embedding"]
    space = "Dense-semantic space" if _semantic(run) else "Embedding space"
    own = synthetic(run, chosen, per_class, seed)
    panels = []
    if backbone and baseline is None:
        features = [real(run, chosen, run.dataset.features[chosen.rows])]
        panels.append(_panel("backbone", _title(run), _NO_BASELINE, features, seed))
    elif backbone and baseline is not None:
        other = _opened(run, baseline, data_root, regions, say)
        panels.append(_baseline(other, chosen, per_class, seed))
    note = "" if own is not None else f"real features only: {record.info.method} has no generator"
    parts = [real(run, chosen, embedded(run, chosen)), *([own] if own is not None else [])]
    panels.append(_panel("embedding", f"{space}: {name}", note, parts, seed))
    return Projection(record, run.dataset.class_names, chosen, tuple(panels))


def drawn(found: Projection) -> Figure:
    """The figure of a projection."""
    with look():
        return draw(
            found.record,
            found.class_names,
            found.chosen,
            [(one.title, one.note, one.samples, one.points) for one in found.panels],
        )


def _semantic(run: FittedRun) -> bool:
    """Whether g has class scores of its own: it was trained to tell classes apart."""
    return run.embedding.guide(run.embedding_networks) is not None


def _title(run: FittedRun) -> str:
    return f"Backbone space: {run.dataset.features_name}"


def _opened(
    run: FittedRun, baseline: RunRecord, data_root: str | Path | None, regions: str | None, say: Say
) -> FittedRun:
    """The baseline's run, if it is on the same images and its features are the backbone's.

    Its features file may be another one: a run on regions and its baseline need not name the same.
    """
    where = f"baseline run {baseline.info.id}"
    own, others = (
        (one.info.dataset, _sha256(one, "labels"), one.data["split_fingerprint"])
        for one in (run.record, baseline)
    )
    if own != others:
        raise ZslbenchError(
            f"{where} is on other images than run {run.record.info.id} ({baseline.info.dataset}, "
            f"{run.record.info.dataset}): give a run on the same data set and split"
        )
    other = open_run(baseline, data_root, regions=regions, say=say)
    if _semantic(other):
        name = baseline.info.identity["components"]["embedding"]
        raise ZslbenchError(
            f"{where}: its embedding '{name}' is trained to tell classes apart, so its features are not the "
            "backbone's; give a run whose embedding is 'identity'"
        )
    if other.generator is None:
        raise ZslbenchError(
            f"{where}: method '{baseline.info.method}' has no generator; give a run of one that has, as "
            "tf-vaegan"
        )
    return other


def _sha256(record: RunRecord, array: str) -> str | None:
    return next((one["sha256"] for one in record.data["arrays"] if one["array"] == array), None)


def _baseline(other: FittedRun, chosen: Chosen, per_class: int, seed: int) -> Panel:
    """The backbone's panel with a baseline's synthetic features."""
    made = synthetic(other, chosen, per_class, seed)
    assert made is not None  # _opened made sure
    note = f"synthetic features: {label(other.record)}, run {other.record.info.id}"
    return _panel("backbone", _title(other), note, [real(other, chosen, embedded(other, chosen)), made], seed)


def _panel(name: str, title: str, note: str, parts: list[Samples], seed: int) -> Panel:
    samples = together(parts)
    return Panel(name, title, note, samples, project(samples.features, seed))
