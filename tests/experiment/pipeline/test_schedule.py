"""The schedule is the setting that is ``Epochs``, and what was selected is what is refitted."""

from __future__ import annotations

import pytest
import torch

from zslbench.errors import PluginError
from zslbench.evaluation.selection import Selection
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training

PARTS = {"classifier": "by-embedding", "epochs": 5, "every": 1}
BEST = 2
SCRIPT = {
    "classifier.u": tuple((1.0 if epoch == BEST else 0.25,) for epoch in range(1, 6)),
    "classifier.s": ((1.0,),),
}


@pytest.fixture
def outcome(known):
    """A run's outcome with all networks, on the scripted data."""

    def run(embedding, mode="val"):
        parts = {"embedding": embedding, "classifier": "by-embedding"}
        recipe = resolve(known, "scripted", components=parts, epochs=5, settings=SCRIPT)
        dataset = load_dataset(recipe.parts["dataset"])
        every = 1 if mode == "val" else None
        return pipeline.run(recipe, dataset, Selection(mode, every), Training(Streams(0)))

    return run


@pytest.mark.parametrize("embedding", ["rounds", "prepared", "frozen-reader"])
def test_the_schedule_is_selected_and_refitted_whatever_its_name(run, embedding):
    record = run(embedding=embedding, **PARTS, settings=SCRIPT)
    assert record.info.identity["settings"]["embedding"] == {"epochs": 2, "main.rounds": 5}
    assert record.metrics["epochs"] == BEST
    stage = "embedding" if embedding == "rounds" else "embedding/training"
    table = record.table("epochs")
    for fold, epochs in {"validation": [1, 2, 3, 4, 5], "final": [1, 2]}.items():
        assert table[table["stage"] == f"{fold}/{stage}"]["epoch"].tolist() == epochs
    assert record.metrics["u"] == 1.0


def test_a_refit_is_the_selected_part_of_the_same_training(outcome):
    """What a program computes from the length of its schedule is as it was when it was evaluated."""
    fitted = outcome("rounds").networks["embedding"]["state"]
    assert fitted["t"].item() == BEST
    assert fitted["share"].item() == pytest.approx(BEST / 5)


def test_a_preparatory_stage_is_not_shortened_by_selection(outcome, run):
    fitted = outcome("prepared").networks["embedding"]
    assert (fitted["prepared"]["t"].item(), fitted["state"]["t"].item()) == (5, BEST)


def test_without_selection_the_schedule_is_trained_to_its_end(outcome):
    found = outcome("rounds", "last")
    assert found.metrics["epochs"] == 5
    torch.testing.assert_close(found.networks["embedding"]["state"]["share"], torch.tensor(1.0))


@pytest.mark.parametrize("select", ["last", "val", "oracle"])
@pytest.mark.parametrize(
    ("embedding", "facts"),
    [
        ("undeclared", ("'training'", "Epochs", "paced=False")),
        ("twice", ("10 epochs", "'main.rounds'", "is 5")),
        ("idle", ("'main.rounds'",)),
        ("averaged", ("'dummy'",)),
        ("two-schedules", ("'two'", "'one'", "paced=False")),
        ("followed", ("'two'", "'one'", "paced=False")),
        ("summed", ("'two'", "'one'")),
    ],
)
def test_a_fit_whose_refit_would_be_another_training_is_refused(run, embedding, facts, select):
    options = PARTS | {"epochs": None if embedding == "undeclared" else 5}
    if select != "val":
        options["every"] = None
    with pytest.raises(PluginError) as caught:
        run(embedding=embedding, select=select, **options)
    assert all(fact in str(caught.value) for fact in ("embedding", *facts))


def test_networks_missing_along_the_schedule_are_a_fault_of_the_plugin(run):
    with pytest.raises(PluginError) as caught:
        run(embedding="reader", **PARTS)
    for fact in ("embedding 'reader'", "epoch 1", "'mean'", "dummy, state", "frozen"):
        assert fact in str(caught.value)


@pytest.mark.parametrize("select", ["last", "val"])
def test_training_without_a_schedule_is_told_once(run, select, caplog):
    record = run(embedding="unpaced", classifier="by-embedding", select=select)
    assert record.metrics["epochs"] is None
    (note,) = [note for note in record.notes if "Epochs" in note]
    assert "embedding" in note
    assert len([one for one in caplog.records if one.getMessage() == note]) == 1
    assert not run(embedding="as-is", classifier="by-embedding", select=select).notes


@pytest.mark.parametrize("classifier", ["softmax", "scripted"])
def test_the_classifier_s_schedule_does_not_hide_that_the_generator_has_none(run, classifier):
    """It is then the classifier's epoch that is selected, which nobody asked for."""
    parts = {"embedding": "as-is", "classifier": classifier, "epochs": 2}
    (note,) = [one for one in run(generator="unpaced", **parts).notes if "Epochs" in one]
    assert "(generator)" in note
    assert "classifier.epochs" in note
    assert not [one for one in run(generator="still", **parts).notes if "Epochs" in one]
