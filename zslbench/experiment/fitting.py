"""Fits one recipe on one fold: embedding, then generator, then the final classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zslbench.errors import PluginError, PluginFailure, SettingsError, ZslbenchError
from zslbench.evaluation.evaluator import Evaluation, Score, evaluate as evaluate_scores
from zslbench.evaluation.folds import Fold, transductive_knowledge, unseen_space
from zslbench.experiment.inputs import ClassifierInputs, require_finite
from zslbench.experiment.recipe import Recipe
from zslbench.experiment.samples import sample_statistics
from zslbench.plugin.boundary import located
from zslbench.plugin.dataset import Indices
from zslbench.plugin.declarations import Kind, Task
from zslbench.plugin.interfaces import Classifier, Embedding, Generator
from zslbench.plugin.programs import Derived, Fit
from zslbench.plugin.targets import load_class
from zslbench.plugin.views import ClassSpace, Networks, Rows, TrainView, Transductive
from zslbench.training.batches import in_chunks
from zslbench.training.loop import OnEpoch, Trained, Training, complete, derive

Assess = Callable[[int, Evaluation], Mapping[str, float]]
"""Called with an epoch and the evaluation after it; returns figures for the epoch's row."""

EachClassifierEpoch = Callable[[str, int, Evaluation], Mapping[str, float]]
"""Called with the task (``gzsl`` or ``czsl``), the classifier's epoch and the evaluation after it; returns
figures for the epoch's row."""


@dataclass(frozen=True)
class Fitted:
    """Networks by part, their evaluation, and the per-epoch rows of their training."""

    networks: Mapping[str, Networks]
    """By part: ``embedding``, ``generator``, ``gzsl``, ``czsl``; of final classifiers only the last two."""
    evaluation: Evaluation
    epochs: tuple[dict[str, Any], ...]


def embedding_inputs(recipe: Recipe) -> str:
    """Which inputs the recipe's embedding reads: ``features``, ``regions`` or ``images``."""
    return str(load_class(recipe.parts["embedding"].registered).inputs)


def embedding_needs(recipe: Recipe) -> dict[str, Any]:
    """What the data set must have for the recipe's embedding: ``needs_regions`` and ``image_size`` of a
    :class:`~zslbench.plugin.dataset.DataRequest`."""
    part = recipe.parts["embedding"]
    embedding: type[Embedding] = load_class(part.registered)
    size = embedding.image_size(part.settings) if embedding.inputs == "images" else None
    return {"needs_regions": embedding.inputs == "regions", "image_size": size}


def require_fitting_parts(recipe: Recipe) -> None:
    """Refuse components that do not fit together, whatever the data.

    Raises:
        ZslbenchError: the classifier needs synthetic examples or features that nothing makes.
        SettingsError: the CZSL classifier has another schedule than the one that selection paces.
    """
    part = recipe.parts["classifier"]
    classifier: type[Classifier] = load_class(part.registered)
    generator = load_class(recipe.parts["generator"].registered) if "generator" in recipe.parts else None
    if classifier.needs_examples and generator is None:
        raise ZslbenchError(
            f"classifier '{part.name}' needs examples of every class it scores: add a generator (--generator "
            "NAME), or use one that scores from semantics, such as eszsl"
        )
    if classifier.reads == "features" and getattr(generator, "samples", "") == "inputs":
        raise ZslbenchError(
            f"classifier '{part.name}' reads features g, but generator '{recipe.parts['generator'].name}' "
            "samples inputs of a classifier; replace one of them"
        )
    if recipe.paced == "classifier" and recipe.schedule is not None:
        name = recipe.schedule.partition(".")[2]
        if part.settings.for_task("czsl").flat()[name] != part.settings.flat()[name]:
            raise SettingsError(
                f"{recipe.schedule} is this method's schedule, and model selection chooses one epoch of it "
                "for both tasks: the CZSL classifier cannot have another length"
            )


class Fitter:
    """One recipe on one fold: f_gzsl over all classes and f_czsl over the unseen ones, on top of an embedding
    and a generator.

    Both come from one generator, and from one set of synthetic features unless it makes another number for
    CZSL. A classifier that scores from semantics is fitted once, and f_czsl is f_gzsl restricted to the
    unseen columns.

    Args:
        tasks: which classifiers to fit, ``("czsl", "gzsl")`` or one of them.

    Raises:
        ZslbenchError: the components do not fit together, or the data set lacks inputs of one of them.
    """

    def __init__(self, recipe: Recipe, fold: Fold, training: Training, tasks: tuple[str, ...]) -> None:
        require_fitting_parts(recipe)
        self.recipe, self.fold, self.training, self.tasks = recipe, fold, training, tasks
        self.space: ClassSpace = fold.space
        self.embedding: Embedding = self._made("embedding")
        self.generator: Generator | None = self._made("generator") if "generator" in recipe.parts else None
        self.classifier: type[Classifier] = load_class(recipe.parts["classifier"].registered)
        what = {"regions": "region features", "images": "pictures"}.get(self.embedding.inputs)
        if what is not None and self.inputs is None:
            raise ZslbenchError(
                f"embedding '{recipe.parts['embedding'].name}' reads {what}, which data set "
                f"'{recipe.parts['dataset'].name}' does not have here"
            )

    @property
    def inputs(self) -> Rows:
        """What the embedding reads of the training images."""
        inputs: Rows = getattr(self.fold.view, self.embedding.inputs)
        return inputs

    def _made(self, kind: Kind, task: Task = "gzsl") -> Any:
        """A component for a task, with references to the components before it."""
        part, space = self.recipe.parts[kind], self.space if task == "gzsl" else unseen_space(self.space)
        with located(**self._place(kind)):
            made = load_class(part.registered)(part.settings.for_task(task), space)
        if kind != "embedding":
            made.embedding = self.embedding
        if kind == "classifier":
            made.generator = self.generator
        return made

    def fit(
        self,
        *,
        evaluates: Callable[[int], bool] = lambda epoch: False,
        assess: Assess | None = None,
        each: EachClassifierEpoch | None = None,
        draws_anew: bool = False,
    ) -> Fitted:
        """Fit every part and evaluate at the end of the schedule.

        Args:
            evaluates: after which epochs of the paced training ``assess`` is called as well.
            each: called after every epoch of the final classifiers' training.
            draws_anew: whether each of these evaluations gets its own random streams; otherwise all share
                those of the final evaluation, so that only the networks make their figures differ.
        """
        paced = self.recipe.paced

        def hook(kind: Kind, evaluate: Callable[[Networks, Training], Evaluation]) -> OnEpoch | None:
            if assess is None or paced != kind:
                return None

            def after(epoch: int, nets: Networks) -> Mapping[str, float]:
                if not evaluates(epoch):
                    return {}
                training = self.training.unsaved()
                if draws_anew:
                    training = replace(training, streams=training.streams.child(f"epoch {epoch}"))
                try:
                    return assess(epoch, evaluate(nets, training))
                except PluginFailure as failure:
                    error, own = failure.__cause__, kind in failure.place
                    if not own or not isinstance(error, KeyError) or not error.args or error.args[0] in nets:
                        raise
                    name = self.recipe.parts[kind].name
                    raise PluginError(
                        f"{kind} '{name}' needs {error} after epoch {epoch}, but its paced program has only "
                        f"{', '.join(nets)}; put whatever else it reads into frozen"
                    ) from error

            return after

        def after_embedding(nets: Networks, training: Training) -> Evaluation:
            view, held_out = self._embedded(nets, replace(training, stages=None))
            fit = partial(self._fit_generator, view, held_out)
            owned = self._owned("generator", training.child("generator"), view)
            generator = self._complete("generator", self.generator, fit, owned)
            return self.fit_classifiers(generator.networks, view, held_out, training, each).evaluation

        embedding = self._complete(
            "embedding",
            self.embedding,
            lambda: self.embedding.fit(self.fold.view),
            self._part("embedding"),
            hook("embedding", after_embedding),
        )
        view, held_out = self._embedded(embedding.networks, self._part("embedding"))

        def after_generator(nets: Networks, training: Training) -> Evaluation:
            return self.fit_classifiers(nets, view, held_out, training, each).evaluation

        generator = self._complete(
            "generator",
            self.generator,
            partial(self._fit_generator, view, held_out),
            self._part("generator", view),
            self._watched(hook("generator", after_generator), view, held_out),
        )
        # An observer of each classifier epoch must see all of them again after an interruption: they are
        # then repeated, not resumed.
        training = self.training if each is None else replace(self.training, folder=None)
        if paced == "classifier" and assess is not None:
            each = _paced(assess, evaluates, each)
        last = self.fit_classifiers(generator.networks, view, held_out, training, each)
        networks = {"embedding": embedding.networks, "generator": generator.networks, **last.networks}
        rows = embedding.epochs + generator.epochs + last.epochs
        return Fitted({part: nets for part, nets in networks.items() if nets}, last.evaluation, rows)

    def _complete(
        self,
        kind: Kind,
        component: Any,
        fit: Callable[[], Fit],
        training: Training,
        on_epoch: OnEpoch | None = None,
    ) -> Trained:
        """The fitted component (None: the recipe has none), trained until the recipe's last epoch."""
        until = self.recipe.until if kind == self.recipe.paced else None
        settings, space = (component.settings, component.space) if component else (None, self.space)
        with located(**self._place(kind) | {"stage": training.stage}):
            return complete(fit(), space.semantics, training, on_epoch, settings=settings, until=until)

    def _place(self, kind: Kind) -> dict[str, str]:
        """A component's plugin and name, and the fold, for unexpected errors in its code."""
        part = self.recipe.parts.get(kind)
        named = {"plugin": part.registered.plugin.name, kind: part.name} if part else {}
        return {**named, "stage": self.training.stage}

    def _watched(self, on_epoch: OnEpoch | None, view: TrainView, held_out: Fold) -> OnEpoch | None:
        """``on_epoch`` of the generator, which adds statistics of its samples if they are requested."""
        if not self.training.debug_samples or self.generator is None or self.recipe.paced != "generator":
            return on_epoch

        def after(epoch: int, nets: Networks) -> Mapping[str, float]:
            figures = dict(on_epoch(epoch, nets)) if on_epoch else {}
            inputs = ClassifierInputs(
                self.generator, nets, self.training.streams, place=self._place("generator")
            )
            return figures | sample_statistics(inputs, view, held_out)

        return after

    def _fit_generator(self, view: TrainView, held_out: Fold) -> Fit:
        test = self._knowledge(held_out, "gzsl")
        return self.generator.fit(replace(view, test=test)) if self.generator else {}

    def _knowledge(self, held_out: Fold, task: str) -> Transductive | None:
        """What the recipe's reading lets a component know about held-out images."""
        return transductive_knowledge(held_out, self.recipe.transductive, task, self.training.streams)

    def _part(self, kind: Kind, view: TrainView | None = None) -> Training:
        """The context of one component's training."""
        return self._owned(kind, self.training.child(kind), view)

    def _owned(self, kind: Kind, training: Training, view: TrainView | None = None) -> Training:
        """A component's training; its stages depend on its plugin, on the ``view`` that earlier components
        made, and on what it knows about held-out images."""
        if training.stages is None or kind not in self.recipe.parts:
            return training
        registered = self.recipe.parts[kind].registered
        identity: dict[str, Any] = {"component": registered.name, "source": registered.plugin.source}
        if kind != "embedding" and self.recipe.transductive:
            identity["transductive"] = list(self.recipe.transductive)
        fitted_on = {} if view is None else {"features": view.features, "labels": view.labels}
        return replace(training, stages=training.stages.of_part(fitted_on, **identity))

    def _embedded(self, nets: Networks, training: Training) -> tuple[TrainView, Fold]:
        """The training view with g, and the fold with embedded test images.

        Computing g from region features or pictures takes long, so it is stored with the results of stages.
        """
        view, fold = self.fold.view, self.fold
        rows = self.inputs
        sides = {"test_seen": fold.test_seen, "test_unseen": fold.test_unseen}
        inputs = {"train": rows} | {name: side.features for name, side in sides.items()}

        def embed(one: Rows) -> Tensor:
            if not len(one):  # as in test_seen of a CZSL-only data set: no rows, but the right width
                first = torch.zeros(1, dtype=torch.int64, device=view.labels.device)
                return self.embedding.embed(nets, rows[first])[:0]
            found = torch.cat([self.embedding.embed(nets, p) for p in in_chunks(one, view.labels.device)])
            require_finite(f"embed of embedding '{self.recipe.parts['embedding'].name}'", found)
            return found

        def compute() -> Networks:
            with torch.no_grad(), located(**self._place("embedding")):
                return {"g": {name: embed(one) for name, one in inputs.items()}}

        settings = self.recipe.parts["embedding"].values()
        derived = Derived(compute, source=nets, key={"settings": settings}, name="g")
        if self.embedding.inputs == "features":
            training = replace(training, stages=None)
        g = derive(derived, training.child("g"))["g"]
        guide, networks = self.embedding.guide(nets), {"embedding": nets}
        embedded = TrainView(g["train"], view.labels, guide=guide, networks=networks)
        seen, unseen = (replace(side, features=g[name]) for name, side in sides.items())
        return embedded, replace(fold, test_seen=seen, test_unseen=unseen)

    def fit_classifiers(
        self,
        generator: Networks,
        view: TrainView,
        held_out: Fold,
        training: Training,
        each: EachClassifierEpoch | None = None,
    ) -> Fitted:
        """Fit the classifiers on top of a fitted ``generator`` and images g, and evaluate their scores."""
        both: tuple[Task, ...] = ("gzsl", "czsl")
        tasks: list[Task] = (
            [one for one in both if one in self.tasks] if self.classifier.needs_examples else ["gzsl"]
        )
        place, reads = self._place("generator"), self.classifier.reads
        inputs = ClassifierInputs(self.generator, generator, training.streams, reads, place)
        views, held_out = inputs.views(view, self.space, tasks), inputs.held_out(held_out)
        networks: dict[str, Networks] = {}
        scores: dict[str, Score] = {}
        rows: tuple[dict[str, Any], ...] = ()
        for task in tasks:
            classifier = self._made("classifier", task)
            score = partial(_score, classifier, self._place("classifier"))

            def on_epoch(
                epoch: int, nets: Networks, task: str = task, score: Callable[[Networks], Score] = score
            ) -> Mapping[str, float]:
                return each(task, epoch, self._evaluate(held_out, {task: score(nets)})) if each else {}

            seen = replace(views[task], test=self._knowledge(held_out, task))
            done = self._complete(
                "classifier",
                classifier,
                partial(inputs.fit, classifier, view, seen, self.space),
                self._owned("classifier", training.child(task), seen),
                on_epoch if each else None,
            )
            networks[task], scores[task] = done.networks, score(done.networks)
            rows += done.epochs
        return Fitted(networks, self._evaluate(held_out, scores), rows)

    def refit(self, networks: Mapping[str, Networks], task: Task) -> Networks:
        """The classifier of a task, fitted in this fold on top of an embedding and a generator that were
        fitted in another; the fold has no test images."""
        nets = networks.get("embedding", {})
        view, held_out = TrainView(self.fold.view.features[:0], self.fold.view.labels[:0]), self.fold
        if task == "gzsl":  # the other classifier sees no training image
            view, held_out = self._embedded(nets, replace(self.training, stages=None))
        view = replace(view, networks={"embedding": nets})
        fitted = self.fit_classifiers(networks.get("generator", {}), view, held_out, self.training)
        return fitted.networks.get(task, {})

    def scores(self, networks: Mapping[str, Networks], task: Task, inputs: Tensor, images: Indices) -> Tensor:
        """Scores of images over the classes of a task, as the evaluation computes them.

        Args:
            inputs: what the embedding reads.
            images: row numbers in the data set, for the noise of methods that draw at test.
        """
        generator = networks.get("generator", {})
        place, reads = self._place("generator"), self.classifier.reads
        seen = ClassifierInputs(self.generator, generator, self.training.streams, reads, place)
        with torch.no_grad(), located(**self._place("embedding")):
            g = self.embedding.embed(networks.get("embedding", {}), inputs)
        own: Task = task if self.classifier.needs_examples else "gzsl"
        score = _score(self._made("classifier", own), self._place("classifier"), networks.get(own, {}))
        found = score(seen.of_test_images(g, images))
        return found[:, self.space.unseen] if own != task else found

    def _evaluate(self, held_out: Fold, scores: Mapping[str, Score]) -> Evaluation:
        tasks = tuple(scores) if self.classifier.needs_examples else self.tasks
        return evaluate_scores(held_out, scores, tasks, keep=self.training.keep_scores)


def _score(classifier: Classifier, place: Mapping[str, str], nets: Networks) -> Score:
    def score(inputs: Tensor) -> Tensor:
        with torch.no_grad(), located(**place):
            return classifier.scores(nets, inputs)

    return score


def _paced(
    assess: Assess, evaluates: Callable[[int], bool], each: EachClassifierEpoch | None
) -> EachClassifierEpoch:
    """Assess the epochs of the classifier, for a method whose only schedule is the classifier's."""

    def both(task: str, epoch: int, evaluation: Evaluation) -> Mapping[str, float]:
        found = dict(each(task, epoch, evaluation)) if each is not None else {}
        return found | dict(assess(epoch, evaluation)) if evaluates(epoch) else found

    return both
