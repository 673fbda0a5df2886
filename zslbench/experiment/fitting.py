"""Fits one recipe on one fold: embedding, then generator, then the final classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.evaluation.evaluator import Evaluation, Evaluator
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.experiment.classifying import EachClassifierEpoch, FinalClassifiers
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.interfaces import Derived, Embedding, Generator, Networks, TrainView
from zslbench.plugin.targets import load_class
from zslbench.training.batches import in_chunks
from zslbench.training.loop import OnEpoch, Trained, Training, complete, derive

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
        paced = self.recipe.paced

        def hook(kind: str, evaluate: Callable[[Networks], Evaluation]) -> OnEpoch | None:
            if assess is None or paced != kind:
                return None
            return lambda epoch, nets: assess(epoch, evaluate(nets)) if evaluates(epoch) else {}

        def after_embedding(nets: Networks) -> Evaluation:
            training = self.training.unsaved()
            view, evaluator = self._embedded(nets, replace(training, stages=None))
            generator = self._generator(view, training.child("generator"), None)
            return self.classifiers.fit(generator.networks, view, evaluator, training, each).evaluation

        embedding = complete(
            self.embedding.fit(self.fold.view),
            self.fold.space.semantics,
            self._part("embedding"),
            hook("embedding", after_embedding),
        )
        view, evaluator = self._embedded(embedding.networks, self._part("embedding"))

        def after_generator(nets: Networks) -> Evaluation:
            training = self.training.unsaved()
            return self.classifiers.fit(nets, view, evaluator, training, each).evaluation

        generator = self._generator(view, self._part("generator"), hook("generator", after_generator))
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
        """What follows the embedding: the training view with g, and an evaluator of embedded test images.

        Of region features, which take long to go through, g is kept with the other stages' results.
        """
        view, fold = self.fold.view, self.fold
        rows = view.features if self.embedding.inputs == "features" else view.regions
        assert rows is not None
        held = {"test_seen": fold.test_seen, "test_unseen": fold.test_unseen}

        def embed(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                return self.embedding.embed(nets, inputs)

        def compute() -> Networks:
            g = torch.cat([embed(part) for part in in_chunks(rows, view.labels.device)])
            return {"g": {"train": g, **{name: _features(one.embedded(embed)) for name, one in held.items()}}}

        settings = self.recipe.parts["embedding"].values()
        derived = Derived(compute, source=nets, key={"settings": settings}, name="g")
        of_features = self.embedding.inputs == "features"
        unkept = replace(training, stages=None) if of_features else training
        g = derive(derived, unkept.child("g"))["g"]
        embedded = TrainView(features=g["train"], labels=view.labels, guide=self.embedding.guide(nets))
        seen, unseen = (replace(one, features=g[name]) for name, one in held.items())
        return embedded, Evaluator(replace(fold, test_seen=seen, test_unseen=unseen), lambda inputs: inputs)

    def _generator(self, view: TrainView, training: Training, on_epoch: OnEpoch | None) -> Trained:
        if self.generator is None:
            return Trained({})
        return complete(self.generator.fit(view), self.fold.space.semantics, training, on_epoch)


def _features(held: HeldOut) -> Tensor:
    features = held.features
    assert isinstance(features, Tensor)
    return features


def _paced(
    assess: Assess, evaluates: Callable[[int], bool], each: EachClassifierEpoch | None
) -> EachClassifierEpoch:
    """For a method whose only schedule is the classifier's: its epochs are the ones that are assessed."""

    def both(task: str, epoch: int, evaluation: Evaluation) -> Mapping[str, float]:
        found = dict(each(task, epoch, evaluation)) if each is not None else {}
        return found | dict(assess(epoch, evaluation)) if evaluates(epoch) else found

    return both
