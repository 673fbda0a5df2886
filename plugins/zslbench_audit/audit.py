"""Runs a method under every probe."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from zslbench.errors import PluginError
from zslbench.evaluation import Selection
from zslbench.experiment import Part, core_version, load_dataset
from zslbench.plugin import Dataset, build, first_party, one_line, settings_model
from zslbench.store import Store
from zslbench_audit import probes
from zslbench_audit.altered import with_other_labels
from zslbench_audit.process import Leak, Process
from zslbench_audit.runs import ProbeRuns
from zslbench_audit.stored import AuditResult, ProbeResult, save

DATASET = "toy"

PROBES: Mapping[str, tuple[Callable[[ProbeRuns], str], str]] = {
    "figures": (
        probes.figures,
        "The figures of a run are those that a process without the plugin computes from its scores.",
    ),
    "images": (probes.images, "Nothing that is fitted or chosen depends on the test images."),
    "labels": (probes.labels, "Nothing that is fitted, chosen or predicted depends on test labels."),
    "rows": (probes.rows, "The prediction for a test image does not depend on the other test images."),
    "selection": (
        probes.selection,
        "Test images and labels do not affect the choice of epochs and hyper-parameters.",
    ),
    "globals": (
        probes.global_state,
        "Nothing depends on the global random state, and a run leaves the process unchanged.",
    ),
    "seed": (probes.seed, "The same seed gives the same bits, and another seed gives another result."),
    "arrays": (probes.arrays, "No part writes to data that others use."),
}
"""Each probe and its claim, in the order in which they are reported."""

DECLARED: Mapping[str, frozenset[str]] = {
    "images": frozenset({"test features"}),
    "labels": frozenset({"test class prior"}),
    "rows": frozenset({"test features", "test class prior"}),
}
"""By probe: the knowledge that a transductive reading may declare and it detects; all others pass."""


def run(
    method: str | None = None, *, notify: Callable[[str], None] = lambda text: None, **options: Any
) -> AuditResult:
    """Run :func:`judge` in a separate process, so that nothing plugins did to this one matters."""
    with Process() as process:
        value, _ = process.ask("audit", notify=notify, method=method, **options)
    return AuditResult.from_dict(value)


def judge(
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

    The method's own preset for the data set applies with shortened schedules: every setting that is
    ``Epochs``, and every whole number called ``epochs``, ``..._epochs`` or ``iterations``, unless the user
    sets it. The probe runs are not stored.

    Plugins run in another process, which never has the classes of the test images. This one should not have
    imported any: it evaluates. The data set is a new one (``dataset.seed``), unless the user sets its seed.

    Args:
        epochs: the longest schedule.
        select: how the probe runs select; ``oracle`` demonstrates that the probes catch it.
        store: where the result is saved; None: the default store.
        keep: whether to save it.
        notify: called with a line of progress as each probe begins.

    The other arguments and the errors are those of :func:`zslbench.run`.
    """
    if keep:
        Store.default(store).prepare()
    started = time.monotonic()
    with Process() as process:
        resolved, _ = process.ask(
            "resolve",
            epochs=epochs,
            dataset=DATASET,
            method=method,
            variant=variant,
            reading=reading,
            components={"embedding": embedding, "generator": generator, "classifier": classifier},
            preset=preset,
            settings=settings,
        )
        label, needs, transductive = (resolved.pop(name) for name in ("label", "needs", "transductive"))
        if "dataset.seed" not in (settings or {}):
            resolved["settings"]["dataset"]["seed"] = secrets.randbits(32)
        truth = _loaded(resolved["settings"]["dataset"], needs)
        # Anything that is not needed could reveal which data set this is.
        given = with_other_labels(replace(truth, sources=(), notes=(), extra={}), 1)
        runs = ProbeRuns(process, resolved, given, truth, Selection(select, every=1))
        notify(f"{label}: reference run")
        runs.run()  # if the method cannot run at all, that is an error and not the result of a probe
        results = []
        for name, (probe, claim) in PROBES.items():
            notify(f"{label}: probe {name}")
            found = _tested(probe, runs)
            if not found["passed"] and (known := DECLARED.get(name, frozenset()) & set(transductive)):
                found["detail"] = f"As its reading declares ({', '.join(sorted(known))}): {found['detail']}"
            results.append(ProbeResult(name, claim=claim, **found))
    facts = {key: value for key, value in resolved.items() if key != "epochs"}
    result = AuditResult(
        **facts,
        zslbench=core_version(),
        selection=select,
        probes=tuple(results),
        when=datetime.now(UTC),
        seconds=time.monotonic() - started,
    )
    if keep:
        save(Store.default(store), result)
    return result


def _loaded(settings: Mapping[str, Any], needs: Mapping[str, Any]) -> Dataset:
    """The simulated data set, made in this process."""
    registered = first_party().component("dataset", DATASET)
    model = build(settings_model(registered), settings, f"dataset '{DATASET}'")
    return load_dataset(Part(registered, model), **needs)


def _tested(probe: Callable[[ProbeRuns], str], runs: ProbeRuns) -> dict[str, Any]:
    """Whether a probe passed, and what it found."""
    try:
        return {"passed": True, "detail": probe(runs)}
    except Leak as leak:
        text = str(leak)
    except Exception as error:  # a plugin that fails on noise may have read it
        reason = str(error) if isinstance(error, PluginError) else one_line(error)
        text = f"the run under this probe failed with {reason}"
    return {"passed": False, "detail": f"{text[:1].upper()}{text[1:]}."}
