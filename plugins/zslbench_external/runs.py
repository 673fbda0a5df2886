"""Evaluated scores as runs of the store."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from zslbench.store import RunContent, RunInfo, RunRecord, Store, canonical, run_id
from zslbench_external.alignment import Aligned

_GROUP = "unknown"
"""The method group under which tables list external rows."""
_ROUNDING = 1e-9
"""Differences of figures in percent up to this come from the order of sums."""


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
        SettingsError: the store has other scores of this name and seed, or other figures for these scores.
    """
    dataset = replace(dataset, name=part.name)
    data = _data(what, dataset)
    known = {one.info.id: one for one in store.records() if one.info.selection == EXTERNAL}
    contents = [
        _content(what, part, dataset, data, seed, aligned, files, store)
        for seed, (aligned, files) in found.items()
    ]
    stored = [_stored(one, known.values()) for one in contents]
    for text in _repeated_scores(contents, known.values()):
        notify(text)
    store.prepare()
    present = sum(one is not None for one in stored)
    records = tuple(record or store.write(content) for record, content in zip(stored, contents, strict=True))
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


def _stored(content: RunContent, known: Collection[RunRecord]) -> RunRecord | None:
    """The run of these scores in the store, even if another version of the code evaluated them; None: there
    is none.

    Raises:
        SettingsError: the store has other scores of this name and seed (a table's row shows one run per
            seed), or another version of the code has other figures for them.
    """
    info = content.info
    same = [one for one in known if one.info.seed == info.seed and _same_row(one.info, info)]
    # One that this version of the code evaluated comes first.
    for record in sorted(same, key=lambda one: one.info.id != info.id):
        if record.info.identity[EXTERNAL] != info.identity[EXTERNAL]:
            raise SettingsError(
                f"the store already has '{info.method}' on {info.dataset} with seed {info.seed}, "
                "from other scores or another source: give another --seed or --name, or remove that run with "
                f"'zslbench runs rm {record.info.id}'"
            )
        if apart := _figures_apart(record, content):
            raise SettingsError(
                f"'{info.method}' on {info.dataset} with seed {info.seed} was evaluated by another version "
                f"of the code, and its figures differ ({apart}): to evaluate it again, type "
                f"'zslbench runs rm {record.info.id}' and repeat the command"
            )
        return record
    return None


def _same_row(one: RunInfo, other: RunInfo) -> bool:
    """Whether the runs differ in seed, scores and versions of the code at most."""
    skipped = ("seed", "versions", EXTERNAL)
    a, b = ({key: of for key, of in run.identity.items() if key not in skipped} for run in (one, other))
    return a == b


def _figures_apart(record: RunRecord, content: RunContent) -> str:
    """``"H 53.1, now 53.2"``: metrics that both have with different values; empty: there are none."""
    pairs = [(one, one.of(record.metrics), one.of(content.metrics)) for one in METRICS.values()]
    return ", ".join(
        f"{one.name} {old:.6g}, now {new:.6g}" for one, old, new in pairs if abs(old - new) > _ROUNDING
    )


def _repeated_scores(contents: Sequence[RunContent], known: Iterable[RunRecord]) -> Iterator[str]:
    """A note for each set of scores given for several seeds of a row."""
    seeds: dict[str, set[int]] = {}
    for info in (*(one.info for one in contents), *(one.info for one in known)):
        if _same_row(info, contents[0].info):
            scores = {name: of for name, of in info.identity[EXTERNAL].items() if name != "source"}
            seeds.setdefault(canonical(scores), set()).add(info.seed)
    for same in seeds.values():
        if len(same) > 1 and same & {one.info.seed for one in contents}:
            names = " and ".join(map(str, sorted(same)))
            yield f"seeds {names} have the same scores, so they are not independent values"
