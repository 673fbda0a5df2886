"""What the classifiers see, given a fitted generator: real features, synthetic ones and test images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator as Coroutine, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from zslbench.errors import Diverged, PluginError, SettingsError
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.plugin.boundary import located
from zslbench.plugin.dataset import Indices
from zslbench.plugin.interfaces import Classifier, Generator
from zslbench.plugin.programs import Derived, Fit, NoiseSpec, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, Networks, Noise, Rows, TrainView
from zslbench.training.step import draw

_PASS = 128
"""Most synthetic features in one pass through the networks, unless a single class has more."""


@dataclass(frozen=True)
class ClassifierInputs:
    """The classifiers' inputs, given one fitted generator; without a generator they are g.

    Every call draws from the start of its streams, so equal calls give equal inputs.
    """

    generator: Generator | None
    networks: Networks
    """The generator's."""
    streams: Streams
    reads: str = "inputs"
    """``Classifier.reads``."""
    place: Mapping[str, str] = field(default_factory=dict)
    """Plugin and name of the generator, for unexpected errors in its code."""

    def views(self, view: TrainView, space: ClassSpace, tasks: Collection[str]) -> dict[str, TrainView]:
        """What the classifier of each task is fitted on: real and synthetic images for ``gzsl``, synthetic
        ones alone, with class ids in the space of the unseen classes, for ``czsl``.

        Args:
            view: g of the training images.
        """
        networks = dict(view.networks) | ({"generator": self.networks} if self.generator else {})
        views: dict[str, TrainView] = {}
        if "gzsl" in tasks:
            g, labels = self.training_images(view, space)
            synthetic, ids = self.synthetic(space, "gzsl")
            chunks = [*self.real(g), *synthetic]
            if len(widths := {one.shape[1] for one in chunks}) > 1:
                raise PluginError(
                    f"generator '{self.place.get('generator', '')}': what the classifier sees of real and of "
                    f"synthetic features differs in width, {' and '.join(map(str, sorted(widths)))}"
                )
            inputs = torch.cat(chunks)
            del chunks, synthetic  # with many classes these are the largest tensors
            labels, count = torch.cat([labels, ids]), len(labels)
            views["gzsl"] = TrainView(inputs, labels, networks=networks, task="gzsl")
        if "czsl" in tasks:
            if "gzsl" in views and self._count("czsl") == self._count("gzsl"):
                inputs = views["gzsl"].features[count:]
            else:
                synthetic, ids = self.synthetic(space, "czsl")
                inputs = torch.cat(synthetic)
            labels = torch.searchsorted(space.unseen, ids)
            views["czsl"] = TrainView(inputs, labels, networks=networks, task="czsl")
        return views

    def fit(self, classifier: Classifier, view: TrainView, trained: TrainView, space: ClassSpace) -> Fit:
        """``classifier.fit`` on a view of :meth:`views`; where the generator redraws real inputs, programs
        read those of the epoch.

        Args:
            view: g of the training images; ``trained``: what the classifier is fitted on.
        """
        fit = classifier.fit(trained)
        if self._sees_g or self.generator is None or not self.generator.redraws or trained.task == "czsl":
            return fit
        g, _ = self.training_images(view, space)
        return each_program(fit, lambda program: self._redrawn(program, trained.features, g))

    def _redrawn(self, program: Program, inputs: Tensor, g: Tensor) -> Program:
        if program.features is not inputs:
            raise PluginError(
                f"program '{program.name}' does not train on view.features, but the generator redraws the "
                "classifier's inputs in every epoch; pass view.features itself"
            )
        redrawn = Redrawn(inputs, len(g), lambda epoch: torch.cat(self.real(g, epoch)))
        return replace(program, features=redrawn, key=None)

    # --- real images -------------------------------------------------------------------------------

    def training_images(self, view: TrainView, space: ClassSpace) -> tuple[Tensor, Tensor]:
        """g and labels of the training images that the classifier sees."""
        count = self.generator.real_per_class if self.generator else None
        if count is None:
            return view.features, view.labels
        if count < 1:
            raise SettingsError(f"generator: {count} real features per class; must be 1 or more")
        of_class = [torch.nonzero(view.labels == one).flatten() for one in space.seen]
        turn = torch.arange(count, device=view.labels.device)
        rows = torch.cat([some[turn % len(some)] for some in of_class])
        return view.features[rows], view.labels[rows]

    def real(self, g: Tensor, epoch: int = 0) -> list[Tensor]:
        """Inputs of the features of training images, in chunks; those of ``epoch`` where they are redrawn."""
        noise = self._noise(len(g), self.streams.child(f"real/{epoch}"))
        size, found = 1024, []
        with torch.no_grad():
            for start in range(0, len(g), size):
                part = slice(start, start + size)
                found.append(self._inputs(g[part], {name: one[part] for name, one in noise.items()}))
        return found

    def held_out(self, fold: Fold) -> Fold:
        """A fold of test images' g as one of their inputs."""
        if self._sees_g:
            return fold
        sides = (fold.test_seen, fold.test_unseen)
        seen, unseen = (replace(side, features=_TestInputs(self, side)) for side in sides)
        return replace(fold, test_seen=seen, test_unseen=unseen)

    def of_test_images(self, g: Tensor, images: Indices) -> Tensor:
        """Inputs of test images; ``images`` are their row numbers in the data set."""
        noise: Noise = {}
        if self.generator is not None and self.generator.draws_at_test:
            each = [self._noise(1, self.streams.child(f"test/{image}")) for image in images.tolist()]
            noise = {name: torch.cat([one[name] for one in each]) for name in (each[0] if each else {})}
        with torch.no_grad():
            return self._inputs(g, noise)

    # --- unseen classes ----------------------------------------------------------------------------

    def synthetic(self, space: ClassSpace, task: str) -> tuple[list[Tensor], Tensor]:
        """Inputs of synthetic images of the unseen classes, in chunks, and their labels.

        Noise is drawn class by class; classes with few images share a pass through the networks.
        """
        unseen, count = space.unseen, self._count(task)
        if self.generator is None:
            return [], unseen[:0]
        if count < 1:
            raise SettingsError(f"generator: {count} synthetic features per class; must be 1 or more")
        own = "" if count == self._count("gzsl") else f"{task} "
        streams = self.streams.child(f"{own}synthesis")
        of_transform = self.streams.child(f"{own}synthetic inputs")
        found = []
        with torch.no_grad():
            for some in torch.split(unseen, max(1, _PASS // count)):
                noise = _by_class(self.generator.sample_noise, some, count, streams)
                semantics = space.semantics[some].repeat_interleave(count, dim=0)
                made = self._sampled(semantics, noise)
                if self.generator.samples == "features":
                    specs = {} if self._sees_g else self.generator.transform_noise
                    made = self._inputs(made, _by_class(specs, some, count, of_transform))
                found.append(made)
        return found, unseen.repeat_interleave(count)

    def compared(self, g: Tensor, semantics: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Real features of images, and ``count`` synthetic ones of each class, (k, count, d),
        in the space that the generator samples."""
        assert self.generator is not None
        streams = self.streams.child("samples")
        with torch.no_grad():
            rows = torch.arange(len(semantics), device=g.device)
            noise = _by_class(self.generator.sample_noise, rows, count, streams)
            made = self._sampled(semantics.repeat_interleave(count, dim=0), noise)
        real = torch.cat(self.real(g)) if self.generator.samples == "inputs" else g
        return real, made.view(len(semantics), count, -1)

    def _count(self, task: str) -> int:
        if self.generator is None:
            return 0
        return self.generator.czsl_per_class if task == "czsl" else self.generator.per_class

    # --- both --------------------------------------------------------------------------------------

    @property
    def _sees_g(self) -> bool:
        return self.generator is None or self.reads == "features"

    def _inputs(self, g: Tensor, noise: Noise) -> Tensor:
        if self.generator is None or self._sees_g:
            return g
        with located(**self.place):
            try:
                found = self.generator.transform(self.networks, g, noise)
            except KeyError as error:
                if noise or not error.args or error.args[0] not in self.generator.transform_noise:
                    raise
                raise PluginError(
                    f"transform of generator '{self.place.get('generator', '')}' reads noise {error}, which "
                    "test images do not have: without it return the mean, or declare draws_at_test"
                ) from error
        return self._checked("transform", found, len(g))

    def _sampled(self, semantics: Tensor, noise: Noise) -> Tensor:
        assert self.generator is not None
        with located(**self.place):
            found = self.generator.sample(self.networks, semantics, noise)
        return self._checked("sample", found, len(semantics))

    def _checked(self, what: str, found: Tensor, rows: int) -> Tensor:
        """What the generator returned, unless the fault would surface in the classifier's training."""
        if found.ndim != 2 or len(found) != rows or found.dtype != torch.float32:
            shape, name = tuple(found.shape), self.place.get("generator", "")
            raise PluginError(
                f"{what} of generator '{name}' returned shape {shape} of {found.dtype} for {rows} rows; it "
                "must return one row of float32 for each"
            )
        require_finite(f"{what} of generator '{self.place.get('generator', '')}'", found)
        return found

    def _noise(self, rows: int, streams: Streams) -> Noise:
        specs = self.generator.transform_noise if self.generator and not self._sees_g else {}
        return {name: draw_by_row(spec, rows, streams, name) for name, spec in specs.items()}


def require_finite(what: str, found: Tensor) -> None:
    """Diverged where a fitted component computes NaN or infinities, which would surface in the next one."""
    if bad := int((~torch.isfinite(found).all(dim=1)).sum()):
        raise Diverged(
            f"{what} returned NaN or infinite values in {bad} of {len(found)} rows; lower its learning rate "
            "or check the features' scale"
        )


def draw_by_row(spec: NoiseSpec, rows: int, streams: Streams, name: str) -> Tensor:
    """Noise of a generator's ``sample`` or ``transform``, drawn for each row."""
    if not getattr(spec, "per_row", False):  # a permutation has none
        raise PluginError(
            f"generator: noise '{name}' of sample or transform is shared between rows "
            f"({type(spec).__name__}); declare noise that is drawn for each row"
        )
    return draw(spec, rows, streams, name)


def _by_class(specs: Mapping[str, NoiseSpec], classes: Tensor, count: int, streams: Streams) -> Noise:
    """Noise for ``count`` rows of each class, drawn class by class."""
    return {
        name: torch.cat([draw_by_row(spec, count, streams, name) for _ in classes])
        for name, spec in specs.items()
    }


class _TestInputs(Rows):
    """Inputs of one side's test images, computed when they are read."""

    def __init__(self, inputs: ClassifierInputs, side: HeldOut) -> None:
        self._inputs, self._side = inputs, side

    def __len__(self) -> int:
        return len(self._side.features)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        return self._inputs.of_test_images(self._side.features[rows], self._side.rows[rows.cpu().numpy()])


class Redrawn(Rows):
    """A classifier's training inputs, the first ``count`` of which are redrawn in every epoch."""

    def __init__(self, inputs: Tensor, count: int, drawn: Callable[[int], Tensor]) -> None:
        self._inputs, self._count, self._drawn, self._epoch = inputs, count, drawn, 0

    def begin_epoch(self, epoch: int) -> None:
        """From now on, rows are those of an epoch, from 0; called by the loop."""
        if epoch != self._epoch:
            self._inputs = torch.cat([self._drawn(epoch), self._inputs[self._count :]])
            self._epoch = epoch

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        return self._inputs[rows]


def each_program(fit: Fit, change: Callable[[Program], Program]) -> Fit:
    """What ``fit`` returned, with each of its programs changed."""
    if isinstance(fit, Program):
        return change(fit)
    return _changed(fit, change) if isinstance(fit, Coroutine) else fit


def _changed(
    fit: Coroutine[Program | Derived, Networks, Networks], change: Callable[[Program], Program]
) -> Coroutine[Program | Derived, Networks, Networks]:
    try:
        part = next(fit)
        while True:
            part = fit.send((yield change(part) if isinstance(part, Program) else part))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
