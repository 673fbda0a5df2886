"""One run: its details, the cost of its stages, how its settings are explained, what trackers log."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.errors import DataError, PluginError, UnknownName
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import METRICS
from zslbench.evaluation.selection import EXTERNAL, uses_test_images
from zslbench.experiment.recipe import label_text
from zslbench.plugin.boundary import one_line, plugin_code
from zslbench.plugin.declarations import Method
from zslbench.plugin.lookup import Registered, Registry
from zslbench.plugin.presets import flatten
from zslbench.plugin.targets import load_function
from zslbench.report.results import knowledge_of_test, percent, trust_notes
from zslbench.store.record import RunInfo, RunRecord

Details = list[tuple[str, Any]]

# --- details -------------------------------------------------------------------------------------

_SHOWN_ELSEWHERE = ("chosen", "preset", "reading", "stages", "tuned")
"""Entries of the environment that are in other sections."""


def run_details(record: RunRecord, explained: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """Rows of ``about``, ``name`` and ``value``: the run and its figures, then how they were obtained.

    Args:
        explained: the method's explanation of the run's settings (:func:`explain_run`).
    """
    info = record.info
    sections: dict[str, Details] = {
        "run": [
            ("id", info.id),
            *((name, getattr(info, name)) for name in ("method", "variant", "dataset", "seed")),
            ("finished", record.finished.isoformat(timespec="seconds")),
            ("folder", str(record.folder)),
            *(("mark", text) for text in trust_notes([record])),
        ],
        "figures": [(name, _figure(name, value)) for name, value in record.metrics.items()],
        "95 % over classes": _over_classes(record),
        "reading": [*_reading(record), *explained],
        "selection": list(info.identity["selection"].items()),
        EXTERNAL: list(flatten(info.identity.get(EXTERNAL, {})).items()),
        "components": list(info.identity["components"].items()),
        "settings": [*_settings(record), ("preset", record.environment.get("preset"))],
        "search": [row for one in record.environment.get("tuned") or () for row in one.items()],
        "stages": list(stage_rows(record)),
        "data": [
            *((key, value) for key, value in record.data.items() if key != "arrays"),
            *(
                (f"sha256 of {one['array']}", f"{one['sha256']} {one['file']}".strip())
                for one in record.data["arrays"]
            ),
        ],
        "environment": [one for one in record.environment.items() if one[0] not in _SHOWN_ELSEWHERE],
        "notes": [(str(number), text) for number, text in enumerate(record.notes, 1)],
    }
    return [
        {
            "about": about,
            "name": name,
            "value": value if value is None or isinstance(value, str) else json.dumps(value),
        }
        for about, rows in sections.items()
        for name, value in rows
    ]


def _figure(name: str, value: object) -> object:
    metric = METRICS.get(name.removeprefix("val_"))
    fraction = isinstance(value, float) and metric is not None and metric.percent
    return f"{percent(value):.2f} %" if fraction else value


def _over_classes(record: RunRecord) -> Details:
    """Bootstrap intervals over classes, the only ones that a single run has."""
    from zslbench.report.bootstrap import over_classes

    try:
        table = record.table("classes")
    except (DataError, UnknownName):  # the rest of a damaged run can still be shown
        return []
    return [
        (name, one.reason or f"{one.low:.2f} to {one.high:.2f} % ({one.n} classes, BCa bootstrap)")
        for name, one in over_classes(table).items()
        if not math.isnan(one.mean)
    ]


def _reading(record: RunRecord) -> Details:
    if record.info.reading is None:
        return []
    reading = record.environment.get("reading") or {}
    name = f"{record.info.reading} (default)" if reading.get("default") else record.info.reading
    known = ", ".join(knowledge_of_test(record.info))
    more = (("summary", reading.get("summary")), ("transductive", f"fitted with {known}" if known else None))
    return [("name", name), *((what, text) for what, text in more if text)]


def _settings(record: RunRecord) -> Details:
    """The run's settings; those that validation chose are marked."""
    chosen = record.environment.get("chosen") or {}
    given = flatten(record.info.identity["settings"])
    return [(key, f"{chosen[key]} (chosen)" if key in chosen else value) for key, value in given.items()]


# --- stages --------------------------------------------------------------------------------------


def stage_rows(record: RunRecord) -> list[tuple[str, str]]:
    """Each stage that was stored or reused: its name and ``"trained in 12 s, key 0123"``, in order."""
    rows = []
    for stage in _stages(record):
        seconds = f"{_seconds(stage):.1f} s"
        text = f"reused, took {seconds} when it was trained" if stage["reused"] else f"trained in {seconds}"
        rows.append((str(stage["stage"]), f"{text}, key {stage['key']}" if stage.get("key") else text))
    return rows


def stages_line(records: Sequence[RunRecord]) -> str | None:
    """``"stages: 10 trained in 312 s, 14 reused (saved 420 s)"``; None: no record has any stage."""
    stages = [one for record in records for one in _stages(record)]
    if not stages:
        return None
    trained = [_seconds(one) for one in stages if not one["reused"]]
    reused = [_seconds(one) for one in stages if one["reused"]]
    text = f"stages: {len(trained)} trained in {sum(trained):.0f} s, {len(reused)} reused"
    return f"{text} (saved {sum(reused):.0f} s)" if reused else text


def _stages(record: RunRecord) -> list[Mapping[str, Any]]:
    """Runs that an earlier version computed have none."""
    stages = record.environment.get("stages") or ()
    return [one for one in stages if isinstance(one, Mapping) and {"stage", "reused"} <= one.keys()]


def _seconds(stage: Mapping[str, Any]) -> float:
    value = stage.get("seconds")
    return float(value) if isinstance(value, int | float) else 0.0


# --- explanations --------------------------------------------------------------------------------


def explain_settings(
    one: Registered[Method], settings: Mapping[str, Mapping[str, Any]], dataset: str
) -> list[tuple[str, str]]:
    """The rows of the method's ``explain`` for these settings on a data set; empty: it declares none.

    Raises:
        PluginError: the function cannot be imported, fails or returns anything but rows.
    """
    target = one.declaration.explain
    if target is None:
        return []
    function = load_function(one, "explain")
    where = f"plugin '{one.plugin.name}': {target}"
    try:
        with plugin_code(where):
            named = {**settings.get("dataset", {}), "name": dataset}
            rows = list(function({**settings, "dataset": named}))
    except Exception as error:
        raise PluginError(f"{where} failed: {one_line(error)}") from error
    for row in rows:
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise PluginError(f"{where} returned {row!r}, which is not a row (name, value)")
    return [(str(name), str(value)) for name, value in rows]


def explain_run(record: RunRecord, known: Registry) -> list[tuple[str, str]]:
    """The rows for the settings that a run had, chosen hyper-parameters included.

    An external run has none, nor has a run of a method that is no longer installed.

    Raises:
        PluginError: as for :func:`explain_settings`.
    """
    methods = {one.name: one for one in known.methods()}
    if record.info.method not in methods or record.info.selection == EXTERNAL:
        return []
    settings = copy.deepcopy(dict(record.info.identity["settings"]))
    for key, value in (record.environment.get("chosen") or {}).items():
        kind, _, name = key.partition(".")
        settings.setdefault(kind, {})[name] = value
    return explain_settings(methods[record.info.method], settings, record.info.dataset)


# --- trackers ------------------------------------------------------------------------------------


def run_title(run: RunInfo) -> str:
    """A run in a few words: ``"tf-vaegan (no-feedback) on cub, seed 0"``."""
    return f"{label_text(run.method, run.variant, run.reading)} on {run.dataset}, seed {run.seed}"


def run_parameters(run: RunInfo) -> dict[str, Any]:
    """What the run is and its settings, as flat plain values: ``method``, ..., ``generator.lr``, ..."""
    identity = run.identity
    candidates = identity.get("data", {}).get("candidates", {"name": TEST})
    return {
        "method": run.method,
        "variant": run.variant,
        "reading": run.reading,
        "transductive": ", ".join(knowledge_of_test(run)) or None,
        "dataset": run.dataset,
        "seed": run.seed,
        "selection": run.selection,
        "every": identity.get("selection", {}).get("every"),
        "candidates": candidates.get("name", "listed"),
        **{kind: name for kind, name in identity.get("components", {}).items() if kind != "dataset"},
        **flatten(identity.get("settings", {})),
        **{f"search {key}": values for key, values in identity.get("search", {}).items()},
    }


def run_tags(run: RunInfo) -> dict[str, str]:
    """The run's provenance: its id, checksums of the data, versions, execution mode."""
    data = dict(run.identity.get("data", {}))
    arrays = data.pop("arrays", {})
    sections = {
        "data": data,
        "sha256": arrays,
        "version": run.identity.get("versions", {}),
        "execution": run.identity.get("execution", {}),
    }
    found = {"run": run.id, **flatten(sections)}
    return {name: str(value) for name, value in found.items() if value is not None}


def last_evaluations(record: RunRecord) -> list[tuple[str, int, dict[str, float]]]:
    """The evaluation at the end of each schedule, as (stage, epoch, figures).

    ``epoch_ended`` does not report these because they are computed after the epoch's row.
    """
    table = record.table("epochs")
    names = [name for name in table.columns if name.startswith(("val_", "test_"))]
    found = []
    for stage, rows in table.groupby("stage", sort=False) if len(table) else ():
        if uses_test_images(record.info.selection) and str(stage).endswith(("/gzsl", "/czsl")):
            continue  # each of their epochs is evaluated and reported
        last = rows.iloc[int(rows["epoch"].to_numpy().argmax())]
        figures = {name: float(last[name]) for name in names if math.isfinite(last[name])}
        if figures:
            found.append((str(stage), int(last["epoch"]), figures))
    return found


def final_metrics(record: RunRecord) -> dict[str, float]:
    """The finished run's metrics as recorded (fractions): ``final/h``, or ``oracle/h`` for oracle selection
    and ``transductive/h`` for a transductive reading.

    The prefix differs because test images took part in these results: no chart should mix them with others.
    """
    prefix = "transductive" if knowledge_of_test(record.info) else "final"
    prefix = "oracle" if uses_test_images(record.info.selection) else prefix
    return {
        f"{prefix}/{name}": float(value)
        for name, value in record.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
