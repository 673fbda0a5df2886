"""Folds: what a method is fitted on and, separately, what it is evaluated on.

The final fold and the validation fold have the same form, so a method is fitted on either by the same code. A
fold's view is made of copies: it shares no memory with held-out images and has no reference to them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from zslbench.data.regions.layout import BLOCK_BYTES
from zslbench.data.regions.store import RegionStore
from zslbench.errors import DataError
from zslbench.evaluation.candidates import candidates_of
from zslbench.evaluation.splits import FoldSplit, validation_split
from zslbench.plugin.dataset import Dataset, Indices, RegionSource
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, Rows, TrainView, Transductive
from zslbench.training.batches import in_chunks

Memory = Callable[[torch.device], int]
"""How many bytes of region features may stay on a device."""


_SCORES = 2**23
"""Most scores of a chunk of images: 64 MiB of float64; ranking needs a few times that."""


@dataclass(frozen=True)
class HeldOut:
    """Test images of one side of a fold. Only :mod:`~zslbench.evaluation.evaluator` reads one."""

    features: Rows
    """The embedding's input, (n, d0), (n, regions, dv) or (n, 3, size, size); once embedded, g (n, d)."""
    labels: Int[np.ndarray, " n"]
    """Class ids of the fold's space."""
    rows: Indices
    """Row numbers in the data set, for the record of predictions."""
    device: torch.device

    def inputs(self, classes: int = 1) -> Iterator[Tensor]:
        """Chunks of test inputs, in order, small enough for scores over ``classes`` to fit in memory."""
        return in_chunks(self.features, self.device, rows=_SCORES // max(1, classes))


@dataclass(frozen=True)
class Fold:
    """One division of a data set into training and held-out images."""

    name: str
    """``final`` or ``validation``."""
    view: TrainView
    space: ClassSpace
    test_seen: HeldOut
    test_unseen: HeldOut


def half_of_free_memory(device: torch.device) -> int:
    """Half of a GPU's free memory; nothing on the CPU, where the system caches files by itself."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (free + unused) // 2


def final_fold(dataset: Dataset, device: torch.device, inputs: str = "features") -> Fold:
    """Train on trainval, evaluate on the test images: the fold of published numbers.

    Its space holds the seen classes and the data set's candidates. ``inputs`` is what the embedding reads,
    ``features``, ``regions`` or ``images``.
    """
    official = dataset.split
    seen = np.unique(dataset.labels[official.trainval])
    unseen = candidates_of(dataset).classes
    split = FoldSplit(official.trainval, official.test_seen, official.test_unseen, seen, unseen)
    return _fold("final", dataset, split, device, inputs)


def validation_fold(dataset: Dataset, device: torch.device, inputs: str = "features") -> Fold:
    """The same inside trainval (:func:`zslbench.evaluation.splits.validation_split`).

    Its space holds the seen classes only: the real unseen classes have no part in validation.
    """
    return _fold("validation", dataset, validation_split(dataset), device, inputs)


def _fold(name: str, dataset: Dataset, split: FoldSplit, device: torch.device, inputs: str) -> Fold:
    classes = np.sort(np.concatenate([split.seen_classes, split.unseen_classes]))
    number = np.full(len(dataset.class_names), -1, dtype=np.int64)
    number[classes] = np.arange(len(classes))

    def tensor(array: np.ndarray) -> Tensor:
        # A copy: no view may share memory with the whole data set. Torch allocates it: NumPy may align memory
        # differently, and products may then be rounded differently.
        return torch.tensor(array, device=device)

    vectors = dataset.attribute_vectors
    space = ClassSpace(
        names=tuple(dataset.class_names[one] for one in classes),
        semantics=tensor(dataset.semantics[classes]),
        seen=tensor(number[split.seen_classes]),
        unseen=tensor(number[split.unseen_classes]),
        attribute_names=dataset.attribute_names,
        attribute_vectors=None if vectors is None else tensor(vectors),
    )

    def held_out(rows: Indices) -> HeldOut:
        found = inputs_of(dataset, rows, device, inputs)
        features = tensor(dataset.features[rows]) if found is None else found
        return HeldOut(features, number[dataset.labels[rows]], rows, device)

    view = TrainView(
        features=tensor(dataset.features[split.fit_rows]),
        labels=tensor(number[dataset.labels[split.fit_rows]]),
        regions=None if inputs == "images" else inputs_of(dataset, split.fit_rows, device, "regions"),
        images=inputs_of(dataset, split.fit_rows, device, "images") if inputs == "images" else None,
    )
    return Fold(name, view, space, held_out(split.test_seen_rows), held_out(split.test_unseen_rows))


def inputs_of(dataset: Dataset, rows: Indices, device: torch.device, inputs: str) -> Rows | None:
    """What an embedding reads of some of a data set's images: ``features`` (a copy), ``regions`` or
    ``images``; None: the data set does not have them."""
    if inputs == "features":
        return torch.tensor(dataset.features[rows], device=device)
    if dataset.regions is None:
        return None
    stored = RegionRows(dataset.regions, rows, device)
    return PictureRows(stored) if inputs == "images" else stored


def unseen_space(space: ClassSpace) -> ClassSpace:
    """The space of the unseen classes alone, for f_czsl; ids follow the order of ``space.unseen``."""
    return ClassSpace(
        names=tuple(space.names[one] for one in space.unseen.tolist()),
        semantics=space.semantics[space.unseen],
        seen=space.unseen[:0],
        unseen=torch.arange(len(space.unseen), device=space.unseen.device),
        attribute_names=space.attribute_names,
        attribute_vectors=space.attribute_vectors,
    )


def transductive_knowledge(
    fold: Fold, declared: Collection[str], task: str, streams: Streams
) -> Transductive | None:
    """What a component may know about held-out images under a transductive reading; None: nothing.

    Args:
        fold: its images as the component would read them.
        declared: what the reading declares (:class:`zslbench.plugin.Reading`).
        task: ``gzsl``, or ``czsl`` for images of unseen classes only.
        streams: for the random order of the images.
    """
    if not declared:
        return None
    features = prior = None
    if "test features" in declared:
        sides = [fold.test_seen, fold.test_unseen] if task == "gzsl" else [fold.test_unseen]
        rows = torch.cat([chunk for side in sides for chunk in side.inputs()])
        # From a new stream each time: evaluations along the schedule do not change the order.
        order = torch.randperm(len(rows), generator=streams.child("told")[task], device=rows.device)
        features = rows[order]
    if "test class prior" in declared:
        unseen = fold.space.unseen
        labels = torch.from_numpy(fold.test_unseen.labels).to(unseen.device)
        prior = (labels == unseen[:, None]).float().mean(dim=1)
    return Transductive(features, prior)


_TORCH = {"float16": torch.float16, "float32": torch.float32, "uint8": torch.uint8}


class RegionRows:
    """Some images' regions, float32 on the device; a :class:`zslbench.plugin.views.Rows`.

    If they fit into ``memory`` as they are stored, the first access copies them to the device, and rows are
    converted when taken; otherwise rows are read from the source each time, with the same bits.

    The source, which holds all images, is only in a closure: no attribute of a view leads to it.

    Args:
        rows: which images, by row in the source.
        memory: bytes that may stay on the device; None: half of its free memory.
    """

    def __init__(
        self, source: RegionSource, rows: Indices, device: torch.device, memory: Memory | None = None
    ) -> None:
        memory = memory or half_of_free_memory
        images, regions, channels = len(rows), *source.shape[1:]
        stored = source if isinstance(source, RegionStore) else None
        dtype = np.dtype(np.float32) if stored is None else stored.dtype
        scale = None if stored is None or stored.scale is None else float(np.float32(stored.scale))
        on_device: list[Tensor | None] = []  # empty until it is decided whether they stay
        lock = threading.Lock()

        def load(numbers: Indices) -> Tensor:
            """Rows on the device, as they are stored."""
            shape = (len(numbers), regions, channels)
            # A copy to a GPU from pinned memory overlaps with computation there.
            host = torch.empty(shape, dtype=_TORCH[dtype.name], pin_memory=device.type == "cuda")
            if stored is None:
                host.numpy()[...] = source[rows[numbers]]
            else:
                stored.raw(rows[numbers], host.numpy())
            return host.to(device, non_blocking=True)

        def stays() -> bool:
            if not on_device and images * regions * channels * dtype.itemsize > memory(device):
                on_device.append(None)
            return not on_device or on_device[0] is not None

        def resident() -> Tensor | None:
            with lock:
                if stays() and not on_device:
                    shape = (images, regions, channels)
                    everything = torch.empty(shape, dtype=_TORCH[dtype.name], device=device)
                    size = max(1, BLOCK_BYTES // (regions * channels * dtype.itemsize))
                    for start in range(0, images, size):
                        part = np.arange(start, min(start + size, images))
                        everything[start : start + len(part)] = load(part)
                    on_device.append(everything)
                return on_device[0]

        def read(numbers: Tensor) -> Tensor:
            whole = resident()
            if whole is not None:
                values = whole[numbers]
            elif device.type == "cuda":
                values = load(numbers.cpu().numpy())
            else:
                return torch.tensor(source[rows[numbers.cpu().numpy()]], device=device)
            values = values.to(torch.float32)
            return values if scale is None else values.mul_(scale)

        self.shape = (images, regions, channels)
        self._read: Callable[[Tensor], Tensor] = read
        self._is_slow: Callable[[], bool] = lambda: stored is not None and not stays()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def read_ahead(self) -> bool:
        """Whether reading is slow enough to read the next rows while computing on the last."""
        return self._is_slow()

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Float[Tensor, "n regions dv"]:
        return self._read(rows)


class PictureRows:
    """Some images' pictures, (n, 3, size, size) uint8 on the device; a
    :class:`zslbench.plugin.views.Rows`.

    Args:
        pixels: the same images' regions, of which each is a pixel.
    """

    def __init__(self, pixels: RegionRows) -> None:
        images, count, channels = pixels.shape
        self._pixels, self.shape = pixels, (images, channels, math.isqrt(count), math.isqrt(count))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def read_ahead(self) -> bool:
        """As of the pixels."""
        return self._pixels.read_ahead

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> UInt8[Tensor, "n 3 h w"]:
        values = self._pixels[rows]
        pixels = values.to(torch.uint8)
        if not torch.equal(pixels.to(torch.float32), values):
            raise DataError("images", ["pictures have values other than whole numbers from 0 to 255"])
        return pixels.transpose(1, 2).reshape(-1, *self.shape[1:]).contiguous()
