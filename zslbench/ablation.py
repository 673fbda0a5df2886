"""Runs the variants of a method on data sets: ``zslbench.ablate("sc-egg", dataset=["cub"], seeds=3)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import Interrupted, MissingData, SettingsError, ZslbenchError
from zslbench.plugin.declarations import FULL

if TYPE_CHECKING:
    from zslbench.experiment.execution.local import Display
    from zslbench.experiment.execution.together import Ended
    from zslbench.report.ablation import Ablation, Failure
    from zslbench.store.record import RunRecord

DATASETS = ("cub", "sun")

_Cell = tuple[str, str]
_Run = tuple[_Cell, int]


def ablate(
    method: str = "sc-egg",
    *,
    dataset: str | Sequence[str] = DATASETS,
    variants: Sequence[str] | None = None,
    seeds: int | Sequence[int] = 1,
    reading: str | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    epochs: int | None = None,
    select: str = "val",
    every: int | None = None,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    replicas: int | None = None,
    precision: str = "float32",
    graphs: str = "auto",
    track: str | Sequence[str] | None = None,
    display: Display | None = None,
) -> Ablation:
    """Run every variant of a method on every data set; finished runs are found again.

    A run that fails is reported and the others are computed. A data set that is not there is marked as
    missing, unless none of them is there.

    Args:
        method: a registered method that declares variants.
        dataset: one or several data sets.
        variants: only these variants, and always the whole method; None: all.
        settings: as for :func:`zslbench.run`; what a variant's swapped components do not have is left out.

    The other arguments are those of :func:`zslbench.run`.

    Raises:
        MissingData: none of the data sets is there.
        ZslbenchError: anything else that the caller can put right, before a run begins.
        Interrupted: stopped on request; the same call goes on from there.
    """
    from zslbench.api import Quiet, seed_numbers
    from zslbench.evaluation.selection import Selection
    from zslbench.experiment.ablation_plan import rows
    from zslbench.experiment.datasets import Data
    from zslbench.experiment.execution.grouping import kin, of_group, replicas_for
    from zslbench.experiment.execution.local import Job
    from zslbench.experiment.execution.mode import choose_mode
    from zslbench.experiment.execution.together import compute_together
    from zslbench.experiment.published.ablations import published_ablation
    from zslbench.experiment.recipe import label_text
    from zslbench.experiment.tracking import tracked
    from zslbench.experiment.wishes import Wishes
    from zslbench.plugin.discovery import registry
    from zslbench.report.ablation import Ablation, Cell
    from zslbench.store.store import Store

    known, where, display = registry(), Store.default(store), display or Quiet()
    declared = known.method(method).declaration
    numbers, mode = seed_numbers(seeds), choose_mode(device, threads, precision, graphs)
    selection = Selection(select, every)  # type: ignore[arg-type]
    overlays = rows(declared, variants)
    datasets = (dataset,) if isinstance(dataset, str) else tuple(dict.fromkeys(dataset))
    if not datasets:
        raise SettingsError("an ablation needs a data set")
    printed = published_ablation(declared)
    # Everything is resolved and looked for before the first run: the last may be hours away.
    others = {"preset": preset, "reading": reading, "data_root": data_root}
    wishes = Wishes(known, declared, settings or {}, epochs, others)
    recipes = {(row, one): wishes.recipe(overlays[row], one) for one in datasets for row in overlays}
    data = Data(data_root, display.say, features=features, semantics=semantics, regions=regions)
    missing = {cell: fault for cell, recipe in recipes.items() if (fault := data.fault(recipe)) is not None}
    if len(missing) == len(recipes):
        raise MissingData(", ".join(datasets), list(dict.fromkeys(missing.values())))
    for remark in (remarks := [*wishes.remarks, *dict.fromkeys(missing.values())]):
        display.say(remark)

    def run(unit: Sequence[_Run]) -> list[Ended]:
        jobs = [Job(recipes[cell], *data.of(recipes[cell]), seed, selection, mode) for cell, seed in unit]
        return compute_together(of_group(jobs), where, known, display)

    there = [cell for cell in recipes if cell not in missing]
    families: dict[Any, list[_Cell]] = {}
    for cell in there:
        families.setdefault((cell[1], kin(recipes[cell])), []).append(cell)
    units = _units(
        there,
        families.values(),
        numbers,
        lambda cell, runs: replicas_for(replicas, runs, recipes[cell], mode),
    )
    with tracked(known, track, where.root, display.say):
        records, failures, found = _computed(units, run, display)
    whole = recipes[FULL, datasets[0]]
    reading = whole.reading.name if whole.reading and not whole.default_reading else None
    failed = [(one.variant, one.dataset) for one in failures]
    return Ablation(
        method=label_text(declared.name, None, reading),
        selection=select,
        seeds=numbers,
        variants={row: one.summary if one else f"{declared.name} ({FULL})" for row, one in overlays.items()},
        datasets=datasets,
        cells={
            cell: Cell(tuple(records.get(cell, ())), failed.count(cell), cell in missing) for cell in recipes
        },
        printed=printed,
        failures=tuple(failures),
        found=found,
        remarks=tuple(remarks),
    )


def _units(
    cells: Sequence[_Cell],
    families: Iterable[Sequence[_Cell]],
    seeds: Sequence[int],
    together: Callable[[_Cell, int], int],
) -> list[list[_Run]]:
    """The runs in their order, those that are trained together as one.

    A data set after the other, seed by seed, so that a whole column of one seed is there early; groups by the
    first of theirs.

    Args:
        families: variants on one data set that differ in nothing but numbers; they may share a group.
        together: how many of so many runs of a family are trained together at most.
    """
    units = []
    for family in families:
        runs = [(cell, seed) for cell in family for seed in seeds]
        size = together(family[0], len(runs))
        units += [runs[start : start + size] for start in range(0, len(runs), size)]
    datasets = [dataset for _, dataset in cells]

    def order(unit: Sequence[_Run]) -> tuple[int, int, int]:
        cell, seed = unit[0]
        return datasets.index(cell[1]), seeds.index(seed), cells.index(cell)

    return sorted(units, key=order)


def _computed(
    units: Sequence[Sequence[_Run]], run: Callable[[Sequence[_Run]], list[Ended]], display: Display
) -> tuple[dict[_Cell, list[RunRecord]], list[Failure], int]:
    """The runs by cell, those that failed, and how many were found."""
    from zslbench.experiment.execution.together import Ended
    from zslbench.plugin.lookup import one_line
    from zslbench.report.ablation import Failure

    records: dict[_Cell, list[RunRecord]] = {}
    failures: list[Failure] = []
    found, place, count = 0, 0, sum(map(len, units))
    for unit in units:
        for (variant, dataset), seed in unit:
            place += 1
            display.say(f"run {place} of {count}: {variant} on {dataset}, seed {seed}")
        try:
            ended = run(unit)
        except Interrupted:
            raise
        except Exception as error:
            ended = [Ended(None, error=error)] * len(unit)
        for ((variant, dataset), seed), one in zip(unit, ended, strict=True):
            if one.record is None:
                cause = one.error
                assert cause is not None
                message = str(cause) if isinstance(cause, ZslbenchError) else one_line(cause)
                failures.append(Failure(variant, dataset, seed, message))
                display.say(f"failed: {message}")
            else:
                records.setdefault((variant, dataset), []).append(one.record)
                found += one.found
    return records, failures, found
