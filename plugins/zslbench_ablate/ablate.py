"""Every variant of a method on every data set, as a suite: ``zslbench.ablate("sc-egg", dataset="cub")``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zslbench.errors import MissingData, UnknownName
from zslbench.experiment import (
    AllOptions,
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
        display=display,
        **{name: getattr(given, name) for name in RunOptions.__dataclass_fields__},
    )
    for cell in prepared.cells:
        if cell.resolved is None:
            raise UnknownName(cell.reason)
        if cell.status == "cannot run" and cell.error is not None:
            raise cell.error
    absent = [cell for cell in prepared.cells if cell.status == "no data"]
    missing = list(dict.fromkeys(cell.reason for cell in absent))
    if len(absent) == len(prepared.cells):
        raise MissingData(", ".join(suite.datasets), missing)
    for reason in missing:
        prepared.display.say(reason)
    outcome = prepared.run(watcher or Watcher())
    return ablation_of(outcome, declared, given.reading, len(outcome.records) - prepared.computed, missing)
