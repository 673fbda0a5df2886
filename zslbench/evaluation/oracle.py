"""The best figures on the test images over a run, which most published codes report (protocol leaks L1-L3).

Separate from honest selection, so that ``last`` and ``val`` cannot reach any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslbench.evaluation.evaluator import Evaluation
from zslbench.evaluation.leaders import Leaders, Sides
from zslbench.evaluation.metrics import criterion
from zslbench.training import checkpoint


@dataclass(frozen=True)
class Best:
    """The best evaluation of one task so far, and where it was found."""

    evaluation: Evaluation
    value: float
    candidate: int
    epoch: int
    """Epoch of the paced training; 0: closed form."""
    classifier_epoch: int | None

    @property
    def order(self) -> tuple[float, int, int, int]:
        """Sorts the evaluations: among equal values the earliest wins, in whatever order they are found."""
        return self.value, -self.candidate, -self.epoch, -(self.classifier_epoch or 0)


class Oracle:
    """Holds the evaluation with the highest test H and, independently, the one with the highest test Acc.

    They are also saved in ``folder``, so that a run can be interrupted and resumed; ``before_saving`` is
    called first, as :attr:`Training.require_sound_data <zslbench.training.context.Training>`.
    """

    def __init__(self, folder: Path | None, before_saving: Callable[[], None] = lambda: None) -> None:
        self.candidate = 0
        self.best: dict[str, Best] = {}
        self._folder, self._before_saving = folder, before_saving
        self._inner: dict[str, Best] = {}

    def each(self, task: str, classifier_epoch: int, evaluation: Evaluation) -> dict[str, float]:
        """After an epoch of the classifier of one task (leak L2)."""
        for one in _tasks(evaluation):  # a classifier that scores from semantics does both at once
            self._keep(self._inner, one, Best(evaluation, _value(one, evaluation), 0, 0, classifier_epoch))
        return {}

    def assess(self, epoch: int, evaluation: Evaluation) -> dict[str, float]:
        """After an epoch of the paced training (leak L1); H and Acc are selected separately (leak L3)."""
        figures: dict[str, float] = {}
        for task in _tasks(evaluation):
            found = self._inner.get(task) or Best(evaluation, _value(task, evaluation), 0, 0, None)
            found = replace(found, candidate=self.candidate, epoch=epoch)
            figures[f"test_{criterion((task,)).key}"] = found.value
            self._restore(task, found.evaluation)
            if self._keep(self.best, task, found):
                self._save(task, found)
        self._inner = {}
        return figures

    @staticmethod
    def _keep(kept: dict[str, Best], task: str, found: Best) -> bool:
        better = task not in kept or found.order > kept[task].order
        if better:
            kept[task] = found
        return better

    def _save(self, task: str, best: Best) -> None:
        if self._folder is not None:
            self._before_saving()
            meta = {name: value for name, value in vars(best).items() if name != "evaluation"}
            checkpoint.save(self._folder / f"oracle-{task}", _tensors(getattr(best.evaluation, task)), meta)

    def _restore(self, task: str, like: Evaluation) -> None:
        """The best of an interrupted run; labels and classes are those of ``like``."""
        if self._folder is None or task in self.best:
            return
        if saved := checkpoint.load(self._folder / f"oracle-{task}"):
            tensors, meta = saved
            found: dict[str, Any] = {"gzsl": None, "czsl": None, task: _leaders(tensors)}
            self.best[task] = Best(replace(like, **found), **meta)


def _tensors(found: Sides | Leaders) -> dict[str, Tensor]:
    parts = vars(found) if isinstance(found, Sides) else {"": found}
    return {
        f"{side}/{name}": torch.from_numpy(np.ascontiguousarray(value))
        for side, leaders in parts.items()
        for name, value in vars(leaders).items()
    }


def _leaders(tensors: Mapping[str, Tensor]) -> Sides | Leaders:
    """The inverse of :func:`_tensors`."""
    parts = {
        side: Leaders(**{name: value.numpy() for name, value in arrays.items()})
        for side, arrays in checkpoint.unflatten(tensors).items()
    }
    return parts[""] if "" in parts else Sides(**parts)


def _tasks(evaluation: Evaluation) -> list[str]:
    return [one for one in ("gzsl", "czsl") if getattr(evaluation, one) is not None]


def _value(task: str, evaluation: Evaluation) -> float:
    return criterion((task,)).measure(evaluation)
