"""Methods × data sets: CZSL Acc | GZSL U S H, mean ± std over the seeds in the store. Figures in percent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zslbench.report.results import dataset_label, is_simulated, label, marked, mean_std, runs_frame
from zslbench.store.record import RunRecord

Key = tuple[str, ...]

_ABOUT = ("method", "selection", "group", "features", "semantics", "differs in")
_FIGURES = (("CZSL", "Acc"), ("GZSL", "U"), ("GZSL", "S"), ("GZSL", "H"))


def comparison_frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per method and data set, for programs: seeds, mean and standard deviation of each figure.

    Unlike numbers never share a row: rows are told apart by variant, features, semantics, selection and,
    where the store holds several runs of one seed, by whatever else they differ in (settings, versions,
    execution). A figure that one of a row's seeds lacks is missing, not averaged over the others; a single
    seed has no standard deviation.
    """
    rows = []
    for key, dataset, same in _groups(records):
        frame = runs_frame(same)
        row: dict[str, Any] = {**dict(zip(_ABOUT, key, strict=True)), "dataset": dataset, "seeds": len(same)}
        row["simulated"] = any(is_simulated(record) for record in same)
        for _, figure in _FIGURES:
            row[f"{figure}_mean"] = frame[figure].mean(skipna=False)
            row[f"{figure}_std"] = frame[figure].std(ddof=1, skipna=False)
        rows.append(row)
    return pd.DataFrame(rows)


def comparison_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """The same for readers: one row per method, three levels of columns (data set, CZSL or GZSL, figure)."""
    rows: dict[Key, dict[tuple[str, str, str], str | int | None]] = {}
    names = {name: dataset_label(name, records) for name in {record.info.dataset for record in records}}
    for key, name, same in _groups(records):
        dataset = names[name]
        row = rows.setdefault(key, {})
        frame = runs_frame(same)
        row[dataset, "", "seeds"] = len(same)
        for part, figure in _FIGURES:
            row[dataset, part, figure] = mean_std(frame[figure])
    datasets = [names[name] for name in sorted(names)]
    figures = [(dataset, *one) for dataset in datasets for one in (("", "seeds"), *_FIGURES)]
    columns = [("", "", name) for name in _ABOUT] + figures
    content = [
        [key[0], marked(key[1]), *key[2:], *(row.get(column) for column in figures)]
        for key, row in sorted(rows.items())
    ]
    table = pd.DataFrame(content, columns=pd.MultiIndex.from_tuples(columns), dtype=object)
    unused = [] if any(key[-1] for key in rows) else [("", "", "differs in")]
    return table.drop(columns=unused)


def _groups(records: Sequence[RunRecord]) -> list[tuple[Key, str, list[RunRecord]]]:
    """What belongs in one row: its key, its data set, and its runs by seed."""
    by_row: dict[tuple[Key, str], list[RunRecord]] = {}
    for record in records:
        by_row.setdefault((_row(record), record.info.dataset), []).append(record)
    return [
        ((*key, differs), dataset, same)
        for (key, dataset), members in sorted(by_row.items())
        for differs, same in _alike(members)
    ]


def _row(record: RunRecord) -> Key:
    return (
        label(record),
        record.info.selection,
        str(record.environment.get("group", "")),
        str(record.data["features"]),
        str(record.data["semantics"]),
    )


def _alike(records: Sequence[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """Runs that differ in their seed alone, grouped, each group with what sets it apart from the others."""
    groups: dict[tuple[tuple[str, str], ...], dict[int, RunRecord]] = {}
    for record in records:
        facts = tuple(sorted(_flat(record.info.identity).items()))
        groups.setdefault(facts, {})[record.info.seed] = record
    shared = set.intersection(*(set(facts) for facts in groups))
    apart = sorted({name for facts in groups for name, value in facts if (name, value) not in shared})
    return [
        (
            ", ".join(f"{name}={_brief(dict(facts).get(name, 'absent'))}" for name in apart),
            [group[seed] for seed in sorted(group)],
        )
        for facts, group in groups.items()
    ]


def _brief(value: str) -> str:
    """Eight digits of a sha256 tell two apart; 64 would fill a table."""
    return value[:8] if re.fullmatch("[0-9a-f]{64}", value) else value


def _flat(identity: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Everything that a run's numbers depend on but its seed, as ``{"generator.lr": "0.0001"}``."""
    flat: dict[str, str] = {}
    for name, value in identity.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, prefix if name == "settings" else f"{prefix}{name}.")
        elif prefix or name != "seed":
            flat[f"{prefix}{name}"] = str(value)
    return flat
