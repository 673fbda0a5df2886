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

from zslbench import __version__
from zslbench.errors import Interrupted
from zslbench.evaluation.folds import Fold, validation_fold
from zslbench.evaluation.selection import Selection
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
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.streams import Streams
from zslbench.store.identity import run_id
from zslbench.store.stages import StageStore
from zslbench.store.workspace import Workspaces
from zslbench.training.loop import Training
from zslbench.training.stages import Stages

Told = Callable[[int | None, Mapping[str, float]], None]
Report = Callable[[int, float, bool], None]
"""Told of a step (from 0, never twice), the value so far, and whether it is the last; may raise to end the
trial."""


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
        folder: where checkpoints of trials under way are kept.
        store: the store's folder; results of stages that trials share are kept there.
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
        """The trial with these settings.

        Raises:
            Interrupted: stopped on request; the same settings go on from their checkpoints.
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

                def told(
                    epoch: int | None,
                    figures: Mapping[str, float],
                    place: int = place,
                    before: list[dict[int | None, float]] = before,
                ) -> None:
                    value = figures["val_h"] if "val_h" in figures else figures["val_acc"]
                    so_far = [value, *(one[epoch] for one in before if epoch in one)]
                    step = place * (recipe.epochs or 1) + (epoch or 1) - 1
                    last = step == len(self.seeds) * (recipe.epochs or 1) - 1
                    report(step, sum(so_far) / len(so_far), last)

                curves[seed] = self._curve(recipe, seed, f"{title} · seed {seed}", told, held)
        return _best(curves)

    def _curve(
        self,
        recipe: Recipe,
        seed: int,
        title: str,
        told: Told,
        held: contextlib.ExitStack,
    ) -> dict[int | None, float]:
        """The value after each evaluated epoch, with one seed."""
        identity = Job(recipe, self.dataset, self.data, seed, self.selection, self.mode).identity()
        with applied(self.mode, seed) as device, self.display.observer(title) as shown:
            if self._fold is None:  # made once: it does not depend on what is searched
                self._fold = validation_fold(self.dataset, device, embedding_inputs(recipe))
            shared = {key: identity[key] for key in ("format", "data", "execution")}
            training = Training(
                streams=Streams(seed, device),
                folder=held.enter_context(_kept_until_done(self.folder, run_id(identity))),
                observer=shown,
                checkpoint_seconds=checkpoint_seconds(),
                stop_requested=self.stop_requested,
                stages=Stages(StageStore(self.store / STAGES), shared | {"zslbench": __version__}),
                precision=self.mode.precision,
                graphs=self.mode.new_graphs(),
            )
            found = validate(recipe, self._fold, self.selection, training, told)
        return {row["epoch"]: row[f"val_{found.criterion}"] for row in found.points}


def _best(curves: Mapping[int, Mapping[int | None, float]]) -> Value:
    """The epoch with the best mean over the seeds; of equals the earliest, as ``val`` chooses."""
    common = set.intersection(*(set(one) for one in curves.values()))
    means = {epoch: sum(one[epoch] for one in curves.values()) / len(curves) for epoch in common}
    epoch = max(means, key=lambda one: (means[one], -(one or 0)))
    return Value(means[epoch], epoch, {seed: one[epoch] for seed, one in curves.items()})


@contextlib.contextmanager
def _kept_until_done(parent: Path, name: str) -> Iterator[Path | None]:
    """A folder for checkpoints, with what an interrupted trial of the same settings left in it.

    It is removed unless the trial is interrupted. While another worker has it, there are no checkpoints.
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
