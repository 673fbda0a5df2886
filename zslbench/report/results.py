"""Runs as rows: what they are called, which belong together, and frames of their metrics in percent."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zslbench.data.locations import dataset_key
from zslbench.errors import DataError, UnknownName
from zslbench.evaluation.candidates import ALL, TEST
from zslbench.evaluation.metrics import METRICS, Metric, criteria
from zslbench.evaluation.selection import uses_test_images
from zslbench.experiment.recipe import label_text
from zslbench.plugin.presets import flatten
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


def trust_mark(records: Iterable[RunRecord]) -> str:
    """The mark of a row with a transductive run, or with one whose regions were not compared with their
    digests."""
    runs = tuple(records)
    mark = " (transductive)" if any(knowledge_of_test(one.info) for one in runs) else ""
    return mark if all(map(is_verified, runs)) else f"{mark} (unverified)"


def dataset_label(name: str, records: Sequence[RunRecord]) -> str:
    """The data set's name in tables for readers: ``toy (simulated)``."""
    simulated = any(is_simulated(one) for one in records if one.info.dataset == dataset_key(name))
    return f"{name} (simulated)" if simulated else name


def leak_notes(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each way in which test images took part in any of the runs; empty if they did not."""
    oracle = any(uses_test_images(record.info.selection) for record in records)
    return [*([ORACLE_NOTE] if oracle else []), *transductive_notes(records)]


def transductive_notes(records: Sequence[RunRecord]) -> list[str]:
    """A sentence on what transductive runs knew; empty if there are none."""
    known = sorted({what for one in records for what in knowledge_of_test(one.info)})
    text = "fitted with knowledge that other rows do not have; do not compare them"
    return [f"transductive ({', '.join(known)}): {text}"] if known else []


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
    candidates, and whose regions were all verified or all not. None: it is not ranked, since test images took
    part in its fit or selection."""
    if uses_test_images(record.info.selection) or knowledge_of_test(record.info):
        return None
    return candidates_key(record) + trust_mark([record])


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
                "transductive": ", ".join(knowledge_of_test(record.info)),
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
    shown = {one: of for one, of in values.items() if one.headline or any(value == value for value in of)}
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
    keys = ("epochs", *(f"{one.key}_epoch" for one in reversed(criteria())))
    return next((record.metrics[key] for key in keys if record.metrics.get(key)), None)


# --- groups -------------------------------------------------------------------------------------


def distinct_runs(records: Sequence[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """Runs that differ in their seed only, grouped, each group with what sets it apart from the others."""
    groups: dict[tuple[tuple[str, str], ...], dict[int, RunRecord]] = {}
    for record in records:
        others = {name: value for name, value in record.info.identity.items() if name != "seed"}
        # Settings are known without the name of their section: generator.lr.
        flat = flatten(others | {"settings": {}}) | flatten(others.get("settings", {}))
        facts = tuple(sorted((name, str(value)) for name, value in flat.items()))
        groups.setdefault(facts, {})[record.info.seed] = record
    shared = set.intersection(*(set(facts) for facts in groups))
    apart = sorted({name for facts in groups for name, value in facts if (name, value) not in shared})
    return [
        (
            ", ".join(f"{name}={shortened(dict(facts).get(name, 'absent'))}" for name in apart),
            [group[seed] for seed in sorted(group)],
        )
        for facts, group in groups.items()
    ]


def shortened(value: str) -> str:
    """Eight digits of a sha256 tell two apart; 64 would fill a table."""
    return value[:8] if re.fullmatch("[0-9a-f]{64}", value) else value
