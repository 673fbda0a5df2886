"""Fits one recipe on one fold: embedding, then generator, then the final classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from zslbench.errors import ZslbenchError
from zslbench.evaluation.evaluator import Evaluation, Evaluator
from zslbench.evaluation.folds import Fold
from zslbench.experiment.classifying import EachClassifierEpoch, FinalClassifiers
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.interfaces import Derived, Embedding, Generator, Networks, TrainView
from zslbench.plugin.targets import load_class
from zslbench.training.batches import in_chunks
from zslbench.training.loop import OnEpoch, Training, complete, derive

Assess = Callable[[int, Evaluation], Mapping[str, float]]
"""Called with an epoch and what the evaluator found after it; returns figures for the epoch's row."""


@dataclass(frozen=True)
class Fitted:
    """Networks of every part, and the per-epoch rows of their training."""

    networks: Mapping[str, Networks]
    """By part: ``embedding``, ``generator``, ``gzsl``, ``czsl``."""
    epochs: tuple[dict[str, Any], ...]


def embedding_inputs(recipe: Recipe) -> str:
    """Which inputs the recipe's embedding reads: ``features`` or ``regions``."""
    return str(load_class(recipe.parts["embedding"].registered).inputs)


class Fitter:
    """One recipe on one fold.

    Args:
        tasks: which classifiers are wanted, ``("czsl", "gzsl")`` or one of them.

    Raises:
        ZslbenchError: the parts do not fit together, or the data set lacks what one of them reads.
    """

    def __init__(self, recipe: Recipe, fold: Fold, training: Training, tasks: tuple[str, ...]) -> None:
        self.recipe, self.fold, self.training = recipe, fold, training
        parts, space = recipe.parts, fold.space
        self.embedding: Embedding = load_class(parts["embedding"].registered)(
            parts["embedding"].settings, space
        )
        self.generator: Generator | None = None
        if "generator" in parts:
            made = load_class(parts["generator"].registered)(parts["generator"].settings, space)
            self.generator = made
        self.classifiers = FinalClassifiers(recipe, space, self.generator, tasks)
        if self.embedding.inputs == "regions" and fold.view.regions is None:
            raise ZslbenchError(
                f"embedding '{parts['embedding'].name}' reads region features and data set "
                f"'{parts['dataset'].name}' has none here"
            )

    def fit(
        self,
        *,
        evaluates: Callable[[int], bool] = lambda epoch: False,
        assess: Assess | None = None,
        each: EachClassifierEpoch | None = None,
    ) -> tuple[Fitted, Evaluation]:
        """Fit every part and evaluate at the end of the schedule.

        Args:
            evaluates: after which epochs of the paced training ``assess`` is called as well.
            each: called after every epoch of the final classifiers' training.
        """
        paced, semantics = self.recipe.paced, self.fold.space.semantics

        def hook(kind: str, evaluate: Callable[[Networks], Evaluation]) -> OnEpoch | None:
            if assess is None or paced != kind:
                return None
            return lambda epoch, nets: assess(epoch, evaluate(nets)) if evaluates(epoch) else {}

        def after_embedding(nets: Networks) -> Evaluation:
            training = self.training.unsaved()
            view, evaluator = self._embedded(nets, replace(training, stages=None))
            generator = complete(
                self.generator.fit(view) if self.generator else {}, semantics, training.child("generator")
            )
            return self.classifiers.fit(generator.networks, view, evaluator, training, each).evaluation

        embedding = complete(
            self.embedding.fit(self.fold.view),
            semantics,
            self._part("embedding"),
            hook("embedding", after_embedding),
        )
        view, evaluator = self._embedded(embedding.networks, self._part("embedding"))

        def after_generator(nets: Networks) -> Evaluation:
            training = self.training.unsaved()
            return self.classifiers.fit(nets, view, evaluator, training, each).evaluation

        generator = complete(
            self.generator.fit(view) if self.generator else {},
            semantics,
            self._part("generator"),
            hook("generator", after_generator),
        )
        # Whoever looks at each epoch of the final classifiers must see all of them again after an
        # interruption, so they are then repeated rather than resumed.
        training = self.training if each is None else replace(self.training, folder=None)
        if paced == "classifier" and assess is not None:
            each = _paced(assess, evaluates, each)
        last = self.classifiers.fit(generator.networks, view, evaluator, training, each)
        networks = {"embedding": embedding.networks, "generator": generator.networks, **last.networks}
        rows = embedding.epochs + generator.epochs + last.epochs
        return Fitted({part: nets for part, nets in networks.items() if nets}, rows), last.evaluation

    def _part(self, kind: Literal["embedding", "generator"]) -> Training:
        """The context of one component's training; its stages depend on the plugin that it comes from."""
        training = self.training.child(kind)
        if training.stages is None or kind not in self.recipe.parts:
            return training
        registered = self.recipe.parts[kind].registered
        source = f"{registered.plugin.version} {registered.plugin.source_digest()}".strip()
        return replace(training, stages=training.stages.of_part(component=registered.name, source=source))

    def _embedded(self, nets: Networks, training: Training) -> tuple[TrainView, Evaluator]:
        """The training view with g, and an evaluator of embedded test images.

        Computing g from region features takes long, so it is stored with the results of stages.
        """
        view, fold = self.fold.view, self.fold
        of_features = self.embedding.inputs == "features"
        rows = view.features if of_features else view.regions
        assert rows is not None
        sides = {"test_seen": fold.test_seen, "test_unseen": fold.test_unseen}
        inputs = {"train": rows} | {name: side.features for name, side in sides.items()}

        def compute() -> Networks:
            with torch.no_grad():
                return {
                    "g": {
                        name: torch.cat(
                            [self.embedding.embed(nets, part) for part in in_chunks(one, view.labels.device)]
                        )
                        for name, one in inputs.items()
                    }
                }

        settings = self.recipe.parts["embedding"].values()
        derived = Derived(compute, source=nets, key={"settings": settings}, name="g")
        if of_features:
            training = replace(training, stages=None)
        g = derive(derived, training.child("g"))["g"]
        embedded = TrainView(features=g["train"], labels=view.labels, guide=self.embedding.guide(nets))
        seen, unseen = (replace(side, features=g[name]) for name, side in sides.items())
        return embedded, Evaluator(replace(fold, test_seen=seen, test_unseen=unseen))


def _paced(
    assess: Assess, evaluates: Callable[[int], bool], each: EachClassifierEpoch | None
) -> EachClassifierEpoch:
    """For a method whose only schedule is the classifier's: its epochs are the ones that are assessed."""

    def both(task: str, epoch: int, evaluation: Evaluation) -> Mapping[str, float]:
        found = dict(each(task, epoch, evaluation)) if each is not None else {}
        return found | dict(assess(epoch, evaluation)) if evaluates(epoch) else found

    return both
