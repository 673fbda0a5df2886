"""Every variant of a method on every data set, as a suite: ``zslbench.ablate("sc-egg", dataset="cub")``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zslbench.errors import MissingData, UnknownName
from zslbench.experiment import (
    AllOptions,
    Bench,
    Display,
    RunOptions,
    Watcher,
    ablation_suite,
    prepare,
    seed_numbers,
    takes,
)
from zslbench.plugin import registry
from zslbench.report import Ablation, ablation_of
from zslbench_ablate import DATASETS


@takes(AllOptions)
def ablate(
    method: str = "sc-egg",
    *,
    dataset: str | Sequence[str] = DATASETS,
    variants: Sequence[str] | None = None,
    seeds: int | Sequence[int] = 1,
    select: str = "val",
    display: Display | None = None,
    watcher: Watcher | None = None,
    **options: Any,
) -> Ablation:
    """Run every variant of a method on every data set, as a suite. Finished runs are reused.

    A run that fails does not stop the others. A data set that is not on this machine is marked as missing,
    unless all of them are.

    Args:
        variants: only these, and always the whole method; None: all.
        options: those of :func:`zslbench.run`; settings that a variant's swapped components lack are ignored
            there.

    Raises:
        MissingData: none of the data sets is on this machine.
        ZslbenchError: anything else that the caller can correct, before a run begins.
        Interrupted: stopped on request; the same call resumes.
    """
    prepared = plan(
        method, dataset=dataset, variants=variants, seeds=seeds, select=select, dry_run=False,
        display=display, **options,
    )  # fmt: skip
    outcome = prepared.run(watcher or Watcher())
    declared, reading = registry().method(method).declaration, options.get("reading")
    found = len(outcome.records) - prepared.computed
    return ablation_of(outcome, declared, reading, found, _missing(prepared))


def plan(
    method: str = "sc-egg",
    *,
    dataset: str | Sequence[str] = DATASETS,
    variants: Sequence[str] | None = None,
    seeds: int | Sequence[int] = 1,
    select: str = "val",
    dry_run: bool = True,
    display: Display | None = None,
    **options: Any,
) -> Bench:
    """What :func:`ablate` would run with these arguments, as a suite that is ready to run; same errors.

    Args:
        dry_run: whether it will only be shown, so that the store need not be writable.
    """
    known = registry()
    declared = known.method(method).declaration
    datasets = (dataset,) if isinstance(dataset, str) else tuple(dataset)
    given = AllOptions(**options)
    suite = ablation_suite(declared, variants, datasets, seed_numbers(seeds), select, given)
    prepared = prepare(
        suite,
        known,
        retry_failed=True,
        across_lines=True,
        dry_run=dry_run,
        display=display,
        **{name: getattr(given, name) for name in RunOptions.__dataclass_fields__},
    )
    for cell in prepared.cells:
        if cell.resolved is None:
            raise UnknownName(cell.reason)
        if cell.status == "cannot run" and cell.error is not None:
            raise cell.error
    missing = _missing(prepared)
    if all(cell.status == "no data" for cell in prepared.cells):
        raise MissingData(", ".join(suite.datasets), missing)
    for reason in missing:
        prepared.display.say(reason)
    return prepared


def _missing(prepared: Bench) -> list[str]:
    """Why data sets are absent."""
    return list(dict.fromkeys(cell.reason for cell in prepared.cells if cell.status == "no data"))
