"""A method on a small data set, run as often as the probes ask, each time in memory of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zslbench.evaluation.selection import Selection
from zslbench.experiment import Outcome, Recipe, run
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training
from zslbench_audit.altered import copied
from zslbench_audit.surroundings import Left, surroundings

Alter = Callable[[Dataset, int], Dataset]
"""Another data set made of one, by chance from a seed."""

CHANCE = 1
"""What the global random generators start from where a probe does not change it."""


@dataclass(frozen=True)
class Bench:
    """What the probes run.

    Nothing is stored and no stage is found again: every run computes everything, by the code that computes a
    user's runs (:func:`zslbench.experiment.run`).
    """

    recipe: Recipe
    dataset: Dataset
    selection: Selection
    seed: int = 0
    _known: dict[tuple[str, int, int, int], tuple[Outcome, Left]] = field(default_factory=dict, repr=False)

    def run(
        self, alter: Alter | None = None, *, seed: int | None = None, chance: int = CHANCE, turn: int = 0
    ) -> Outcome:
        """The outcome on the data set, or on an altered one; computed once for the same arguments.

        Args:
            alter: makes the data set another one.
            seed: the run's; None: the audit's.
            chance: what the global random generators start from.
            turn: another number computes again what was computed before.
        """
        return self._done(alter, self.seed if seed is None else seed, chance, turn)[0]

    def left(self, *, chance: int = CHANCE) -> Left:
        """What a run on the unaltered data set left behind in the process."""
        return self._done(None, self.seed, chance, 0)[1]

    def _done(self, alter: Alter | None, seed: int, chance: int, turn: int) -> tuple[Outcome, Left]:
        key = (alter.__name__ if alter else "", seed, chance, turn)
        if key not in self._known:
            data = alter(self.dataset, self.seed) if alter else copied(self.dataset)
            self._known[key] = self.compute(data, seed, chance)
        return self._known[key]

    def compute(self, data: Dataset, seed: int, chance: int) -> tuple[Outcome, Left]:
        """A run on this data set, which may be written to, and what it left behind in the process."""
        with quiet(bool(self._known)), surroundings(seed, chance) as left:
            return run(self.recipe, data, self.selection, Training(Streams(seed))), left


@contextmanager
def quiet(really: bool) -> Iterator[None]:
    """The first run says what a method warns of; the others would say it again."""
    logger = logging.getLogger("zslbench")
    level = logger.level
    if really:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
