"""The value of a trial, which depends on the validation fold alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tiny import TOY, TRAINED, content

import zslbench.experiment.datasets
from zslbench.experiment.datasets import load_dataset


def test_a_value_is_that_of_selection_val(tune: Any, run: Any) -> None:
    found = tune(trials=5)
    for one in found.trials:
        record = run("eszsl", settings=TOY | dict(one.settings) | {"classifier.coding": "pm1"})
        assert one.value == record.metrics["val_h"]
    assert found.best.value == max(one.value for one in found.trials)
    assert len({one.value for one in found.trials}) > 2


@pytest.mark.slow
def test_epochs_have_the_best_mean_over_seeds(tune: Any, run: Any) -> None:
    found = tune(trained=True, seeds=2, trials=1)
    for one in found.trials:
        curves = []
        for seed in (0, 1):
            settings = TRAINED | dict(one.settings)
            record = run("tf-vaegan", seed, settings=settings, epochs=3, every=1)
            rows = record.table("epochs").query("stage == 'validation/generator'").set_index("epoch")
            curves.append(rows["val_h"])
        mean = (curves[0] + curves[1]) / 2
        assert one.value == mean.max()
        assert one.epochs == mean.idxmax()  # the first of equals
        assert one.seeds == {seed: curve[one.epochs] for seed, curve in enumerate(curves)}
        assert mean.nunique() > 1


@pytest.mark.slow
def test_no_test_image_is_ever_seen(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"trials": 2, "validation_splits": 2}
    honest = {trained: tune(trained=trained, store="honest", **options) for trained in (False, True)}

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the final fold was made")

    def poisoned(*arguments: Any, **options: Any) -> Any:
        dataset = load_dataset(*arguments, **options)
        features, labels = dataset.features.copy(), dataset.labels.copy()
        for rows in (dataset.split.test_seen, dataset.split.test_unseen):
            features[rows] = np.nan
            labels[rows] = np.roll(labels[rows], 1)
        return replace(dataset, features=features, labels=labels, regions=None)

    monkeypatch.setattr("zslbench.evaluation.folds.final_fold", never)
    monkeypatch.setattr("zslbench.experiment.pipeline.final_fold", never)
    monkeypatch.setattr(zslbench.experiment.datasets, "load_dataset", poisoned)
    for trained, expected in honest.items():
        found = tune(trained=trained, store="poisoned", **options)
        assert found.study != expected.study  # another data set
        assert content(found) == content(expected)


@pytest.mark.slow
def test_the_same_search_is_the_same_trials(tune: Any) -> None:
    one, two, other = tune(), tune(store="other"), tune(store="third", sampler_seed=1)
    assert content(one) == content(two)
    assert content(one) != content(other)
    assert tune(store="fourth", sampler="random").trials[0].settings == one.trials[0].settings


@pytest.mark.slow
@pytest.mark.parametrize("fits", [{"seeds": 2}, {"validation_splits": 2}])
def test_median_pruning(tune: Any, fits: dict[str, int]) -> None:
    found = tune(trials=16, pruner="median", **fits)
    storage = JournalStorage(JournalFileBackend(str(found.journal)))
    study = optuna.load_study(study_name="zslbench", storage=storage)
    firsts: list[float] = []  # of trials that were not pruned
    for trial, one in zip(study.trials, found.trials, strict=True):
        first = trial.intermediate_values[0]
        worse = len(firsts) >= 5 and first < np.median(firsts)
        assert one.state == ("pruned" if worse else "done")
        assert len(trial.intermediate_values) == (1 if worse else 2)
        firsts += [first] if one.state == "done" else []
    assert 0 < [one.state for one in found.trials].count("pruned") < 11
    assert found.best.state == "done"


def test_repeated_settings_are_not_computed_again(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zslbench_tune.search import Search

    computed = []
    original = Search.value

    def counted(self: Any, settings: Any, *arguments: Any) -> Any:
        computed.append(dict(settings))
        return original(self, settings, *arguments)

    monkeypatch.setattr(Search, "value", counted)
    found = tune(search={"classifier.coding": ["pm1", "01"]}, trials=6)
    assert len(found.trials) == 6
    assert sorted(one["classifier.coding"] for one in computed) == ["01", "pm1"]
    assert len({(one.settings["classifier.coding"], one.value) for one in found.trials}) == 2


@pytest.mark.slow
def test_a_trial_that_fails_is_a_failed_trial(tune: Any) -> None:
    found = tune(trained=True, search={"generator.lr": [1e-3, 1e30]}, trials=6)
    states = {one.settings["generator.lr"]: one for one in found.trials}
    assert states[1e30].state == "failed"
    assert states[1e30].reason is not None
    assert "not finite in epoch 1" in states[1e30].reason
    assert found.best.settings == {"generator.lr": 1e-3}
    frame = found.frame()
    assert frame["state"].tolist() == sorted(frame["state"])  # done, then failed


def test_incompatible_settings_fail_alone(tune: Any) -> None:
    search = {"generator.decoder": [True, False], "generator.feedback": [True, False]}
    found = tune(trained=True, search=search, trials=8, settings={"generator.transform": False}, epochs=1)
    for one in found.trials:
        bad = not one.settings["generator.decoder"] and one.settings["generator.feedback"]
        assert one.state == ("failed" if bad else "done")
    reasons = {one.reason for one in found.trials if one.reason}
    assert len(reasons) == 1 and "decoder" in reasons.pop()


def test_trials_use_the_requested_precision(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zslbench.experiment import pipeline
    from zslbench.experiment.job import ExecutionMode
    from zslbench.training.graphs import Graphs

    seen: list[tuple[str, Any]] = []
    right = pipeline.validate

    def validate(recipe: Any, fold: Any, selection: Any, training: Any, on_evaluated: Any) -> Any:
        seen.append((training.precision, training.graphs))
        return right(recipe, fold, selection, replace(training, graphs=None), on_evaluated)

    monkeypatch.setattr("zslbench_tune.search.validate", validate)
    plain, coarse = (tune(trials=1, precision=one) for one in ("float32", "bf16"))
    assert seen == [("float32", None), ("bf16", None)]
    assert plain.study != coarse.study  # values in different precisions are not compared
    made = Graphs(required=False)
    monkeypatch.setattr(ExecutionMode, "new_graphs", lambda self: made)
    tune(trials=2)
    assert seen[-1] == ("float32", made)
