"""Trials judged by several validation splits."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from tiny import RIDGES, TOY, TRAINED, content

import zslbench.experiment.datasets
from zslbench.cli.main import cli
from zslbench.errors import SettingsError
from zslbench.evaluation import validation_split
from zslbench.experiment.datasets import load_dataset
from zslbench.plugin.dataset import Dataset, OfficialSplit
from zslbench.plugin.presets import parse_preset
from zslbench_tune.splits import class_splits


def made(seen: int, images: int = 6, official: list[int] | None = None) -> Dataset:
    """``seen`` classes of ``images`` training images and a test image, and two unseen ones."""
    labels = np.concatenate([np.repeat(np.arange(seen), images), np.arange(seen), [seen, seen + 1]])
    trainval, test_seen, test_unseen = np.split(np.arange(len(labels)), [seen * images, seen * (images + 1)])
    random = np.random.default_rng(0)
    return Dataset(
        name="made",
        features=random.random((len(labels), 2)).astype(np.float32),
        labels=labels,
        class_names=tuple(f"c{one}" for one in range(seen + 2)),
        semantics=random.random((seen + 2, 3)).astype(np.float32),
        split=OfficialSplit(
            trainval, test_seen, test_unseen, None if official is None else np.array(official)
        ),
        features_name="random",
        semantics_name="att",
    )


def classes(dataset: Dataset, count: int) -> list[tuple[int, ...]]:
    """The validation classes of each split."""
    return [tuple(validation_split(one).unseen_classes.tolist()) for one in class_splits(dataset, count)]


@settings(max_examples=30)
@given(seen=st.integers(6, 40), count=st.integers(1, 6), own=st.sampled_from([None, [1, 4], [5, 0, 3]]))
def test_splits_have_other_classes_but_equal_sizes(seen: int, count: int, own: list[int] | None) -> None:
    dataset = made(seen, official=own)
    drawn = class_splits(dataset, count)
    assert drawn[0] is dataset
    first = validation_split(dataset)
    unseen = set()
    for one in drawn:
        split = validation_split(one)
        assert len(split.unseen_classes) == len(first.unseen_classes)
        assert set(split.unseen_classes) | set(split.seen_classes) == set(
            range(seen)
        )  # no class of test_unseen
        # As in the own split, one of six images of every other class is held out to measure S.
        assert np.bincount(one.labels[split.test_seen_rows], minlength=seen)[split.seen_classes].tolist() == (
            [1] * len(split.seen_classes)
        )
        rows = np.concatenate([split.fit_rows, split.test_seen_rows, split.test_unseen_rows])
        assert np.array_equal(np.sort(rows), dataset.split.trainval)
        unseen.add(tuple(split.unseen_classes))
    assert len(unseen) == count


def test_a_larger_number_adds_splits_to_the_same() -> None:
    dataset = made(30)
    assert classes(dataset, 3) == classes(dataset, 7)[:3] == classes(made(30), 3)


def test_drawn_classes_are_the_same_in_every_version() -> None:
    """Values of another version can only be compared on the same splits.

    The first draw is by hand: of ``sha256("zslbench validation split 1 class 0")`` to ``9``, the smallest
    begin with 3ab2 (class 8), 5185 (1) and 8092 (0).
    """
    drawn = classes(made(10, official=[0, 1, 2]), 4)
    assert drawn == [(0, 1, 2), (0, 1, 8), (5, 7, 8), (1, 3, 7)]


def test_splits_depend_on_trainval_labels_only() -> None:
    dataset = made(12)
    test = np.concatenate([dataset.split.test_seen, dataset.split.test_unseen])
    labels = dataset.labels.copy()
    labels[test] = 0
    half = replace(dataset.split, test_seen=dataset.split.test_seen[:3])
    other = replace(dataset, labels=labels, features=np.full_like(dataset.features, np.nan), split=half)
    assert classes(other, 5) == classes(dataset, 5)


def test_all_possible_splits_and_no_more() -> None:
    dataset = made(6, official=[2])
    assert sorted(classes(dataset, 6)) == [(one,) for one in range(6)]
    with pytest.raises(SettingsError, match="only 6"):
        class_splits(dataset, 7)
    for count in (0, 101):
        with pytest.raises(SettingsError, match=f"{count} validation splits"):
            class_splits(made(40), count)


@pytest.fixture
def run_on(run: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``run`` on the toy data set with the validation classes of its n-th split as its own."""

    def one(split: int, method: str, seed: int = 0, **options: Any) -> Any:
        def load(*arguments: Any, **more: Any) -> Dataset:
            return class_splits(load_dataset(*arguments, **more), split + 1)[split]

        with monkeypatch.context() as patched:
            patched.setattr(zslbench.experiment.datasets, "load_dataset", load)
            return run(method, seed, **options)

    return one


def test_a_value_is_the_mean_of_separate_runs(tune: Any, run_on: Callable[..., Any]) -> None:
    found = tune(trials=1, validation_splits=3)
    for one in found.trials:
        fixed = TOY | dict(one.settings) | {"classifier.coding": "pm1"}
        records = [run_on(split, "eszsl", settings=fixed) for split in range(3)]
        values = [record.metrics["val_h"] for record in records]
        assert len({record.data["validation_fingerprint"] for record in records}) == 3
        assert one.splits == tuple(values)
        assert one.value == sum(values) / 3 == one.seeds[0]
    assert len(set(found.best.splits)) > 1


@pytest.mark.slow
def test_epochs_have_the_best_mean_over_splits_and_seeds(tune: Any, run_on: Callable[..., Any]) -> None:
    found = tune(trained=True, trials=1, seeds=2, validation_splits=2)
    (one,) = found.trials
    curves = {}
    for split in (0, 1):
        for seed in (0, 1):
            options = {"settings": TRAINED | dict(one.settings), "epochs": 3, "every": 1}
            record = run_on(split, "tf-vaegan", seed, **options)
            rows = record.table("epochs").query("stage == 'validation/generator'").set_index("epoch")
            curves[split, seed] = rows["val_h"]
    mean = sum(curves.values()) / 4
    assert one.value == pytest.approx(mean.max(), abs=1e-15)
    assert one.epochs == mean.idxmax()
    for number in (0, 1):
        of_split = [curve[one.epochs] for (split, _), curve in curves.items() if split == number]
        of_seed = [curve[one.epochs] for (_, seed), curve in curves.items() if seed == number]
        assert one.splits[number] == pytest.approx(statistics.mean(of_split), abs=1e-15)
        assert one.seeds[number] == pytest.approx(statistics.mean(of_seed), abs=1e-15)
    assert len({tuple(curve) for curve in curves.values()}) > 2


def test_one_split_is_the_default_study(tune: Any) -> None:
    plain, one, three = (
        tune(trials=1),
        tune(trials=1, validation_splits=1),
        tune(trials=1, validation_splits=3),
    )
    assert plain.study == one.study != three.study
    assert content(plain) == content(one)
    assert "val_H_std" not in plain.frame()
    assert plain.trials[0].splits == (plain.trials[0].value,)


def test_repeated_settings_keep_their_splits(tune: Any) -> None:
    found = tune(search={"classifier.gamma": [0.01, 1.0]}, trials=4, validation_splits=2)
    splits = {(one.settings["classifier.gamma"], one.splits) for one in found.trials}
    assert len(splits) == len({gamma for gamma, _ in splits}) < 4
    assert all(len(one) == 2 and sum(one) for _, one in splits)


def test_the_preset_says_how_many_splits_it_rests_on(tune: Any, run: Any) -> None:
    found = tune(trials=2, validation_splits=3)
    text = found.preset.read_text("utf-8")
    assert "3 validation splits" in text.splitlines()[0]
    provenance = parse_preset(text, "x").provenance
    assert provenance is not None
    assert provenance["split_values"] == list(found.best.splits)
    assert "3 validation splits" in provenance["objective"]
    assert len(set(provenance["data"]["validation splits"])) == 3
    assert provenance["data"]["validation"] == provenance["data"]["validation splits"][0]
    record = run("eszsl", preset=str(found.preset))  # on the first of the splits, so without a warning
    assert record.notes == ()
    assert record.metrics["val_h"] == found.best.splits[0]


def test_the_table_shows_the_spread_over_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path))
    command = [
        "tune",
        "eszsl",
        "--dataset",
        "toy",
        "--threads",
        "1",
        "--trials",
        "2",
        "--validation-splits",
        "3",
    ]
    command += [part for key, value in RIDGES.items() for part in ("--search", f"{key}={value}")]
    command += [part for key, value in TOY.items() for part in ("--set", f"{key}={value}")]
    rows = json.loads(CliRunner().invoke(cli, [*command, "--format", "json"]).stdout)
    shown = CliRunner().invoke(cli, command, env={"COLUMNS": "200"}).stdout
    for row in rows:
        assert f"{row['val_H']:.2f} ± {row['val_H_std']:.2f}" in shown
    assert "3 validation splits" in shown


def test_a_spread_by_hand(tune: Any) -> None:
    found = tune(trials=1, validation_splits=2)
    low, high = sorted(found.best.splits)
    (row,) = found.frame().to_dict("records")
    assert row["val_H"] == pytest.approx(100 * (low + high) / 2)
    assert row["val_H_std"] == pytest.approx(100 * (high - low) / 2**0.5)
