"""t-SNE figures: the right points with the right marks, the same each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from sklearn.neighbors import KNeighborsClassifier

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import fitted_run
from zslbench_report.plots import tsne
from zslbench_report.plots.tsne import MARKERS, palette, project, select, synthetic_samples
from zslbench_report.theme import CLASSES

KINDS = ["real seen", "real unseen", "synthetic unseen"]
SIZE: dict[str, Any] = {"classes": 6, "per_class": 9}


@pytest.fixture(scope="module")
def found(looking: Any, plain: Any) -> list[tsne.Panel]:
    """Panels with a baseline."""
    return tsne.compute(looking, baseline=plain, **SIZE)


@pytest.fixture(scope="module")
def frame(found: list[tsne.Panel]) -> pd.DataFrame:
    """Their points."""
    return tsne.frame(found)


def test_both_panels_show_the_same_images_and_as_many_synthetic_features(frame: pd.DataFrame) -> None:
    sides = {name: part.drop(columns=["panel", "x", "y"]) for name, part in frame.groupby("panel")}
    backbone, embedding = (sides[name].reset_index(drop=True) for name in ("backbone", "embedding"))
    pd.testing.assert_frame_equal(backbone, embedding)
    assert list(dict.fromkeys(backbone["kind"])) == KINDS
    assert np.isfinite(frame[["x", "y"]]).all(axis=None)


def test_real_points_are_test_images_of_their_class(frame: pd.DataFrame, looking: Any) -> None:
    run = fitted_run.load_run(looking)
    split, labels = run.dataset.split, run.dataset.labels
    for kind, rows in (("real seen", split.test_seen), ("real unseen", split.test_unseen)):
        part = frame[frame["kind"] == kind]
        assert set(part["image"]) <= set(rows.tolist())
        np.testing.assert_array_equal(labels[part["image"].astype(int)], part["class_id"])
        counts = part[part["panel"] == "embedding"].groupby("class_id").size()
        assert len(counts) == 3
        available = {one: int((labels[rows] == one).sum()) for one in counts.index}
        assert counts.to_dict() == {one: min(9, number) for one, number in available.items()}
    assert [run.dataset.class_names[one] for one in frame["class_id"]] == list(frame["class"])
    made = frame[frame["kind"] == "synthetic unseen"]
    assert made["image"].isna().all()
    assert set(made["class_id"]) == set(frame[frame["kind"] == "real unseen"]["class_id"])
    assert (made.groupby(["panel", "class_id"]).size() == 9).all()


def test_points_repeat_and_follow_the_seed(frame: pd.DataFrame, looking: Any, plain: Any) -> None:
    again = tsne.frame(tsne.compute(looking, baseline=plain, **SIZE))
    pd.testing.assert_frame_equal(frame, again, check_exact=True)
    other = tsne.frame(tsne.compute(looking, baseline=plain, seed=1, **SIZE))
    assert not np.allclose(other["x"].head(20), frame["x"].head(20))


def test_synthetic_features_are_the_generators(looking: Any) -> None:
    """Blobs are a linear map of the class's semantics and noise of one number per feature."""
    run = fitted_run.load_run(looking)
    chosen = select(run, 4, 5, 0)
    made = synthetic_samples(run, chosen, 5, 0)
    assert made is not None
    features, about = made
    centres = (
        run.fold.space.semantics[torch.tensor(about["class_id"].to_numpy())]
        @ run.networks["generator"]["map"]["W"]
    )
    shift = features - centres.numpy()
    np.testing.assert_allclose(shift, np.repeat(shift[:, :1], shift.shape[1], axis=1), atol=1e-6)
    assert 0 < np.abs(shift).max() < 0.1


def test_without_a_baseline_the_backbone_shows_real_features_and_says_so(looking: Any) -> None:
    found = tsne.compute(looking, **SIZE)
    frame = tsne.frame(found)
    backbone = frame[frame["panel"] == "backbone"]
    assert set(backbone["kind"]) == {"real seen", "real unseen"}
    figure = tsne.figure(looking, found)
    left, right = figure.axes[:2]
    assert "real features only" in left.get_xlabel()
    assert right.get_xlabel() == ""
    assert right.get_title().startswith("Dense-semantic space")


def test_inputs_that_are_sampled_are_shown_beside_those_of_images(finished: Callable[..., Any]) -> None:
    record = finished("identity", "codes", settings={"embedding.normalize": "none"})
    run = fitted_run.load_run(record)
    assert run.generator is not None
    assert run.generator.embedding is run.embedding
    (real, about), (made, _) = tsne._real_and_synthetic(run, select(run, 6, 9, 0), 9, 0)
    np.testing.assert_array_equal(real, run.dataset.features[about["image"].astype(int)][:, :3])
    assert made.shape == (27, 3)
    found = tsne.compute(record, backbone=False, **SIZE)
    assert [panel.title for panel in found] == ["Classifier's inputs: codes"]
    assert set(tsne.frame(found)["kind"]) == set(KINDS)
    with pytest.raises(ZslbenchError, match="samples no features"):
        tsne.compute(finished(), baseline=record, **SIZE)


def test_a_method_without_generator_shows_real_features(finished: Callable[..., Any]) -> None:
    record = finished("identity", None)
    found = tsne.compute(record, **SIZE)
    assert set(tsne.frame(found)["kind"]) == {"real seen", "real unseen"}
    title, note = found[1].title, found[1].note
    assert title == "Embedding space: identity"
    assert note == "real features only: identity+none+eszsl has no generator"


def test_what_is_drawn_is_what_was_computed(
    found: list[tsne.Panel], frame: pd.DataFrame, looking: Any, plain: Any
) -> None:
    figure = tsne.figure(looking, found)
    colours = palette(found[0].points)["place"]
    for name, axes in zip(("backbone", "embedding"), figure.axes, strict=False):
        assert {one.get_label() for one in axes.collections} == set(KINDS)
        for marks in axes.collections:
            part = frame[(frame["panel"] == name) & (frame["kind"] == marks.get_label())]
            np.testing.assert_allclose(np.asarray(marks.get_offsets()), part[["x", "y"]].to_numpy())
            shown = np.broadcast_to(marks.get_facecolors()[:, :3], (len(part), 3))
            np.testing.assert_allclose(
                shown, [to_rgb(CLASSES[colours[one]][0]) for one in part["class_id"]], atol=1e-6
            )
    assert plain.info.id in figure.axes[0].get_xlabel()
    for part in (looking.info.id, "toy", "simulated data"):
        assert part in figure.get_suptitle()
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[:3] == KINDS
    assert set(frame["class"]) <= set(texts)
    assert len({MARKERS[kind]["marker"] for kind in KINDS}) == 3


def test_ten_classes_have_ten_colours_and_beyond_them_sides_share() -> None:
    def places(seen: int, unseen: int) -> Any:
        kinds = ["real seen"] * seen + ["real unseen"] * unseen
        points = pd.DataFrame({"kind": kinds, "class_id": range(seen + unseen), "class": ""})
        return palette(points)["place"]

    assert len(set(places(5, 5))) == 10
    shared = places(10, 8)
    assert len({light for light, _ in CLASSES}) == 10
    assert len({shared[one] for one in range(10)}) == 10
    assert len({shared[one] for one in range(10, 18)}) == 8


@pytest.mark.parametrize(
    ("classes", "expected"), [(2, (1, 1)), (3, (1, 2)), (6, (3, 3)), (8, (5, 3)), (20, (5, 3))]
)
def test_half_of_the_classes_are_unseen_as_far_as_there_are(
    plain: Any, classes: int, expected: tuple[int, int]
) -> None:
    chosen = select(fitted_run.load_run(plain), classes, 5, 0)
    assert (len(chosen.seen), len(chosen.unseen)) == expected


def test_groups_that_are_apart_stay_apart() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 15)
    centres = random.normal(size=(4, 120)) * 4
    points = project((centres[labels] + random.normal(size=(60, 120))).astype(np.float32), seed=0)
    assert KNeighborsClassifier(5).fit(points, labels).score(points, labels) == 1


def test_few_points_and_constant_features_are_no_problem() -> None:
    features = np.zeros((5, 3), dtype=np.float32)
    features[:, 0] = np.arange(5)
    assert np.isfinite(project(features, seed=0)).all()
    with pytest.raises(SettingsError, match="3 points"):
        project(features[:3], seed=0)


@pytest.mark.parametrize(
    ("baseline", "line"),
    [
        (("looker", "blobs"), "its embedding 'looker'"),
        (("identity", None), "method 'identity.none.eszsl' has no generator"),
    ],
)
def test_a_baseline_that_does_not_fit(
    looking: Any, finished: Callable[..., Any], baseline: tuple[str, str | None], line: str
) -> None:
    record = finished(*baseline)
    with pytest.raises(ZslbenchError, match=f"baseline run {record.info.id}: {line}"):
        tsne.compute(looking, baseline=record, **SIZE)


def test_a_baseline_on_other_images(looking: Any, finished: Callable[..., Any]) -> None:
    other = finished("identity", settings={"dataset.seed": 5})
    line = rf"baseline run {other.info.id} .* run {looking.info.id} \(toy, toy\)"
    with pytest.raises(ZslbenchError, match=line):
        tsne.compute(looking, baseline=other, **SIZE)


def test_a_baseline_may_describe_classes_otherwise(looking: Any, finished: Callable[..., Any]) -> None:
    other = finished("identity", semantics="original_att")
    assert len(tsne.compute(looking, baseline=other, **SIZE)) == 2
