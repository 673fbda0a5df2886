"""Runs a method under every probe."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from zslbench.errors import Interrupted
from zslbench.evaluation import Selection
from zslbench.experiment import Recipe, core_version, embedding_inputs, load_dataset, resolve
from zslbench.plugin import one_line
from zslbench.store import Store
from zslbench_audit import probes
from zslbench_audit.probes import Leak
from zslbench_audit.runs import ProbeRuns
from zslbench_audit.sharing import arrays
from zslbench_audit.stored import AuditResult, ProbeResult, save

DATASET = "toy"
ITERATIONS = 10
"""Most batches of an epoch, where a setting gives their number."""

PROBES: Mapping[str, Callable[[ProbeRuns], str]] = {
    "images": probes.images,
    "labels": probes.labels,
    "rows": probes.rows,
    "selection": probes.selection,
    "globals": probes.global_state,
    "seed": probes.seed,
    "arrays": arrays,
}
"""In the order in which they are reported; the docstring of each is its claim."""


def run(
    method: str | None = None,
    *,
    variant: str | None = None,
    reading: str | None = None,
    embedding: str | None = None,
    generator: str | None = None,
    classifier: str | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    epochs: int = 5,
    select: Literal["val", "oracle"] = "val",
    store: str | Path | None = None,
    keep: bool = True,
    notify: Callable[[str], None] = lambda text: None,
) -> AuditResult:
    """Run a method, or a composition, on a small simulated data set under every probe.

    The method's own preset for the data set applies with shortened schedules: every whole number called
    ``epochs`` or ``..._epochs``, and ``iterations``, unless the user sets it. The probe runs are not stored.

    Args:
        epochs: the longest schedule.
        select: how the probe runs select; ``oracle`` demonstrates that the probes catch it.
        store: where the result is saved; None: the default store.
        keep: whether to save it.
        notify: called with a line of progress as each probe begins.

    The other arguments and the errors are those of :func:`zslbench.run`.
    """
    from zslbench.plugin import registry

    started = time.monotonic()
    recipe = resolve(
        registry(),
        DATASET,
        method=method,
        variant=variant,
        reading=reading,
        components={"embedding": embedding, "generator": generator, "classifier": classifier},
        preset=preset,
        settings=settings,
    )
    recipe = recipe.with_settings(_shortened(recipe, epochs, settings or {}))
    dataset = load_dataset(recipe.parts["dataset"], needs_regions=embedding_inputs(recipe) == "regions")
    runs = ProbeRuns(recipe, dataset, Selection(select, every=1))
    notify(f"{recipe.label}: reference run")
    runs.run()  # if the method cannot run at all, that is an error and not the result of a probe
    results = []
    for name, probe in PROBES.items():
        notify(f"{recipe.label}: probe {name}")
        results.append(ProbeResult(name, *_tested(probe, runs)))
    methods = [part.registered.plugin for kind, part in recipe.parts.items() if kind != "dataset"]
    result = AuditResult(
        method=recipe.method,
        variant=recipe.variant,
        reading=recipe.reading.name if recipe.reading else None,
        plugins={one.name: one.source for one in methods},
        zslbench=core_version(),
        settings={kind: part.values() for kind, part in recipe.parts.items()},
        selection=select,
        probes=tuple(results),
        when=datetime.now(UTC),
        seconds=time.monotonic() - started,
        search={key: list(values) for key, values in recipe.search.items()},
    )
    if keep:
        save(Store.default(store), result)
    return result


def _shortened(recipe: Recipe, epochs: int, given: Mapping[str, Any]) -> dict[str, int]:
    """The settings that make schedules longer than ``epochs``, or epochs than ``ITERATIONS``, shortened."""
    most = {"epochs": epochs, "iterations": ITERATIONS}
    return {
        f"{kind}.{name}": most[what]
        for kind, part in recipe.parts.items()
        for name, value in part.values().items()
        if (what := re.split(r"[._]", name)[-1]) in most
        and isinstance(value, int)
        and value > most[what]
        and f"{kind}.{name}" not in given
    }


def _tested(probe: Callable[[ProbeRuns], str], runs: ProbeRuns) -> tuple[bool, str, str]:
    """Whether a probe passed, its claim, and what it found."""
    claim = inspect.getdoc(probe) or ""
    try:
        return True, claim, probe(runs)
    except Interrupted:
        raise
    except Exception as error:  # a plugin that fails on noise may have read it
        text = (
            str(error)
            if isinstance(error, Leak)
            else f"the run under this probe failed with {one_line(error)}"
        )
        return False, claim, f"{text[:1].upper()}{text[1:]}."
