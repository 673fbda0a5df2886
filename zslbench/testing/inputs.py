"""Small generated inputs that components are checked on. No files, no data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.interfaces import ClassSpace, Guide, Networks, TrainView
from zslbench.plugin.streams import Streams
from zslbench.training import linear


class TinyRegions:
    """Region features that can only be read by row, as those of a data set too large for memory."""

    def __init__(self, tensor: Float[Tensor, "n regions dv"]) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Float[Tensor, "n regions dv"]:
        return self.tensor[rows]


@dataclass(frozen=True)
class TinyInputs:
    """Sizes of the inputs. A component that needs others (a square grid, many channels) says so here.

    Seen and unseen classes alternate, so that ids of unseen classes are no contiguous block.
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
    multiplications; those of fewer than 400 torch rounds otherwise once they are batched."""
    images: int = 3
    """Images that an extractor is given at once."""

    def space(self, data: int = 0, device: torch.device | str = "cpu") -> ClassSpace:
        """Classes with semantics of unit length; another ``data`` gives other semantics."""
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
        """What an embedding is fitted on: features and regions of 0 or more, images of seen classes."""
        streams = Streams(data, space.semantics.device, "tiny/raw/")
        labels = self._labels(space.seen, streams)
        regions = streams.normal("regions", (len(labels), self.regions, self.channels)).abs()
        features = 3 * streams.uniform("features", (len(labels), self.width))
        return TrainView(features=features, labels=labels, regions=TinyRegions(regions))

    def view(
        self, space: ClassSpace, classes: Int[Tensor, " k"], data: int = 0, *, guide: bool = False
    ) -> TrainView:
        """What a generator or classifier is fitted on: features in [0, 1], images of ``classes``."""
        streams = Streams(data, space.semantics.device, "tiny/embedded/")
        labels = self._labels(classes, streams)
        return TrainView(
            features=streams.uniform("features", (len(labels), self.width)),
            labels=labels,
            guide=self.guide(space, streams) if guide else None,
        )

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
