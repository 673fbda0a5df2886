"""What a method is fitted on, and that nothing of the test images can be reached from it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zslbench.data import ArrayRegions, RegionStore, RegionWriter
from zslbench.evaluation import folds
from zslbench.evaluation.folds import Fold, final_fold, transductive_knowledge, unseen_space, validation_fold
from zslbench.evaluation.splits import validation_split
from zslbench.plugin.dataset import Dataset, OfficialSplit
from zslbench.plugin.streams import Streams

CPU = torch.device("cpu")
UNSEEN = (1, 4, 8)  # not at the end: class ids must be mapped, not shifted
VALIDATION = (0, 6)


def dataset(validation: tuple[int, ...] | None = VALIDATION) -> Dataset:
    """9 classes of 11 images in random order; every number of images on a side occurs once."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(9), 11))
    features = random.normal(size=(99, 4)).astype(np.float32)
    is_unseen = np.isin(labels, UNSEEN)
    held_out = np.concatenate([np.flatnonzero(labels == c)[:2] for c in range(9) if c not in UNSEEN])
    trainval = random.permutation(np.setdiff1d(np.flatnonzero(~is_unseen), held_out))
    split = OfficialSplit(
        trainval=trainval,
        test_seen=random.permutation(held_out),
        test_unseen=random.permutation(np.flatnonzero(is_unseen)),
        validation_classes=None if validation is None else np.array(validation),
    )
    regions = np.repeat(features[:, None], 3, axis=1)
    return Dataset(
        name="made",
        features=features,
        labels=labels,
        class_names=tuple("abcdefghi"),
        semantics=random.normal(size=(9, 5)).astype(np.float32),
        split=split,
        features_name="f",
        semantics_name="att",
        attribute_vectors=random.normal(size=(5, 2)).astype(np.float32),
        regions=ArrayRegions(regions),
        image_files=tuple(f"{row}.jpg" for row in range(99)),
    )


FOLDS = {"final": final_fold, "validation": validation_fold}


@pytest.fixture(params=FOLDS)
def made(request) -> tuple[Dataset, Fold]:
    data = dataset()
    return data, FOLDS[request.param](data, CPU)


def rows_of(data: Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if name == "final":
        return data.split.trainval, data.split.test_seen, data.split.test_unseen
    split = validation_split(data)
    return split.fit_rows, split.test_seen_rows, split.test_unseen_rows


def test_parts_are_the_rows_of_the_split_under_their_names(made):
    data, fold = made
    fit, seen, unseen = rows_of(data, fold.name)
    names = np.array(fold.space.names)
    assert np.array_equal(fold.view.features, data.features[fit])
    real_names = np.array(data.class_names)
    assert (names[fold.view.labels] == real_names[data.labels[fit]]).all()
    for side, rows in ((fold.test_seen, seen), (fold.test_unseen, unseen)):
        assert np.array_equal(torch.cat(list(side.inputs())), data.features[rows])
        assert (names[side.labels] == real_names[data.labels[rows]]).all()
        assert np.array_equal(side.rows, rows)
    for number, name in enumerate(fold.space.names):
        assert np.array_equal(fold.space.semantics[number], data.semantics[data.class_names.index(name)])


def test_sides_of_the_class_space(made):
    data, fold = made
    names = np.array(fold.space.names)
    assert set(names[fold.space.seen]) == set(names[fold.view.labels])
    expected = {"final": UNSEEN, "validation": VALIDATION}[fold.name]
    assert set(names[fold.space.unseen]) == {data.class_names[c] for c in expected}
    everything = torch.cat([fold.space.seen, fold.space.unseen])
    assert sorted(everything.tolist()) == list(range(len(names)))
    assert fold.space.seen.tolist() == sorted(fold.space.seen.tolist())
    assert fold.space.unseen.tolist() == sorted(fold.space.unseen.tolist())


@pytest.mark.parametrize("validation", [VALIDATION, None])
def test_the_validation_fold_knows_no_unseen_class_and_uses_trainval_images_only(validation):
    data = dataset(validation)
    fold = validation_fold(data, CPU)
    assert set(fold.space.names) == {data.class_names[c] for c in range(9) if c not in UNSEEN}
    for vector in data.semantics[list(UNSEEN)]:
        assert not (fold.space.semantics == torch.from_numpy(vector)).all(dim=1).any()
    used = {*fold.test_seen.rows.tolist(), *fold.test_unseen.rows.tolist()}
    fit = {tuple(row) for row in fold.view.features.tolist()}
    of_trainval = {
        tuple(row): n
        for n, row in zip(data.split.trainval, data.features[data.split.trainval].tolist(), strict=True)
    }
    assert fit <= of_trainval.keys()
    used |= {int(of_trainval[row]) for row in fit}
    assert used == set(data.split.trainval.tolist())


# --- nothing of the test images ------------------------------------------------------------------


def reachable(value: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Every array, tensor and string that attributes, items and slots lead to."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(
        value, (type, int, float, bool, type(None), torch.device, torch.dtype)
    ):
        return
    seen.add(id(value))
    if isinstance(value, (np.ndarray, torch.Tensor, str)):
        yield path, value
        if isinstance(value, np.ndarray) and value.base is not None:
            yield from reachable(value.base, f"{path}.base", seen)
        return
    if isinstance(value, dict):
        for key, one in value.items():
            yield from reachable(one, f"{path}[{key!r}]", seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, one in enumerate(value):
            yield from reachable(one, f"{path}[{number}]", seen)
    for name in {*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())}:
        if hasattr(value, name):
            yield from reachable(getattr(value, name), f"{path}.{name}", seen)


def test_the_walk_reaches_what_is_there():
    class Holder:
        def __init__(self):
            self.inner = {"deep": [np.arange(6).reshape(2, 3)[:1]]}

    found = dict(reachable(Holder()))
    assert ".inner['deep'][0]" in found
    assert found[".inner['deep'][0].base"].size == 6


def bytes_of(value: np.ndarray | torch.Tensor) -> np.ndarray:
    """All the memory that a tensor or array could reach, not only what it shows."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        return np.frombuffer(bytes(storage.tolist()), dtype=np.uint8)
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8)


def test_nothing_of_the_test_images_can_be_reached(made):
    data, fold = made
    fit, seen, unseen = rows_of(data, fold.name)
    held_out = np.setdiff1d(np.arange(99), fit)
    counts = {len(held_out), len(seen), len(unseen), len(seen) + len(unseen), 99}
    assert len(fit) not in counts
    arrays = 0
    for path, value in [*reachable(fold.view, "view"), *reachable(fold.space, "space")]:
        if isinstance(value, str):
            assert not value.endswith(".jpg"), path
            continue
        arrays += 1
        assert not value.shape or value.shape[0] not in counts, path
        content = bytes_of(value).tobytes()
        for row in held_out:
            assert data.features[row].tobytes() not in content, path
    assert arrays >= 6


def test_views_share_no_memory_with_the_data_set(made):
    data, fold = made
    originals = [data.features, data.labels, data.semantics, data.attribute_vectors, data.regions.array]
    originals += [data.split.trainval, data.split.test_seen, data.split.test_unseen]
    walk = [
        *reachable(fold.view, "view"),
        *reachable(fold.space, "space"),
        *reachable(fold.test_seen, "test"),
    ]
    for path, value in walk:
        if isinstance(value, torch.Tensor):
            assert value.untyped_storage().nbytes() == value.numel() * value.element_size(), path
            value = value.numpy()
        if isinstance(value, np.ndarray):
            for original in originals:
                if not path.endswith(("_rows", ".rows")):  # numbers of images, which nobody writes to
                    assert not np.shares_memory(value, original), path


def test_a_careless_plugin_cannot_change_the_data_set(made):
    data, fold = made
    features, labels = data.features.copy(), data.labels.copy()
    fold.view.features.zero_()
    fold.view.labels.zero_()
    fold.space.semantics.zero_()
    if fold.view.regions is not None:
        fold.view.regions[torch.arange(2)].zero_()
    assert np.array_equal(data.features, features)
    assert np.array_equal(data.labels, labels)
    assert data.semantics.any()
    assert data.regions is not None
    assert np.array_equal(data.regions.array[:, 0], features)


# --- regions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLDS)
def test_regions_are_those_of_the_training_images_and_no_others(name):
    data = dataset()
    fold = FOLDS[name](data, CPU, "regions")
    fit, seen, unseen = rows_of(data, name)
    regions = fold.view.regions
    assert regions is not None
    assert len(regions) == len(fit)
    order = torch.tensor([3, 0, 3, len(fit) - 1])
    assert np.array_equal(regions[order], data.regions.array[fit[order.numpy()]])
    for outside in ([len(fit)], [98], [10**9], [-len(fit) - 1]):
        with pytest.raises(IndexError):
            regions[torch.tensor(outside)]
    allowed = {tuple(row) for row in data.features[fit].tolist()}
    for number in range(-len(fit), len(fit)):
        assert tuple(regions[torch.tensor([number])][0, 0].tolist()) in allowed
    assert np.array_equal(torch.cat(list(fold.test_seen.inputs())), data.regions.array[seen])
    assert np.array_equal(torch.cat(list(fold.test_unseen.inputs())), data.regions.array[unseen])


def test_a_data_set_without_regions():
    fold = final_fold(dataclasses.replace(dataset(), regions=None), CPU)
    assert fold.view.regions is None


# --- the space of f_czsl --------------------------------------------------------------------------


def test_the_unseen_space_keeps_names_semantics_and_order():
    fold = final_fold(dataset(), CPU)
    space = unseen_space(fold.space)
    assert space.names == tuple("bei")
    assert torch.equal(space.semantics, fold.space.semantics[list(UNSEEN)])
    assert space.unseen.tolist() == [0, 1, 2]
    assert space.seen.tolist() == []
    assert torch.equal(space.attribute_vectors, fold.space.attribute_vectors)


# --- regions on the disk and on the device --------------------------------------------------------


def on_disk(folder: Path, data: Dataset, dtype: str) -> Dataset:
    """The data set with its regions in a store; under uint8 they are whole multiples of a quarter."""
    assert isinstance(data.regions, ArrayRegions)
    array = data.regions.array
    scale = 0.25 if dtype == "uint8" else None
    if dtype == "uint8":
        array = np.random.default_rng(1).integers(0, 256, array.shape).astype(np.uint8)
    with RegionWriter(folder, array.shape, dtype, scale, labels=data.labels) as writer:
        writer.append(array)
    return dataclasses.replace(data, regions=RegionStore.open(folder))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("name", FOLDS)
def test_regions_kept_on_the_device_and_read_each_time_are_the_same(tmp_path, name, dtype, monkeypatch):
    data = on_disk(tmp_path / "store", dataset(), dtype)
    monkeypatch.setattr(folds, "half_of_free_memory", lambda device: 10**9)
    kept = FOLDS[name](data, CPU, "regions")
    monkeypatch.setattr(folds, "half_of_free_memory", lambda device: 0)
    read = FOLDS[name](data, CPU, "regions")
    order = torch.tensor([5, 0, 5, -1, 4])
    for one, other in (
        (kept.view.regions, read.view.regions),
        (kept.test_seen.features, read.test_seen.features),
    ):
        assert one[order].dtype == torch.float32
        assert torch.equal(one[order], other[order])
        assert one.shape == other.shape == (len(one), 3, 4)
    fit = rows_of(data, name)[0]
    raw = np.load(tmp_path / "store" / "regions.npy")[fit[order.numpy()]].astype(np.float64)
    assert np.array_equal(kept.view.regions[order].numpy(), raw * (0.25 if dtype == "uint8" else 1))
    for fold in (kept, read):
        for outside in ([len(fit)], [98], [-len(fit) - 1]):
            with pytest.raises(IndexError):
                fold.view.regions[torch.tensor(outside)]
    # A batch that a step changes in place leaves the next one as it was.
    before = kept.view.regions[order].clone()
    kept.view.regions[order].zero_()
    assert torch.equal(kept.view.regions[order], before)


def test_only_what_takes_long_is_read_ahead(tmp_path, monkeypatch):
    data = dataset()
    assert not final_fold(data, CPU, "regions").view.regions.read_ahead
    stored = on_disk(tmp_path / "store", data, "float16")
    assert final_fold(stored, CPU, "regions").view.regions.read_ahead
    needed = len(stored.split.trainval) * 3 * 4 * 2
    for room in (needed - 1, needed):
        monkeypatch.setattr(folds, "half_of_free_memory", lambda device, room=room: room)
        assert final_fold(stored, CPU, "regions").view.regions.read_ahead == (room < needed)


def test_nothing_of_the_test_images_can_be_reached_through_stored_regions(tmp_path, monkeypatch):
    data = on_disk(tmp_path / "store", dataset(), "float32")
    for room in (0, 10**9):
        monkeypatch.setattr(folds, "half_of_free_memory", lambda device, room=room: room)
        fold = final_fold(data, CPU, "regions")
        fold.view.regions[torch.arange(3)]
        for path, value in reachable(fold.view, "view"):
            if path == "view.task":
                continue
            assert not isinstance(value, str), path
            content = bytes_of(value).tobytes()
            for row in np.setdiff1d(np.arange(99), data.split.trainval):
                assert data.features[row].tobytes() not in content, path


def test_held_out_regions_come_in_bounded_chunks_and_features_in_as_before():
    data = dataset()
    wide = np.zeros((99, 2048, 2048), dtype=np.float32)  # 16 MiB an image, never touched
    fold = final_fold(dataclasses.replace(data, regions=ArrayRegions(wide)), CPU, "regions")
    assert [len(chunk) for chunk in itertools.islice(fold.test_seen.inputs(), 2)] == [4, 4]
    many = dataclasses.replace(fold.test_seen, features=torch.zeros(1500, 4), rows=np.arange(1500))
    assert [len(chunk) for chunk in many.inputs()] == [1024, 476]


def test_the_class_prior_counts_images_of_unseen_classes():
    data = dataset()
    rows = data.split.test_unseen
    keep = {1: 2, 4: 5, 8: 3}
    kept = np.concatenate([rows[data.labels[rows] == one][:count] for one, count in keep.items()])
    data = dataclasses.replace(data, split=dataclasses.replace(data.split, test_unseen=kept))
    fold = final_fold(data, CPU)
    found = transductive_knowledge(fold, ("test class prior",), "gzsl", Streams(0))
    assert found is not None
    assert found.features is None
    assert found.class_prior is not None
    assert found.class_prior.tolist() == pytest.approx([0.2, 0.5, 0.3])
    assert [fold.space.names[one] for one in fold.space.unseen.tolist()] == ["b", "e", "i"]
    assert transductive_knowledge(fold, (), "gzsl", Streams(0)) is None
