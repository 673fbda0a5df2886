"""Folds: what a method is fitted on, and, kept apart, what it is judged on.

The final fold and the validation fold are the same kind of thing, so a method is fitted on either by the
same code. A fold's view is made of copies: it shares no memory with held-out images and names none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from zslbench.evaluation.region_rows import RegionRows, Room, half_of_free_memory
from zslbench.evaluation.splits import ValidationSplit, validation_split
from zslbench.plugin.dataset import Dataset, Indices
from zslbench.plugin.interfaces import ClassSpace, Rows, TrainView
from zslbench.training.batches import in_chunks


@dataclass(frozen=True)
class HeldOut:
    """Test images of one side of a fold. Only the evaluator holds one."""

    features: Rows
    """What the embedding reads, (n, d0) or (n, regions, dv); after :meth:`embedded`, g (n, d)."""
    labels: Int[np.ndarray, " n"]
    """Class ids of the fold's space."""
    rows: Indices
    """Row numbers in the data set, for the record of predictions."""
    device: torch.device

    def inputs(self, chunk: int | None = None) -> Iterator[Tensor]:
        """Chunks of test inputs, in order.

        Args:
            chunk: rows of each; None: 1024 of global features, of regions so many that memory stays small.
        """
        if chunk is None:
            yield from in_chunks(self.features, self.device)
            return
        for start in range(0, len(self.rows), chunk):
            stop = min(start + chunk, len(self.rows))
            yield self.features[torch.arange(start, stop, device=self.device)]

    def embedded(self, embed: Callable[[Tensor], Tensor]) -> HeldOut:
        """The same images as embedded features, computed once."""
        return replace(self, features=torch.cat([embed(chunk) for chunk in self.inputs()]))


@dataclass(frozen=True)
class Fold:
    """One division of a data set into training and held-out images."""

    name: str
    """``final`` or ``validation``."""
    view: TrainView
    space: ClassSpace
    test_seen: HeldOut
    test_unseen: HeldOut


def final_fold(
    dataset: Dataset,
    device: torch.device,
    inputs: str = "features",
    room: Room = half_of_free_memory,
) -> Fold:
    """Train on trainval, judge on the test images: the fold that published numbers are about.

    Args:
        inputs: what the embedding reads, ``features`` or ``regions``.
        room: how many bytes of region features may stay on the device.
    """
    split = dataset.split
    classes = np.arange(len(dataset.class_names))
    seen = np.unique(dataset.labels[split.trainval])
    return _fold(
        "final",
        dataset,
        classes,
        np.setdiff1d(classes, seen),
        split.trainval,
        split.test_seen,
        split.test_unseen,
        device,
        inputs,
        room,
    )


def validation_fold(
    dataset: Dataset,
    device: torch.device,
    inputs: str = "features",
    room: Room = half_of_free_memory,
) -> Fold:
    """The same inside trainval (:func:`zslbench.evaluation.splits.validation_split`).

    Its space holds the seen classes only: the real unseen classes take no part in validation.
    """
    split: ValidationSplit = validation_split(dataset)
    classes = np.sort(np.concatenate([split.seen_classes, split.unseen_classes]))
    return _fold(
        "validation",
        dataset,
        classes,
        split.unseen_classes,
        split.fit_rows,
        split.test_seen_rows,
        split.test_unseen_rows,
        device,
        inputs,
        room,
    )


def _fold(
    name: str,
    dataset: Dataset,
    classes: Indices,
    unseen: Indices,
    fit: Indices,
    test_seen: Indices,
    test_unseen: Indices,
    device: torch.device,
    inputs: str,
    room: Room,
) -> Fold:
    number = np.full(len(dataset.class_names), -1, dtype=np.int64)
    number[classes] = np.arange(len(classes))

    def tensor(array: np.ndarray) -> Tensor:
        # A copy: no view may share memory with the whole data set.
        return torch.from_numpy(np.array(array)).to(device)

    vectors = dataset.attribute_vectors
    space = ClassSpace(
        names=tuple(dataset.class_names[one] for one in classes),
        semantics=tensor(dataset.semantics[classes]),
        seen=tensor(np.sort(number[np.setdiff1d(classes, unseen)])),
        unseen=tensor(np.sort(number[unseen])),
        attribute_names=dataset.attribute_names,
        attribute_vectors=None if vectors is None else tensor(vectors),
    )
    regions = dataset.regions

    def held_out(rows: Indices) -> HeldOut:
        features: Rows
        if inputs == "regions" and regions is not None:
            features = RegionRows(regions, rows, device, room)
        else:
            features = tensor(dataset.features[rows])
        return HeldOut(features, number[dataset.labels[rows]], rows, device)

    view = TrainView(
        features=tensor(dataset.features[fit]),
        labels=tensor(number[dataset.labels[fit]]),
        regions=None if regions is None else RegionRows(regions, fit, device, room),
    )
    return Fold(name, view, space, held_out(test_seen), held_out(test_unseen))


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
