"""One trial: a recipe on the validation fold with every seed, and the epoch that is best on their mean.

Only the validation fold is ever made: nothing here can see a test image.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
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
from zslbench.store import StageStore, Workspaces, run_id
from zslbench.training import Stages, Training

Report = Callable[[int, float, bool], None]
"""Called with a step (from 0, each once), the value so far, and whether it is the last step; may raise to end
the trial."""


@dataclass(frozen=True)
class Value:
    """What a trial found (fractions)."""

    value: float
    """Mean over the seeds of H, or of Acc for a method without GZSL, at ``epochs``."""
    epochs: int | None
    """Length of the schedule; None: closed form."""
    seeds: Mapping[int, float]
    """The value of each seed at ``epochs``."""


@dataclass
class Objective:
    """Computes trials of one recipe on one data set.

    Args:
        recipe: the recipe whose settings a trial changes.
        data: provenance of the data set.
        folder: for checkpoints of unfinished trials.
        store: the store's folder; trials share the results of training stages through it.
    """

    recipe: Recipe
    dataset: Dataset
    data: Mapping[str, Any]
    seeds: tuple[int, ...]
    selection: Selection
    mode: ExecutionMode
    folder: Path
    store: Path
    display: Display
    stop_requested: Callable[[], bool] = lambda: False
    _fold: Fold | None = field(default=None, init=False)

    def __call__(self, settings: Mapping[str, Any], title: str, report: Report) -> Value:
        """Compute the trial with these settings.

        Raises:
            Interrupted: stopped on request; a trial with the same settings resumes from the checkpoints.
            Diverged: a loss is not finite.
        """
        recipe = self.recipe.with_settings(settings)
        recipe = replace(recipe, search={})
        curves: dict[int, dict[int | None, float]] = {}
        with contextlib.ExitStack() as held:
            for place, seed in enumerate(self.seeds):
                if self.stop_requested():
                    raise Interrupted("stopped on request")
                before = [curves[one] for one in self.seeds[:place]]

                def report_epoch(
                    epoch: int | None,
                    figures: Mapping[str, float],
                    place: int = place,
                    before: list[dict[int | None, float]] = before,
                ) -> None:
                    value = figures[f"val_{criterion(recipe.tasks).key}"]
                    so_far = [value, *(one[epoch] for one in before if epoch in one)]
                    step = place * (recipe.epochs or 1) + (epoch or 1) - 1
                    last = step == len(self.seeds) * (recipe.epochs or 1) - 1
                    report(step, sum(so_far) / len(so_far), last)

                curves[seed] = self._curve(recipe, seed, f"{title} · seed {seed}", report_epoch, held)
        return _best(curves)

    def job(self, seed: int) -> Job:
        """What computes the recipe with one seed."""
        return Job(self.recipe, self.dataset, self.data, seed, self.selection, self.mode)

    def _curve(
        self,
        recipe: Recipe,
        seed: int,
        title: str,
        report_epoch: Callable[[int | None, Mapping[str, float]], None],
        held: contextlib.ExitStack,
    ) -> dict[int | None, float]:
        """The value after each evaluated epoch, with one seed."""
        job = replace(self.job(seed), recipe=recipe)
        with applied(self.mode, seed) as device, self.display.observer(title) as observer:
            if self._fold is None:  # once: it does not depend on what is searched
                self._fold = validation_fold(self.dataset, device, embedding_inputs(recipe))
            training = Training(
                streams=Streams(seed, device),
                folder=held.enter_context(_checkpoint_folder(self.folder, run_id(job.identity()))),
                observer=observer,
                checkpoint_seconds=checkpoint_seconds(),
                stop_requested=self.stop_requested,
                stages=Stages(StageStore(self.store / STAGES), job.stage_identity()),
                precision=self.mode.precision,
                graphs=self.mode.new_graphs(),
            )
            found = validate(recipe, self._fold, self.selection, training, report_epoch)
        return {row["epoch"]: row[f"val_{found.criterion}"] for row in found.points}


def _best(curves: Mapping[int, Mapping[int | None, float]]) -> Value:
    """The epoch with the best mean over the seeds; of equals the earliest, as ``val`` chooses."""
    common = set.intersection(*(set(one) for one in curves.values()))
    means = {epoch: sum(one[epoch] for one in curves.values()) / len(curves) for epoch in common}
    epoch = max(means, key=lambda one: (means[one], -(one or 0)))
    return Value(means[epoch], epoch, {seed: one[epoch] for seed, one in curves.items()})


@contextlib.contextmanager
def _checkpoint_folder(parent: Path, name: str) -> Iterator[Path | None]:
    """A folder for checkpoints, with those that an interrupted trial with the same settings left.

    It is removed unless the trial is interrupted. While another process holds it, there are no checkpoints.
    """
    parent.mkdir(parents=True, exist_ok=True)
    workspaces = Workspaces(parent)
    lock = workspaces.take(name)
    if lock is None:
        yield None
        return
    remove = True
    try:
        (parent / name).mkdir(exist_ok=True)
        yield parent / name
    except (Interrupted, KeyboardInterrupt):
        remove = False
        raise
    finally:
        if remove:
            shutil.rmtree(parent / name, ignore_errors=True)
        workspaces.give_back(name, lock, remove=remove)
