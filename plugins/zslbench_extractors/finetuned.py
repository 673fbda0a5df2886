"""Puts an embedding of regions, as a head, on a backbone that trains with it on pictures.

The embedding is used unchanged: its regions are the backbone's last maps, and its program gets the backbone's
trained blocks as further networks. Batch norm, crops and which blocks train are settings.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from zslbench.errors import PluginError, SettingsError
from zslbench.plugin import (
    Attention,
    Batch,
    ClassSpace,
    Derived,
    Embedding,
    Losses,
    Networks,
    Noise,
    Program,
    Rows,
    Step,
    TrainView,
    Uniform,
)
from zslbench.training import center_crop, in_chunks, random_flip, random_resized_crop
from zslbench_extractors.backbones import backbone
from zslbench_extractors.settings import BackboneSettings

_NOISE = {"backbone_crop": Uniform((4,)), "backbone_flip": Uniform(())}


class FineTuned(Embedding):
    """An embedding of pictures: a head of class ``head_class`` on the last maps of a backbone that trains
    with it.

    Its networks are those of the head and one for each block of the backbone. The head's ``fit`` must return
    a single program that trains on ``view.regions``, and none of its networks may have the name of a block.
    Its settings have a further group, ``backbone``.
    """

    inputs = "images"
    head_class: ClassVar[type[Embedding]]

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        super().__init__(settings, space)
        self.head: Embedding = self.head_class(settings, space)
        """The embedding of regions, on top of the backbone."""
        self.backbone = backbone(settings.backbone.name)
        first = len(self.backbone.blocks) - settings.backbone.trained_blocks
        if first < 0:
            count = len(self.backbone.blocks)
            raise SettingsError(f"backbone.trained_blocks: {self.backbone.name} has only {count} blocks")
        self.frozen_blocks, self.trained_blocks = self.backbone.blocks[:first], self.backbone.blocks[first:]

    @classmethod
    def image_size(cls, settings: Any) -> int:
        size: int = settings.backbone.image_size
        return size

    @property
    def options(self) -> BackboneSettings:
        """The settings of the backbone."""
        options: BackboneSettings = self.settings.backbone
        return options

    def regions(
        self, nets: Networks, x: Float[Tensor, "b c h w"], blocks: Sequence[str] | None = None
    ) -> Float[Tensor, "b regions dv"]:
        """Region features of crops, or of the output of the block before the first of ``blocks``."""
        return self.backbone.maps(nets, x, blocks).flatten(2).transpose(1, 2)

    def embed(self, nets: Networks, inputs: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        return self.head.embed(nets, self.regions(nets, center_crop(inputs, self.options.crop)))

    def attention(self, nets: Networks, inputs: UInt8[Tensor, "n 3 h w"]) -> Attention | None:
        return self.head.attention(nets, self.regions(nets, center_crop(inputs, self.options.crop)))

    # --- training --------------------------------------------------------------------------------------

    def fit(self, view: TrainView) -> Generator[Program | Derived, Networks, Networks]:
        s, images = self.options, view.images
        assert images is not None
        nets = _to_device(self.backbone.networks(), view.labels.device)
        blocks = {block: nets[block] for block in self.trained_blocks}
        frozen = {net: tensors for net, tensors in nets.items() if net not in blocks}
        maps = _Maps(images, self, nets)
        program = self.head.fit(replace(view, images=None, regions=maps))
        if not isinstance(program, Program) or program.features is not maps:
            raise PluginError(
                f"{self.head_class.__name__} cannot be fine-tuned: its fit does not return a single program "
                "that trains on view.regions"
            )
        if not s.augment and self.frozen_blocks:
            with torch.no_grad():
                parts = in_chunks(images, view.labels.device)
                crops = (center_crop(part, s.crop) for part in parts)
                features: Rows = torch.cat(
                    [self.backbone.maps(nets, crop, self.frozen_blocks) for crop in crops]
                )
        else:
            features = images
        state = {
            name: value
            for name, value in nets["statistics"].items()
            if s.norm == "trained" and name.partition(".")[0] in blocks
        }
        initial, rule = program.initial, next(iter(program.optimizers.values()))
        head_rules = {
            net: rule if s.head_lr is None else replace(rule, lr=s.head_lr)
            for net, rule in program.optimizers.items()
        }
        if s.head_epochs:
            trained_head = yield replace(
                program,
                name="head",
                passes=self._passes(program, train=False),
                features=features,
                epochs=s.head_epochs,
                frozen=program.frozen | nets,
                paced=False,
                lift=False,
                key=None,
            )
        trained = yield replace(
            program,
            initial=lambda streams: (trained_head if s.head_epochs else initial(streams)) | blocks,
            passes=self._passes(program, train=True),
            features=features,
            optimizers=head_rules | dict.fromkeys(blocks, replace(rule, lr=s.lr)),
            frozen=program.frozen | frozen,
            state={**program.state, **state},
            lift=False,
            key=None,
        )
        return trained | program.frozen | frozen

    def _passes(self, program: Program, *, train: bool) -> tuple[tuple[Step, ...], ...]:
        """The head's passes, on pictures; a step that occurs twice stays one step."""
        on_pictures: dict[int, Step] = {}
        for step in (step for steps in program.passes for step in steps):
            if id(step) not in on_pictures:
                on_pictures[id(step)] = self._step(step, train=train)
        return tuple(tuple(on_pictures[id(step)] for step in steps) for steps in program.passes)

    def _step(self, step: Step, *, train: bool) -> Step:
        def losses_on_pictures(nets: Networks, batch: Batch, noise: Noise) -> Losses:
            r, state = self._regions_in_training(nets, batch.features, noise, train=train)
            losses = step.losses(nets, batch._replace(features=r), noise)
            return losses._replace(state={**(losses.state or {}), **state})

        return replace(
            step,
            losses=losses_on_pictures,
            updates=(*step.updates, *(self.trained_blocks if train else ())),
            noise={**step.noise, **(_NOISE if self.options.augment else {})},
            accumulate=self.options.accumulate,
        )

    def _regions_in_training(
        self, nets: Networks, x: Shaped[Tensor, "b c h w"], noise: Noise, *, train: bool
    ) -> tuple[Float[Tensor, "b regions dv"], dict[str, Tensor]]:
        """Region features of pictures or of the frozen blocks' output, and new statistics of batch norms."""
        s = self.options
        if s.augment:
            x = random_resized_crop(x, noise["backbone_crop"], s.crop, s.area, s.ratio)
            x = random_flip(x, noise["backbone_flip"])
        elif not self.frozen_blocks:
            x = center_crop(x, s.crop)
        if s.augment or not self.frozen_blocks:
            x = self.backbone.maps(nets, x, self.frozen_blocks)
        if s.norm == "frozen" or not train:
            return self.regions(nets, x, self.trained_blocks), {}
        maps, state = self.backbone.maps_in_training(nets, x, self.trained_blocks)
        return maps.flatten(2).transpose(1, 2), state


@dataclass(frozen=True)
class _Maps(Rows):
    """The pictures' region features, computed when they are read."""

    images: Rows
    embedding: FineTuned
    nets: Networks

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        with torch.no_grad():
            crops = center_crop(self.images[rows], self.embedding.options.crop)
            return self.embedding.regions(self.nets, crops)


def _to_device(nets: Networks, device: torch.device) -> Networks:
    return {
        net: {name: tensor.to(device) for name, tensor in tensors.items()} for net, tensors in nets.items()
    }
