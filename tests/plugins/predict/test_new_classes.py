"""Finished runs loaded again: they score images as their evaluation did, and classes that they never saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zslbench import run
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import FittedRun, fitting, load_run
from zslbench.plugin import Networks
from zslbench_eszsl.eszsl import ESZSL
from zslbench_predict.new_classes import with_classes

SMALL = {
    "dataset.classes": 8,
    "dataset.unseen": 3,
    "dataset.images_per_class": 12,
    "dataset.attributes": 10,
    "dataset.channels": 16,
}
METHODS: dict[str, dict[str, Any]] = {
    "eszsl": {},
    "free": {
        "generator.hidden": 8,
        "generator.epochs": 1,
        "generator.code": "draw",
        "generator.per_class": 10,
        "classifier.epochs": 2,
    },
}
"""Of free, what the classifier sees of a test image is drawn at test."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FittedRun]:
    store, found = tmp_path_factory.mktemp("fitted") / "store", dict[str, FittedRun]()

    def make(method: str) -> FittedRun:
        if method not in found:
            record = run(
                method,
                dataset="toy",
                select="last",
                settings=SMALL | METHODS[method],
                keep_weights=True,
                store=store,
                threads=1,
            ).records[0]
            found[method] = load_run(record)
        return found[method]

    return make


def of_images(one: FittedRun, side: str | None = None) -> tuple[np.ndarray, torch.Tensor, Any]:
    """Row numbers, inputs and recorded predictions of the test images."""
    table = one.record.table("predictions")
    table = table if side is None else table[table["side"] == side]
    rows = table["image"].to_numpy(copy=True)
    return rows, one.inputs(torch.from_numpy(rows)), table


@pytest.mark.parametrize("method", METHODS)
def test_test_images_get_the_predictions_of_the_runs_evaluation(
    loaded: Callable[[str], FittedRun], method: str
) -> None:
    one = loaded(method)
    rows, inputs, table = of_images(one)
    scores = one.scores(inputs, images=rows).numpy()
    np.testing.assert_array_equal(scores.argmax(axis=1), table["gzsl_prediction"])
    seen = one.fold.space.seen.numpy()
    unseen = np.setdiff1d(np.arange(8), seen)
    margin = scores[:, seen].max(axis=1) - scores[:, unseen].max(axis=1)
    np.testing.assert_array_equal(margin, table["gzsl_margin"])
    rows, inputs, table = of_images(one, "unseen")
    names = one.classes("czsl")
    chosen = [names[best] for best in one.scores(inputs, "czsl", rows).argmax(dim=1)]
    assert chosen == [one.fold.space.names[number] for number in table["czsl_prediction"]]


@pytest.mark.parametrize("task", ["gzsl", "czsl"])
@pytest.mark.parametrize("method", METHODS)
def test_the_runs_own_unseen_classes_as_new_ones_give_its_own_scores(
    loaded: Callable[[str], FittedRun], method: str, task: Any
) -> None:
    """Synthesis and classifier are fitted again with the same streams, in whatever order the classes come."""
    one = loaded(method)
    unseen = one.fold.space.unseen.flip(0)
    names = [one.fold.space.names[number] for number in unseen]
    again = with_classes(one, names, one.fold.space.semantics[unseen].numpy(), task)
    assert again.classes(task) == one.classes(task)
    rows, inputs, _ = of_images(one)
    assert torch.equal(again.scores(inputs, task, rows), one.scores(inputs, task, rows))


def test_eszsl_scores_new_classes_by_its_bilinear_form(loaded: Callable[[str], FittedRun]) -> None:
    one = loaded("eszsl")
    vectors = np.random.default_rng(0).random((4, 10), dtype=np.float32)
    new = with_classes(one, list("abcd"), vectors, "gzsl")
    assert new.classes("czsl") == tuple("abcd") and new.classes()[-4:] == tuple("abcd")
    assert set(new.classes()[:-4]) == {one.fold.space.names[number] for number in one.fold.space.seen}
    rows, inputs, _ = of_images(one)
    x, w = one.embed(torch.from_numpy(rows)).double().numpy(), one.networks["gzsl"]["eszsl"]["W"].numpy()
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(new.scores(inputs)[:, -4:], x @ w @ unit.T, rtol=1e-6)
    np.testing.assert_allclose(new.scores(inputs, "czsl"), x @ w @ unit.T, rtol=1e-6)


def test_classes_are_what_their_semantics_say_not_their_names(loaded: Callable[[str], FittedRun]) -> None:
    one = loaded("free")
    new = with_classes(one, ["x", "y", "z"], one.fold.space.semantics[one.fold.space.unseen].numpy())
    assert new.classes("czsl") == ("x", "y", "z")
    rows, inputs, _ = of_images(one, "unseen")
    own = one.scores(inputs, "czsl", rows)
    assert torch.equal(new.scores(inputs, "czsl", rows), own)
    other = with_classes(
        one, ["x", "y", "z"], one.fold.space.semantics[one.fold.space.unseen].flip(1).numpy()
    )
    assert not torch.allclose(other.scores(inputs, "czsl", rows), own)


def test_new_classes_that_do_not_fit_are_refused(loaded: Callable[[str], FittedRun]) -> None:
    one = loaded("eszsl")
    vector = one.fold.space.semantics[:1].numpy()
    seen = one.fold.space.names[int(one.fold.space.seen[0])]
    with pytest.raises(SettingsError, match=seen):
        with_classes(one, [seen], vector)
    with pytest.raises(SettingsError, match="repeated"):
        with_classes(one, ["new", "new"], np.repeat(vector, 2, axis=0))
    with pytest.raises(SettingsError, match="10 values"):
        with_classes(one, ["new"], vector[:, :4])
    with pytest.raises(ZslbenchError, match="CZSL"):
        generative = with_classes(loaded("free"), ["new"], vector, "gzsl")
        generative.scores(one.inputs(torch.tensor([0])), "czsl")


class Stubborn(ESZSL):
    """Keeps the signatures of the classes that it was fitted for."""

    def scores(self, nets: Networks, features: torch.Tensor) -> torch.Tensor:
        return features.double() @ nets["eszsl"]["W"] @ nets["eszsl"]["signatures"].T


def test_a_classifier_that_keeps_its_classes_is_refused(
    loaded: Callable[[str], FittedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would name other classes than those it scores, even where there are as many of them."""
    one = loaded("eszsl")
    kept = {"W": one.networks["gzsl"]["eszsl"]["W"], "signatures": ESZSL(None, one.fold.space).signatures}
    stubborn = dataclasses.replace(one, networks=one.networks | {"gzsl": {"eszsl": kept}})
    known = fitting.load_class
    monkeypatch.setattr(fitting, "load_class", lambda part: Stubborn if part.name == "eszsl" else known(part))
    with pytest.raises(ZslbenchError, match="'eszsl' keeps"):
        with_classes(stubborn, ["a", "b", "c"], one.fold.space.semantics[:3].numpy())


def test_a_transductive_run_cannot_fit_its_classifier_again(
    loaded: Callable[[str], FittedRun], tmp_path: Path
) -> None:
    one = loaded("free")
    info = dataclasses.replace(
        one.record.info, identity={**one.record.info.identity, "transductive": ["test features"]}
    )
    record = type(one.record)(one.record.folder)
    record.info = info
    with pytest.raises(ZslbenchError, match="transductive"):
        with_classes(dataclasses.replace(one, record=record), ["new"], one.fold.space.semantics[:1].numpy())
