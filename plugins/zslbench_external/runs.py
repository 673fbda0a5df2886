"""Evaluated scores as runs of the store."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

import zslbench
from zslbench import Result
from zslbench.data import array_sha256
from zslbench.errors import SettingsError
from zslbench.evaluation import EXTERNAL, METRICS, TEST, Evaluation, evaluate_scores
from zslbench.experiment import Notify, Part, core_version, provenance
from zslbench.plugin import Dataset
from zslbench.report import without_seed
from zslbench.store import RunContent, RunInfo, RunRecord, Store, run_id
from zslbench_external.alignment import Aligned

_GROUP = "unknown"
"""The method group under which tables list external rows."""


@dataclass(frozen=True)
class External:
    """What the user says about scores made elsewhere."""

    name: str
    source: str | None
    features: str
    semantics: str


def keep(
    what: External,
    part: Part,
    dataset: Dataset,
    found: Mapping[int, tuple[Aligned, Mapping[str, str]]],
    store: Store,
    notify: Notify,
) -> Result:
    """Evaluate the scores of each seed and store the runs. If any is refused, none is written.

    Args:
        found: by seed, the scores and the sha256 of each file by name.

    Raises:
        SettingsError: the store has other scores of this name and seed.
    """
    dataset = replace(dataset, name=part.name)
    data = _data(what, dataset)
    known = {one.info.id: one for one in store.records() if one.info.selection == EXTERNAL}
    contents = [
        _content(what, part, dataset, data, seed, aligned, files, store)
        for seed, (aligned, files) in found.items()
    ]
    for one in contents:
        _refuse_second_run(one, known.values())
    store.prepare()
    present = sum(one.info.id in known for one in contents)
    records = tuple(known.get(one.info.id) or store.write(one) for one in contents)
    if any(aligned.labels_only for aligned, _ in found.values()):
        notify("predicted classes without scores give no curve, AUSUC or top-5 accuracy")
    return Result(records, present)


def _data(what: External, dataset: Dataset) -> dict[str, Any]:
    """The record's data section; features and semantics are only what the user says."""
    read = provenance(dataset)
    unread = ("features", "semantics", "attribute_vectors", "regions")
    return {
        **read,
        "features": what.features,
        "semantics": what.semantics,
        "finetuned": None,
        "regions": None,
        "described": {name: one for name, one in read["described"].items() if name == "class_names"},
        "arrays": [one for one in read["arrays"] if one["array"] not in unread],
    }


def _identity(
    what: External, part: Part, data: Mapping[str, Any], seed: int, aligned: Aligned
) -> dict[str, Any]:
    """What the figures depend on: the core, and the scores in the evaluator's order, regardless of the file
    that they came from."""
    digests = {
        task: {"form": "labels" if task in aligned.labels_only else "scores", "sha256": array_sha256(scores)}
        for task, scores in aligned.scores.items()
    }
    return {
        "method": what.name,
        "variant": None,
        "components": {"dataset": part.name},
        "settings": {"dataset": part.values()},
        "tasks": sorted(aligned.scores),
        "selection": {"mode": EXTERNAL},
        EXTERNAL: {"source": what.source, **digests},
        "data": {
            "features": what.features,
            "semantics": what.semantics,
            "split": data["split_fingerprint"],
            "described": data["described"],
            **({} if data["candidates"] == TEST else {"candidates": {"classes": data["candidates_digest"]}}),
            "arrays": {one["array"]: one["sha256"] for one in data["arrays"]},
        },
        "seed": seed,
        "versions": {"zslbench": core_version()},
    }


def _content(
    what: External,
    part: Part,
    dataset: Dataset,
    data: Mapping[str, Any],
    seed: int,
    aligned: Aligned,
    files: Mapping[str, str],
    store: Store,
) -> RunContent:
    identity = _identity(what, part, data, seed, aligned)
    run, evaluation = run_id(identity), evaluate_scores(dataset, aligned.scores)
    return RunContent(
        info=RunInfo(
            id=run,
            method=what.name,
            variant=None,
            dataset=part.name,
            seed=seed,
            selection=EXTERNAL,
            identity=identity,
            folder=store.runs / run,
        ),
        metrics={
            key: figure
            for key, figure in evaluation.figures().items()
            if not (METRICS[key].needs_scores and METRICS[key].group.lower() in aligned.labels_only)
        },
        environment={
            "zslbench": zslbench.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "group": _GROUP,
            "files": dict(files),
        },
        data=data,
        notes=[*dataset.notes, *aligned.notes],
        tables=_tables(evaluation, aligned),
    )


def _tables(evaluation: Evaluation, aligned: Aligned) -> dict[str, pd.DataFrame]:
    predictions, scored = evaluation.predictions_table(), evaluation
    if "gzsl" in aligned.labels_only:  # of one-hot scores, the margin and the curve would mean nothing
        predictions, scored = predictions.drop(columns="gzsl_margin"), replace(evaluation, gzsl=None)
    return {
        "epochs": pd.DataFrame(),
        "candidates": pd.DataFrame(),
        "classes": evaluation.classes_table(),
        "predictions": predictions,
        "curve": scored.curve_table(),
        "networks": pd.DataFrame({"tensor": [], "shape": [], "dtype": [], "sha256": []}),
    }


def _refuse_second_run(content: RunContent, known: Iterable[RunRecord]) -> None:
    """Refuse a run whose row in tables already has one of its seed: a row shows one run per seed."""
    info = content.info
    for record in known:
        if record.info.id != info.id and record.info.seed == info.seed and _same_row(record, info):
            raise SettingsError(
                f"the store already has '{info.method}' on {info.dataset} with seed {info.seed}, "
                "from other scores or another source: give another --seed or --name, or remove that run with "
                f"'zslbench runs rm {record.info.id}'"
            )


def _same_row(record: RunRecord, info: RunInfo) -> bool:
    skipped = ("seed", EXTERNAL)
    return without_seed(record) == {key: one for key, one in info.identity.items() if key not in skipped}
