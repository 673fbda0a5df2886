"""Runs as rows: what they are called, which belong together, and frames of their metrics in percent."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zslbench.data.locations import dataset_key
from zslbench.data.split_sets import in_split_set
from zslbench.errors import DataError, UnknownName
from zslbench.evaluation.candidates import ALL, TEST
from zslbench.evaluation.metrics import METRICS, Metric
from zslbench.evaluation.selection import EXTERNAL, uses_test_images
from zslbench.experiment.recipe import label_text
from zslbench.plugin.presets import flatten
from zslbench.report.figures import CHOSEN_EPOCHS
from zslbench.report.statistics import interval
from zslbench.report.tables.model import Cell, Table, as_table, frame_of
from zslbench.store.record import RunInfo, RunRecord

if TYPE_CHECKING:
    import pandas as pd

ORACLE_MARK = "†"
ORACLE_NOTE = (
    f"{ORACLE_MARK} oracle: epochs and classifiers chosen on the test images, Acc and H separately, as "
    "published code does; never compare with the other rows"
)
SELECTIONS = ("val", "last", "oracle", "oracle-scripts", EXTERNAL)
"""In the order of a method's rows in tables."""

EXTERNAL_NOTE = (
    "external: scores made elsewhere and evaluated by zslbench; how their epochs and settings were chosen "
    "is unknown, so they are never ranked"
)

# --- names ---------------------------------------------------------------------------------------


def method_name(record: RunRecord) -> str:
    """Method, variant, and the reading where it is not the method's first."""
    reading = record.environment.get("reading") or {}
    name = None if reading.get("default") else record.info.reading
    return label_text(record.info.method, record.info.variant, name)


def method_label(record: RunRecord) -> str:
    """The :func:`method_name` with the run's :func:`trust_mark`."""
    return method_name(record) + trust_mark([record])


def is_simulated(record: RunRecord) -> bool:
    """Whether the run's data are not real."""
    return bool(record.data.get("extra", {}).get("simulated"))


def is_verified(record: RunRecord) -> bool:
    """Whether the run's regions were compared with their digests (not with ``--trust-store``)."""
    return bool((record.data.get("regions") or {}).get("verified", True))


def knowledge_of_test(run: RunInfo) -> tuple[str, ...]:
    """What the run's components knew about test images, as its reading declares: if anything, the run is
    transductive."""
    return tuple(run.identity.get("transductive", ()))


def own_offset(run: RunInfo) -> tuple[str, ...]:
    """The offset between seen and unseen classes that is the method's own; empty if it has none."""
    return tuple(filter(None, [run.identity.get("calibrated")]))


@dataclass(frozen=True)
class Mark:
    """A property of runs that tables, reports and trackers show beside the method."""

    name: str
    """Shown in brackets after the method, and the name of its column for programs."""
    details: Callable[[RunInfo], tuple[str, ...]]
    """Details for a run's notes, for example what was known; empty: the run does not have the mark."""
    note: str
    """What the mark means for a comparison."""
    apart: bool = True
    """Whether runs with it are never ranked with runs without."""


MARKS = (
    Mark(
        "transductive",
        knowledge_of_test,
        "fitted with knowledge that other rows do not have; do not compare them",
    ),
    Mark(
        "fine-tuned",
        lambda run: ("backbone",) if run.identity.get("fine-tuned") else (),
        "trained on the data set's pictures; do not compare with rows on frozen features",
    ),
    Mark(
        "calibrated",
        own_offset,
        "the method itself adds this to the scores of unseen classes (calibrated stacking); AUSUC and H_cal "
        "compare rows with and without such an offset",
        apart=False,
    ),
)


def _mark(runs: Sequence[RunRecord], marks: Iterable[Mark]) -> str:
    shown = [mark.name for mark in marks if any(mark.details(one.info) for one in runs)]
    shown += [] if all(map(is_verified, runs)) else ["unverified"]
    return "".join(f" ({name})" for name in shown)


def trust_mark(records: Iterable[RunRecord]) -> str:
    """The marks of a row: of ``MARKS`` those that one of its runs has, and whether the regions of one were
    not compared with their digests."""
    return _mark(tuple(records), MARKS)


def dataset_label(name: str, records: Sequence[RunRecord]) -> str:
    """The data set's name in tables for readers: ``toy (simulated)``."""
    of = [one for one in records if is_simulated(one)]
    simulated = any(
        one.info.dataset == dataset_key(name) or in_split_set(name, one.info.dataset) for one in of
    )
    return f"{name} (simulated)" if simulated else name


def trust_notes(records: Sequence[RunRecord]) -> list[str]:
    """Notes on runs that were selected on test images, on external ones, and on marks."""
    modes = {record.info.selection for record in records}
    oracle = [ORACLE_NOTE] if any(map(uses_test_images, modes)) else []
    return [*oracle, *([EXTERNAL_NOTE] if EXTERNAL in modes else []), *mark_notes(records)]


def mark_notes(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each of ``MARKS`` that a run has."""
    found = {mark: sorted({text for one in records for text in mark.details(one.info)}) for mark in MARKS}
    return [f"{mark.name} ({', '.join(texts)}): {mark.note}" for mark, texts in found.items() if texts]


def mark_columns(records: Iterable[RunRecord], prefix: str = "") -> dict[str, str]:
    """Columns for programs: the details of each of ``MARKS`` in these runs."""
    runs = tuple(records)
    found = {mark.name: [text for one in runs for text in mark.details(one.info)] for mark in MARKS}
    return {f"{prefix}{name}": ", ".join(dict.fromkeys(texts)) for name, texts in found.items()}


def selection_label(selection: str) -> str:
    """The name of a selection in tables, marked if it uses test images."""
    return f"{selection}{ORACLE_MARK}" if uses_test_images(selection) else selection


def mode_mark(selection: str) -> str:
    """The mark on numbers of a selection other than ``val``."""
    return ORACLE_MARK if uses_test_images(selection) else "" if selection == "val" else f" ({selection})"


def selection_mark(record: RunRecord) -> str:
    """The mark on a number wherever it is shown: for a selection other than ``val``, candidates other than
    ``test``, and :func:`trust_mark`."""
    mark = mode_mark(record.info.selection) + trust_mark([record])
    chosen = candidates_label(record)
    return mark if chosen == TEST else f"{mark} (candidates {chosen})"


def candidates_label(record: RunRecord) -> str:
    """The name of the run's candidates: ``test``, ``all``, or the name of a file; ``unknown`` where an old
    record does not tell."""
    return str(record.data["candidates"]) if "candidates" in record.data else _old_candidates(record)


def ranking_key(record: RunRecord) -> str | None:
    """Equal for runs of one data set and selection that can be ranked together: those with the same
    candidates, with or without each mark that sets runs apart, and whose regions were all verified or all
    not. None: it is not ranked, since test images took part in its fit or selection, or may have done."""
    mode = record.info.selection
    if uses_test_images(mode) or mode == EXTERNAL or knowledge_of_test(record.info):
        return None
    return candidates_key(record) + _mark([record], [one for one in MARKS if one.apart])


def candidates_key(record: RunRecord) -> str:
    """Equal for runs with the same candidates."""
    label = candidates_label(record)
    chosen = record.info.identity.get("data", {}).get("candidates", {})
    return "" if label == TEST else str(chosen.get("classes", f"{label} of an old record"))


@functools.lru_cache(maxsize=4096)
def _old_candidates(record: RunRecord) -> str:
    """Those of a run from before there was a choice: all classes that are not seen."""
    try:
        table = record.table("classes")
    except (DataError, UnknownName):
        return "unknown"
    return ALL if ((table["side"] == "unseen") & (table["images"] == 0)).any() else TEST


# --- frames --------------------------------------------------------------------------------------


def runs_frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run: what it is, its metrics in percent (NaN where it has none), epochs and time."""
    return frame_of(
        [
            {
                "method": method_label(record),
                "dataset": record.info.dataset,
                "simulated": is_simulated(record),
                "features": record.data["features"],
                "semantics": record.data["semantics"],
                "selection": record.info.selection,
                "candidates": candidates_label(record),
                **mark_columns([record]),
                "seed": record.info.seed,
                **{one.name: one.of(record.metrics) for one in METRICS.values()},
                "epochs": _epochs(record),
                "seconds": record.environment.get("seconds"),
                "run": record.info.id,
            }
            for record in records
        ]
    )


def seeds_table(records: Sequence[RunRecord], title: str = "") -> Table:
    """One row per seed, and for two seeds and more a last row with mean ± standard deviation."""
    values = {one: [one.of(record.metrics) for record in records] for one in METRICS.values()}
    found = {one for one, of in values.items() if not one.on_request and any(value == value for value in of)}
    shown = {one: of for one, of in values.items() if one.headline or one in found}
    rows: list[dict[str, Any]] = [
        {
            "seed": Cell(words=f"{record.info.seed}{selection_mark(record)}"),
            **{one.name: Cell(of[place], digits=one.digits) for one, of in shown.items()},
            "epochs": _epochs(record),
            "run": record.info.id,
        }
        for place, record in enumerate(records)
    ]
    if len(records) > 1:
        means = {one.name: mean_std(of, one) for one, of in shown.items()}
        rows.append({"seed": f"mean ± std{selection_mark(records[0])}", **means, "epochs": None, "run": None})
    return as_table(rows, title=title)


def percent(value: object) -> float:
    """A fraction in percent; NaN for a missing figure."""
    return 100 * float(value) if isinstance(value, int | float) else math.nan


def mean_std(values: Iterable[float], metric: Metric) -> Cell:
    """A metric's mean ± sample standard deviation; missing if any value is."""
    found = interval(values)
    return Cell(found.mean, spread=found.std, digits=metric.digits)


def _epochs(record: RunRecord) -> Any:
    return next((record.metrics[key] for key in CHOSEN_EPOCHS if record.metrics.get(key)), None)


# --- groups -------------------------------------------------------------------------------------


def without_seed(record: RunRecord) -> dict[str, Any]:
    """The part of the identity that runs differing only in their seed share. It lacks the digests of an
    external run's scores, which differ with the seed."""
    return {key: value for key, value in record.info.identity.items() if key not in ("seed", EXTERNAL)}


def without_data(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an identity that runs on several splits share: it has the names of features, semantics and
    candidates but no digests of arrays."""
    components = {k: v for k, v in identity.get("components", {}).items() if k != "dataset"}
    data = {k: v for k, v in identity.get("data", {}).items() if k in ("features", "semantics", "finetuned")}
    if chosen := identity.get("data", {}).get("candidates", {}):
        data["candidates"] = chosen.get("name", "file")
    return {**identity, "components": components, "data": data}


def differences_text(facts: Mapping[str, str]) -> str:
    """What sets runs apart, in one line."""
    return ", ".join(f"{name}={value}" for name, value in facts.items())


_Facts = tuple[tuple[str, tuple[str, str]], ...]


def runs_apart(
    records: Sequence[RunRecord], *, splits: bool = False
) -> list[tuple[dict[str, str], list[RunRecord]]]:
    """Runs that differ in their seed only, grouped, each group with what sets it apart from the others as
    values by name.

    With ``splits`` the runs are on several splits of one data set, and those of a group differ in their split
    too; of runs on one split whose data changed, each version is in a group of its own.

    The value of a setting that validation searched is ``searched``, with the candidates if two groups would
    look the same. External runs with one seed and different scores, as an import may bring, form separate
    groups.
    """
    groups: dict[_Facts, dict[tuple[str, int], RunRecord]] = {}

    def seen(facts: _Facts) -> bool:
        return (record.info.dataset, record.info.seed) in groups.get(facts, {})

    for record in sorted(records, key=lambda one: one.info.id) if splits else records:
        others = without_seed(record)
        if splits:
            others = without_data(others)
        searched = others.get("search", {})
        # Settings are known without the name of their section: generator.lr.
        flat = flatten(others | {"settings": {}, "search": {}}) | flatten(others.get("settings", {}))
        values = dict.fromkeys(searched, "absent") | {name: str(value) for name, value in flat.items()}
        if seen(facts := _facts(values, searched)):
            more = flatten({name: record.info.identity.get(name, {}) for name in (EXTERNAL, "data")})
            facts = _facts(values | {name: str(value) for name, value in more.items()}, searched)
        groups.setdefault(facts, {})[record.info.dataset, record.info.seed] = record
    shared = set.intersection(*(set(facts) for facts in groups))
    apart = sorted({name for facts in groups for name, value in facts if (name, value) not in shared})
    texts = {
        name: _value_texts([dict(facts).get(name, ("absent", "")) for facts in groups]) for name in apart
    }
    return [
        ({name: texts[name][place] for name in apart}, [group[key] for key in sorted(group)])
        for place, group in enumerate(groups.values())
    ]


def _facts(values: Mapping[str, str], searched: Mapping[str, Any]) -> _Facts:
    return tuple(sorted((name, (value, str(searched.get(name, "")))) for name, value in values.items()))


def _value_texts(values: Sequence[tuple[str, str]]) -> list[str]:
    """A text for each pair of a value and the candidates that validation searched (empty: none); different
    pairs have different texts."""
    shown = ["searched" if grid else shortened(value) for value, grid in values]
    if len(set(shown)) == len(set(values)):
        return shown
    return [f"searched in {grid} from {value}" if grid else shortened(value) for value, grid in values]


def usual_facts(groups: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The most common value of each name among these groups; names with a tie for it are left out."""
    found = {}
    for name in {name: None for group in groups for name in group}:
        ranked = Counter(group.get(name, "absent") for group in groups).most_common(2)
        if len(ranked) == 1 or ranked[0][1] > ranked[1][1]:
            found[name] = ranked[0][0]
    return found


def shortened(value: str) -> str:
    """Eight digits of a sha256 tell two apart; 64 would fill a table."""
    return value[:8] if re.fullmatch("[0-9a-f]{64}", value) else value
