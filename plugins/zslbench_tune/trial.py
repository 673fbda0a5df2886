"""One trial: a recipe on the validation fold with every seed, at the epoch with the best mean.

Only the validation fold is made, so nothing here can see a test image.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zslbench.errors import Interrupted
from zslbench.evaluation import Fold, Selection, criterion, validation_fold
from zslbench.experiment import (
    STAGES,
    Display,
    ExecutionMode,
    Job,
    Recipe,
    applied,
    checkpoint_seconds,
    embedding_inputs,
    validate,
)
from zslbench.plugin import Dataset, Streams
from zslbench.store import StageStore, Store, run_id
from zslbench.training import Stages, Training

STUDIES = "tuning"
"""The store's folder of studies, presets and checkpoints of searches."""

Curve = dict[int | None, float]
"""One seed's value after each evaluated epoch; the only epoch of a closed form is None."""
Report = Callable[[int, float, bool], None]
"""Receives each step (counted from 0), the value so far, and whether it is the last step. Raises to end the
trial."""


@dataclass(frozen=True)
class TrialValue:
    """The result of a trial (fractions)."""

    value: float
    """Mean over the seeds of H, or of Acc for a method without GZSL, after ``epochs``."""
    epochs: int | None
    """Length of the schedule; None for a closed form."""
    seeds: Mapping[int, float]
    """Each seed's value after ``epochs``."""


@dataclass
class Objective:
    """Computes trials of a recipe on a data set.

    Args:
        recipe: the recipe whose settings a trial changes.
        data: provenance of the data set.
        store: the store's folder; trials reuse training stages through it.
    """

    recipe: Recipe
    dataset: Dataset
    data: Mapping[str, Any]
    seeds: tuple[int, ...]
    selection: Selection
    mode: ExecutionMode
    store: Path
    display: Display
    stop_requested: Callable[[], bool] = lambda: False
    _fold: Fold | None = field(default=None, init=False)

    def job(self, seed: int) -> Job:
        """The recipe with one seed."""
        return Job(self.recipe, self.dataset, self.data, seed, self.selection, self.mode)

    def __call__(self, settings: Mapping[str, Any], title: str, report: Report) -> TrialValue:
        """Compute the trial with these settings.

        Raises:
            Interrupted: stopped on request; a trial with the same settings resumes from the checkpoints.
            Diverged: a loss is not finite.
        """
        recipe = replace(self.recipe.with_settings(settings), search={})
        curves: dict[int, Curve] = {}
        with contextlib.ExitStack() as checkpoints:  # of all seeds, until the trial is complete
            for seed in self.seeds:
                if self.stop_requested():
                    raise Interrupted("stopped on request")
                report_epoch = self._epoch_reporter(recipe, list(curves.values()), report)
                curves[seed] = self._curve(recipe, seed, f"{title} · seed {seed}", report_epoch, checkpoints)
        # The best epoch on average; of equals the first, as selection ``val`` chooses.
        epochs = set.intersection(*(set(curve) for curve in curves.values()))
        means = {epoch: _mean([curve[epoch] for curve in curves.values()]) for epoch in epochs}
        best = max(means, key=lambda epoch: (means[epoch], -(epoch or 0)))
        return TrialValue(means[best], best, {seed: curve[best] for seed, curve in curves.items()})

    def _epoch_reporter(
        self, recipe: Recipe, previous: Sequence[Curve], report: Report
    ) -> Callable[[int | None, Mapping[str, float]], None]:
        """Reports one seed's value after each epoch, averaged with those of the previous seeds."""
        epochs, metric = recipe.epochs or 1, f"val_{criterion(recipe.tasks).key}"

        def report_epoch(epoch: int | None, figures: Mapping[str, float]) -> None:
            step = len(previous) * epochs + (epoch or 1) - 1
            values = [figures[metric], *(curve[epoch] for curve in previous if epoch in curve)]
            report(step, _mean(values), step == len(self.seeds) * epochs - 1)

        return report_epoch

    def _curve(
        self,
        recipe: Recipe,
        seed: int,
        title: str,
        report_epoch: Callable[[int | None, Mapping[str, float]], None],
        checkpoints: contextlib.ExitStack,
    ) -> Curve:
        job = replace(self.job(seed), recipe=recipe)
        folder = _checkpoint_folder(Store(self.store / STUDIES), run_id(job.identity()))
        with applied(self.mode, seed) as device, self.display.observer(title) as observer:
            if self._fold is None:  # no searched setting affects it
                self._fold = validation_fold(self.dataset, device, embedding_inputs(recipe))
            training = Training(
                streams=Streams(seed, device),
                folder=checkpoints.enter_context(folder),
                observer=observer,
                checkpoint_seconds=checkpoint_seconds(),
                stop_requested=self.stop_requested,
                stages=Stages(StageStore(self.store / STAGES), job.stage_identity()),
                precision=self.mode.precision,
                graphs=self.mode.new_graphs(),
            )
            found = validate(recipe, self._fold, self.selection, training, report_epoch)
        return {row["epoch"]: row[f"val_{found.criterion}"] for row in found.points}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@contextlib.contextmanager
def _checkpoint_folder(studies: Store, trial: str) -> Iterator[Path]:
    """The folder with the checkpoints of a trial, which only remains if the trial is interrupted."""
    with studies.workspace(trial) as folder:
        try:
            yield folder
        except (Interrupted, KeyboardInterrupt):
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
