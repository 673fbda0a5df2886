"""Unexpected errors in a plugin say where they arose; expected ones pass as they are."""

from __future__ import annotations

import pytest

import zslbench
from zslbench.errors import PluginFailure

AT = {
    "constructor": ({"generator": "raising", "stage": "final"}),
    "fit": ({"generator": "raising", "stage": "final/generator"}),
    "step": ({"generator": "raising", "stage": "final/generator", "epoch": 1, "step": "tick"}),
    "sample": ({"generator": "raising", "stage": "final"}),
    "transform": ({"generator": "raising", "stage": "final"}),
}


@pytest.mark.parametrize("at", AT)
def test_the_place_of_an_error_is_named(run, at):
    parts = {"embedding": "as-is", "generator": "raising", "classifier": "scripted"}
    with pytest.raises(PluginFailure) as caught:
        run(**parts, select="last", settings={"generator.at": at})
    assert caught.value.place == {"plugin": "scripted", **AT[at]}
    assert isinstance(caught.value.__cause__, KeyError)
    message = str(caught.value)
    assert message.startswith("plugin 'scripted', generator 'raising', stage 'final")
    assert message.endswith(f": KeyError: '{at}'")
    assert "\n" not in message


def test_an_error_while_an_epoch_is_evaluated_names_the_component_at_fault_and_the_epoch(run):
    """The classifier's, though it is the generator's training that is evaluated."""
    with pytest.raises(PluginFailure) as caught:
        run(embedding="as-is", generator="scripted", classifier="raising", every=2)
    place = caught.value.place
    assert (place["plugin"], place["classifier"], place["epoch"]) == ("scripted", "raising", 2)
    assert "generator" not in place
    assert str(place["stage"]).startswith("validation")


def test_seeds_that_train_together_fail_alike(known, tmp_path):
    options = {"store": tmp_path / "store", "device": "cpu", "threads": 1, "select": "last"}
    parts = {"embedding": "as-is", "generator": "raising", "classifier": "scripted", "dataset": "scripted"}
    with pytest.raises(PluginFailure) as caught:
        zslbench.run(**parts, **options, seeds=2, replicas=2, settings={"generator.at": "step"})
    assert caught.value.place == {"plugin": "scripted", **AT["step"]}
