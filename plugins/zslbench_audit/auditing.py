"""Runs a method under every probe."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from zslbench import __version__
from zslbench.errors import Interrupted
from zslbench.evaluation.selection import Selection
from zslbench.experiment import Recipe, embedding_inputs, load_dataset, resolve
from zslbench.plugin.lookup import one_line
from zslbench.store.store import Store
from zslbench_audit.bench import Bench
from zslbench_audit.kept import keep as keep_audit, version_of
from zslbench_audit.probes import PROBES, Leak, Probe
from zslbench_audit.result import AuditResult, ProbeResult

DATASET = "toy"
EPOCHS = 5
ITERATIONS = 10
"""The most batches that an epoch may have where a setting gives their number."""


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
    epochs: int = EPOCHS,
    select: Literal["val", "oracle"] = "val",
    store: str | Path | None = None,
    keep: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> AuditResult:
    """Run a method, or a composition, on a small simulated data set under every probe.

    The method's own preset for the data set holds, but its schedules are cut short: every whole number called
    ``epochs`` or ``..._epochs``, or ``iterations`` likewise, that the user does not set. Nothing of the probe
    runs is stored.

    Args:
        epochs: the longest that any schedule may be.
        select: how the probe runs select; ``oracle`` shows that the probes notice it.
        store: where the result is kept; None: the default store.
        keep: whether to keep it.
        say: told of each probe as it begins.

    The other arguments and the errors are those of :func:`zslbench.run`.
    """
    from zslbench.plugin.discovery import registry

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
    dataset = load_dataset(
        recipe.parts["dataset"],
        root=None,
        features=None,
        semantics=None,
        needs_regions=embedding_inputs(recipe) == "regions",
    )
    bench = Bench(recipe, dataset, Selection(select, every=1))
    say(f"{recipe.label}: a run to compare with")
    bench.run()  # whatever keeps the method from running is an error of its own, not a probe's
    probes = tuple(_probed(probe, bench, say, recipe.label) for probe in PROBES)
    methods = [part.registered.plugin for kind, part in recipe.parts.items() if kind != "dataset"]
    result = AuditResult(
        method=recipe.method,
        variant=recipe.variant,
        reading=recipe.reading.name if recipe.reading else None,
        plugins={one.name: version_of(one) for one in methods},
        zslbench=__version__,
        settings={kind: part.values() for kind, part in recipe.parts.items()},
        selection=select,
        probes=probes,
        when=datetime.now(UTC),
        seconds=time.monotonic() - started,
        search={key: list(values) for key, values in recipe.search.items()},
    )
    if keep:
        keep_audit(Store.default(store), result)
    return result


def _shortened(recipe: Recipe, epochs: int, given: Mapping[str, Any]) -> dict[str, int]:
    """Schedules longer than ``epochs``, and epochs longer than ``ITERATIONS``, cut to that."""
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


def _probed(probe: Probe, bench: Bench, say: Callable[[str], None], label: str) -> ProbeResult:
    say(f"{label}: probe {probe.name}")
    try:
        return ProbeResult(probe.name, True, probe.claim, probe.look(bench))
    except Leak as leak:
        detail = str(leak)
    except Interrupted:
        raise
    except Exception as error:  # a plugin that fails on noise has not shown that it does not read it
        detail = f"the run under this probe ended with {one_line(error)}"
    return ProbeResult(probe.name, False, probe.claim, f"{detail[:1].upper()}{detail[1:]}.")
