"""The end of a recipe: synthetic features, the final classifiers, and their scores to the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation.evaluator import Evaluation, Evaluator, Score
from zslbench.evaluation.folds import unseen_space
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.interfaces import Classifier, ClassSpace, Generator, Networks, TrainView
from zslbench.plugin.targets import load_class
from zslbench.training.loop import OnEpoch, Training, complete
from zslbench.training.step import draw

EachClassifierEpoch = Callable[[str, int, Evaluation], Mapping[str, float]]
"""Called with the task (``gzsl`` or ``czsl``), the classifier's epoch and the evaluation after it; returns
figures for the epoch's row."""


@dataclass(frozen=True)
class Classified:
    """Fitted final classifiers by task, what the evaluator made of them, and the rows of their epochs."""

    networks: dict[str, Networks]
    evaluation: Evaluation
    epochs: tuple[dict[str, Any], ...]


class FinalClassifiers:
    """f_gzsl over all classes and f_czsl over the unseen ones, on top of a fitted embedding and generator.

    Both come from one generator and one set of synthetic features. A classifier that scores from semantics
    is fitted once, and f_czsl is f_gzsl with the unseen columns alone.

    Args:
        tasks: which of ``czsl`` and ``gzsl`` are wanted.
    """

    def __init__(
        self, recipe: Recipe, space: ClassSpace, generator: Generator | None, tasks: tuple[str, ...]
    ) -> None:
        self.part = recipe.parts["classifier"]
        self.kind: type[Classifier] = load_class(self.part.registered)
        self.space, self.generator, self.tasks = space, generator, tasks
        if self.kind.needs_examples and generator is None:
            raise ZslbenchError(
                f"classifier '{self.part.name}' needs examples of every class it scores: "
                "add a generator (--generator NAME), or take one that scores from semantics, as eszsl"
            )

    def fit(
        self,
        generator: Networks,
        view: TrainView,
        evaluator: Evaluator,
        training: Training,
        each: EachClassifierEpoch | None = None,
    ) -> Classified:
        """Fit the classifiers and have their scores evaluated.

        Args:
            generator: the fitted generator's networks.
            view: embedded training images g.
            each: called after every epoch of a classifier's training; None: nobody looks.
        """
        with torch.no_grad():
            parts = [self._transformed(generator, part) for part in torch.split(view.features, 1024)]
        synthetic = self._synthetic(generator, view, training)
        both = TrainView(
            features=torch.cat([*parts, synthetic.features]),
            labels=torch.cat([view.labels, synthetic.labels]),
        )
        alone = replace(synthetic, labels=torch.searchsorted(self.space.unseen, synthetic.labels))
        tasks = (
            [one for one in ("gzsl", "czsl") if one in self.tasks] if self.kind.needs_examples else ["gzsl"]
        )
        networks: dict[str, Networks] = {}
        scores: dict[str, Score] = {}
        rows: tuple[dict[str, Any], ...] = ()
        for task in tasks:
            space = self.space if task == "gzsl" else unseen_space(self.space)
            classifier = self.kind(self.part.settings, space)
            done = complete(
                classifier.fit(both if task == "gzsl" else alone),
                space.semantics,
                training.child(task),
                self._on_epoch(task, classifier, generator, evaluator, each),
            )
            networks[task] = done.networks
            scores[task] = self._score(classifier, done.networks, generator)
            rows += done.epochs
        return Classified(networks, self._evaluate(evaluator, scores), rows)

    def _on_epoch(
        self,
        task: str,
        classifier: Classifier,
        generator: Networks,
        evaluator: Evaluator,
        each: EachClassifierEpoch | None,
    ) -> OnEpoch | None:
        if each is None:
            return None

        def on_epoch(epoch: int, nets: Networks) -> Mapping[str, float]:
            score = self._score(classifier, nets, generator)
            return each(task, epoch, self._evaluate(evaluator, {task: score}))

        return on_epoch

    def _evaluate(self, evaluator: Evaluator, scores: Mapping[str, Score]) -> Evaluation:
        gzsl, czsl = scores.get("gzsl"), scores.get("czsl")
        if not self.kind.needs_examples and gzsl is not None:
            czsl = _columns(gzsl, self.space.unseen)
        return evaluator.evaluate(
            gzsl if "gzsl" in self.tasks else None, czsl if "czsl" in self.tasks else None
        )

    def _score(self, classifier: Classifier, nets: Networks, generator: Networks) -> Score:
        def score(g: Tensor) -> Tensor:
            with torch.no_grad():
                return classifier.scores(nets, self._transformed(generator, g))

        return score

    def _transformed(self, generator: Networks, g: Tensor) -> Tensor:
        return g if self.generator is None else self.generator.transform(generator, g)

    def _synthetic(self, generator: Networks, view: TrainView, training: Training) -> TrainView:
        """Synthetic images of the unseen classes, one class at a time, as the classifier sees them."""
        if self.generator is None:
            return TrainView(view.features[:0], view.labels[:0])
        unseen, per_class = self.space.unseen, self.generator.per_class
        if per_class < 1:
            raise SettingsError(f"generator: {per_class} synthetic features per class; give 1 or more")
        streams = training.streams.child("synthesis")
        made = []
        with torch.no_grad():
            for one in unseen.tolist():
                noise = {
                    name: draw(spec, per_class, streams, name)
                    for name, spec in self.generator.sample_noise.items()
                }
                semantics = self.space.semantics[one].expand(per_class, -1)
                made.append(self._transformed(generator, self.generator.sample(generator, semantics, noise)))
        return TrainView(torch.cat(made), unseen.repeat_interleave(per_class))


def _columns(score: Score, classes: Tensor) -> Score:
    return lambda g: score(g)[:, classes]
