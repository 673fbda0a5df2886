"""What checks work with: small generated inputs and a component fitted on them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.experiment.inputs import each_program
from zslbench.plugin.declarations import Component
from zslbench.plugin.interfaces import Generator
from zslbench.plugin.lookup import Registered
from zslbench.plugin.programs import Fit, Program, Step
from zslbench.plugin.settings import ComponentSettings
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class
from zslbench.plugin.views import ClassSpace, Guide, Networks, Noise, TrainView, Transductive
from zslbench.testing.upstream import TinyEmbedding, TinyGenerator
from zslbench.training import linear
from zslbench.training.loop import Training, complete
from zslbench.training.stages import Stages

USES = {"embedding": "embed", "generator": "transform", "classifier": "scores"}
"""By kind: the method that maps rows of features with fitted networks; ``transform`` without noise."""

# --- inputs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TinyRegions:
    """Region features or pictures that can only be read by row, as where they are too large for memory."""

    tensor: Tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Tensor:
        return self.tensor[rows]


@dataclass(frozen=True)
class TinyInputs:
    """Sizes of the generated inputs; change them for a component that needs particular ones.

    Seen and unseen classes alternate, so ids of unseen classes are not contiguous.
    """

    seen: int = 4
    unseen: int = 2
    attributes: int = 5
    per_class: int = 6
    """Training images of each class."""
    width: int = 12
    """Length of a global feature vector."""
    regions: int = 4
    """Regions of an image."""
    channels: int = 8
    """Length of a region's feature vector."""
    words: int = 11
    """Length of an attribute's word vector. Products of words with a matrix (words, channels) then have 440
    multiplications; products with fewer than 400 are rounded differently by torch once they are batched."""
    images: int = 3
    """Images per call of an extractor."""
    transductive: tuple[str, ...] = ()
    """What generators and classifiers know about held-out images, as a reading declares
    (:class:`zslbench.plugin.Reading`)."""

    def pictures(self, count: int, size: int, streams: Streams) -> TinyRegions:
        """Pictures, uint8, that can only be read by row."""
        return TinyRegions((256 * streams.uniform("pictures", (count, 3, size, size))).to(torch.uint8))

    def space(self, data: int = 0, device: torch.device | str = "cpu") -> ClassSpace:
        """Classes with semantics of unit length, which depend on ``data``."""
        streams = Streams(data, device, "tiny/")
        classes = self.seen + self.unseen
        unseen = torch.arange(1, 2 * self.unseen, 2, device=streams.device) % classes
        everything = torch.arange(classes, device=streams.device)
        return ClassSpace(
            names=tuple(f"class {one}" for one in range(classes)),
            semantics=torch.nn.functional.normalize(streams.uniform("semantics", (classes, self.attributes))),
            seen=everything[~torch.isin(everything, unseen)],
            unseen=unseen,
            attribute_names=tuple(f"attribute {one}" for one in range(self.attributes)),
            attribute_vectors=streams.normal("words", (self.attributes, self.words)),
        )

    def raw_view(self, space: ClassSpace, data: int = 0) -> TrainView:
        """An embedding's view: non-negative features and regions of images of seen classes."""
        streams = Streams(data, space.semantics.device, "tiny/raw/")
        labels = self._labels(space.seen, streams)
        regions = streams.normal("regions", (len(labels), self.regions, self.channels)).abs()
        features = 3 * streams.uniform("features", (len(labels), self.width))
        return TrainView(features=features, labels=labels, regions=TinyRegions(regions))

    def view(
        self, space: ClassSpace, classes: Int[Tensor, " k"], data: int = 0, *, guide: bool = False
    ) -> TrainView:
        """A generator's or classifier's view: features in [0, 1] of images of ``classes``."""
        streams = Streams(data, space.semantics.device, "tiny/embedded/")
        labels = self._labels(classes, streams)
        return TrainView(
            features=streams.uniform("features", (len(labels), self.width)),
            labels=labels,
            guide=self.guide(space, streams) if guide else None,
            networks={"embedding": {}},
        )

    def knowledge(self, space: ClassSpace, data: int = 0) -> Transductive | None:
        """``view.test``: features of as many images as in training, and shares of the unseen classes."""
        streams, known = Streams(data, space.semantics.device, "tiny/test/"), self.transductive
        shape = len(space.names) * self.per_class, self.width
        shares = streams.uniform("prior", (len(space.unseen),)) + 0.1
        found = Transductive(
            features=streams.uniform("features", shape) if "test features" in known else None,
            class_prior=shares / shares.sum() if "test class prior" in known else None,
        )
        return found if known else None

    def guide(self, space: ClassSpace, streams: Streams) -> Guide:
        """A linear guide over all classes of the space."""
        classes = len(space.names)
        net = {
            "out.weight": streams.normal("guide", (classes, self.width)),
            "out.bias": torch.zeros(classes, device=streams.device),
        }

        def scores(nets: Networks, g: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
            return linear(nets["tiny_guide"], "out", g)

        return Guide({"tiny_guide": net}, scores)

    def _labels(self, classes: Int[Tensor, " k"], streams: Streams) -> Int[Tensor, " n"]:
        labels = classes.repeat_interleave(self.per_class)
        order = torch.randperm(len(labels), generator=streams["order"], device=streams.device)
        return labels[order]


# --- a component on these inputs -----------------------------------------------------------------


@dataclass(frozen=True)
class ComponentCase:
    """A component with the settings and inputs of its checks."""

    registered: Registered[Component]
    settings: ComponentSettings
    inputs: TinyInputs = field(default_factory=TinyInputs)
    device: str = "cpu"

    @property
    def kind(self) -> str:
        return self.registered.declaration.kind

    @property
    def cls(self) -> Any:
        """The component's class."""
        return load_class(self.registered)

    def space(self, data: int = 0) -> ClassSpace:
        return self.inputs.space(data, self.device)

    def make(self, space: ClassSpace | None = None, generator: Generator | None = None) -> Any:
        """A new instance, which knows components before it.

        Args:
            generator: before a classifier; None: a :class:`TinyGenerator`.
        """
        space = space or self.space()
        made = self.cls(self.settings.for_task("gzsl" if len(space.seen) else "czsl"), space)
        if self.kind != "embedding":
            made.embedding = TinyEmbedding(None, self.space())
        if self.kind == "classifier":
            made.generator = generator or TinyGenerator(self.inputs.width, self.space())
        return made

    def view(self, space: ClassSpace, data: int = 0) -> TrainView:
        """The argument of ``fit``."""
        if self.kind == "embedding":
            view = self.inputs.raw_view(space, data)
            if self.cls.inputs != "images":
                return view
            size, streams = self.cls.image_size(self.settings), Streams(data, self.device, "tiny/raw/")
            images = self.inputs.pictures(len(view.labels), size, streams)
            return replace(view, regions=None, images=images)
        classes = space.seen
        if self.kind == "classifier" and self.cls.needs_examples:
            classes = torch.arange(len(space.names), device=space.semantics.device)
        view = self.inputs.view(space, classes, data, guide=self.kind == "generator")
        view = replace(view, test=self.inputs.knowledge(space, data))
        if self.kind == "generator":
            return view
        tiny = TinyGenerator(self.inputs.width, self.space()).fit(view)
        task: Literal["gzsl", "czsl"] = "gzsl" if len(space.seen) else "czsl"
        return replace(view, networks={**view.networks, "generator": tiny}, task=task)

    def rows(self) -> Tensor:
        """The argument of ``embed``, ``transform`` or ``scores``: images that were not fitted on."""
        view = self.view(self.space(1), 1)
        rows = getattr(view, self.cls.inputs) if self.kind == "embedding" else view.features
        taken: Tensor = rows[torch.arange(len(view.labels), device=view.labels.device)]
        return taken

    def fit(self, view: TrainView | None = None, stages: Stages | None = None) -> Networks:
        """The networks of a new instance after a short training, by default on :meth:`view`."""
        space = self.space()
        fit = self.make(space).fit(self.view(space) if view is None else view)
        return finish(fit, space, stages=stages)

    @cached_property
    def _networks(self) -> Networks:
        return self.fit()

    def fitted(self) -> tuple[Any, Networks]:
        """An instance that was not fitted itself, and a copy of the networks that another one fitted."""
        return self.make(), copy.deepcopy(self._networks)

    def use(self, component: Any, nets: Networks, rows: Tensor) -> Tensor:
        """``embed``, ``transform`` or ``scores`` of these rows."""
        with torch.no_grad():
            noise: tuple[Noise, ...] = ({},) if self.kind == "generator" else ()
            result: Tensor = getattr(component, USES[self.kind])(nets, rows, *noise)
        return result

    def programs(self, seed: int = 0, data: int = 0) -> list[Program]:
        """The programs of ``fit``; none for a closed form."""
        space = self.space(data)
        fit = self.make(space).fit(self.view(space, data))
        if isinstance(fit, Program):
            return [fit]
        # A generator function's later programs build on the networks of earlier ones.
        programs: list[Program] = []
        if not isinstance(fit, dict):
            finish(fit, space, programs, seed)
        return programs


def finish(
    fit: Fit,
    space: ClassSpace,
    programs: list[Program] | None = None,
    seed: int = 0,
    stages: Stages | None = None,
) -> Networks:
    """The networks of what ``fit`` returned, trained for one epoch; ``programs`` gets its programs."""

    def change(program: Program) -> Program:
        if programs is not None:
            programs.append(program)
        return shortened(program)

    training = Training(Streams(seed, space.semantics.device), stage="check", stages=stages)
    return complete(each_program(fit, change), space.semantics, training).networks


def shortened(program: Program) -> Program:
    """The program with one epoch, which runs each of its passes."""
    return replace(program, epochs=min(program.epochs, 1))


def steps_of(program: Program) -> list[Step]:
    """The different steps of a program."""
    return list({id(step): step for steps in program.passes for step in steps}.values())
