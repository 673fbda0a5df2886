"""zslbench from Python: ``zslbench.run("tf-vaegan", dataset="toy", seeds=3).frame()``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.experiment.execution.local import Display
    from zslbench.store.record import RunRecord
    from zslbench.training.loop import Observer


@dataclass(frozen=True)
class Result:
    """The runs of one method on one data set, one per seed."""

    records: tuple[RunRecord, ...]
    found: int
    """How many of them had been computed before."""

    def frame(self) -> pd.DataFrame:
        """One row per seed; figures in percent (Acc, U, S, H, AUSUC; calibrated: U_cal, S_cal, H_cal)."""
        from zslbench.report.results import runs_frame

        return runs_frame(self.records)

    def summary(self) -> pd.DataFrame:
        """The same with a last row ``mean ± std``, ready to be shown."""
        from zslbench.report.results import seeds_table

        return seeds_table(self.records)


class Quiet:
    """A display that shows nothing."""

    @contextlib.contextmanager
    def observer(self, title: str) -> Iterator[Observer]:
        from zslbench.training.loop import Silent

        yield Silent()

    def say(self, text: str) -> None: ...


def run(
    method: str | None = None,
    *,
    dataset: str,
    variant: str | None = None,
    reading: str | None = None,
    embedding: str | None = None,
    generator: str | None = None,
    classifier: str | None = None,
    seeds: int | Sequence[int] = 1,
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
    force: bool = False,
    keep_weights: bool = False,
    track: str | Sequence[str] | None = None,
    display: Display | None = None,
) -> Result:
    """Run a method, or a composition of components, on a data set; finished runs are found again.

    Args:
        method: a registered method; None: composed of ``embedding``, ``generator`` and ``classifier``.
        variant: one of the method's named variants.
        reading: one of the method's ways of reading its paper; None: its first.
        seeds: a number n for seeds 0 to n-1, or the seeds themselves.
        settings: ``{"generator.lr": 1e-4}``; what is given here is not searched on validation.
        preset: a preset's name, ``method:name``, or a TOML file; of several the later win; None: the data
            set's own preset.
        epochs: length of the schedule (the longest that ``val`` considers).
        select: ``val``, ``last`` or ``oracle`` (:mod:`zslbench.evaluation.selection`).
        every: epochs between evaluations under ``val`` and ``oracle``.
        features: stem of the features file; None: the data set's default (``res101``); ``mean``: means over
            region features.
        semantics: ``att``, ``original_att`` or ``sentence``; None: ``att``.
        regions: region features, for methods that read them: a name or a path; None: the only ones beside
            the data set (:mod:`zslbench.data.regions.find` says where they are looked for).
        replicas: how many seeds are trained together at most, as one program with a replica axis; 1: one
            after the other; None: all of them on a GPU, 1 on a CPU. Part of a run's identity.
        precision: of matrix products: ``float32``; ``tf32`` (on a GPU); ``bf16`` in steps of the
            selected schedule, preparatory ones stay exact. Part of a run's identity.
        graphs: whether training is captured in CUDA graphs: ``auto`` where it works, ``on`` or fail, ``off``.
        force: compute again what is already in the store.
        keep_weights: keep the fitted networks with the run.
        track: trackers that follow the runs, ``"tensorboard"`` or ``"tensorboard=logs"``, one or several;
            None: those of ``ZSLBENCH_TRACK``; empty: none.

    Raises:
        ZslbenchError: anything that the caller can put right, as one line.
    """
    from zslbench.evaluation.selection import Selection
    from zslbench.experiment.datasets import load_dataset, provenance
    from zslbench.experiment.execution.grouping import replicas_for
    from zslbench.experiment.execution.local import Job
    from zslbench.experiment.execution.mode import choose_mode
    from zslbench.experiment.execution.together import compute_all
    from zslbench.experiment.fitting import embedding_inputs
    from zslbench.experiment.recipe import resolve
    from zslbench.experiment.tracking import tracked
    from zslbench.plugin.discovery import registry
    from zslbench.store.store import Store

    known = registry()
    components = {"embedding": embedding, "generator": generator, "classifier": classifier}
    recipe = resolve(
        known,
        dataset,
        method=method,
        variant=variant,
        reading=reading,
        components=components,
        preset=preset,
        settings=settings,
        epochs=epochs,
        data_root=data_root,
    )
    selection = Selection(select, every)  # type: ignore[arg-type]
    numbers = seed_numbers(seeds)
    mode = choose_mode(device, threads, precision, graphs)
    display = display or Quiet()
    loaded = load_dataset(
        recipe.parts["dataset"],
        root=data_root,
        features=features,
        semantics=semantics,
        regions=regions,
        needs_regions=embedding_inputs(recipe) == "regions",
    )
    for note in loaded.notes:
        display.say(note)
    data = provenance(loaded)
    where = Store.default(store)
    jobs = [Job(recipe, loaded, data, seed, selection, mode, keep_weights) for seed in numbers]
    together = replicas_for(replicas, len(jobs), recipe, mode)
    with tracked(known, track, where.root, display.say):
        done = compute_all(jobs, together, where, known, display, force=force)
    return Result(tuple(record for record, _ in done), sum(found for _, found in done))


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds that a number of seeds, or a list of them, means.

    Raises:
        SettingsError: there is none, one is negative or is there twice.
    """
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers or any(seed < 0 for seed in numbers) or len(set(numbers)) != len(numbers):
        raise SettingsError(f"seeds {seeds}: give a number of seeds, or different seeds of 0 or more")
    return numbers
