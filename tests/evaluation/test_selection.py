"""The rule of selection: which epochs are evaluated, which modes there are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from zslbench.errors import SettingsError
from zslbench.evaluation.selection import MODES, Selection, uses_test_images


def test_modes():
    assert set(MODES) == {"last", "val", "oracle", "oracle-scripts"}
    assert [mode for mode in MODES if uses_test_images(mode)] == ["oracle", "oracle-scripts"]
    assert Selection().mode == "val"


@pytest.mark.parametrize("mode", ["vall", "", "test"])
def test_an_unknown_mode_is_one_line(mode):
    wrong = object.__new__(Selection)  # past the type checks that tests switch on
    object.__setattr__(wrong, "mode", mode)
    object.__setattr__(wrong, "every", None)
    with pytest.raises(SettingsError) as caught:
        wrong.__post_init__()
    assert f"selection '{mode}'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("every", [0, -3])
def test_every_must_be_one_or_more(every):
    with pytest.raises(SettingsError, match="1 or more"):
        Selection("val", every)


def test_the_published_scripts_accept_no_other_interval():
    with pytest.raises(SettingsError, match="every 5 epochs"):
        Selection("oracle-scripts", 5)


@given(st.integers(1, 700))
def test_by_default_a_schedule_is_evaluated_at_every_twentieth(epochs):
    """The last epoch is evaluated after training whatever the selection, so it is not among these."""
    step, evaluates = math.ceil(epochs / 20), Selection().along(epochs)
    evaluated = [epoch for epoch in range(1, epochs + 1) if evaluates(epoch)]
    assert evaluated == list(range(step, epochs, step))
    assert len(evaluated) < 20


@given(st.integers(1, 60), st.sampled_from([None, 1]))
def test_the_published_scripts_evaluate_after_every_epoch(epochs, every):
    evaluates = Selection("oracle-scripts", every).along(epochs)
    assert all(evaluates(e) for e in range(1, epochs)) and not evaluates(
        epochs
    )  # the end is evaluated anyway


@given(st.integers(1, 60), st.integers(1, 80))
def test_every_asked_for(epochs, every):
    evaluates = Selection("oracle", every).along(epochs)
    assert [e for e in range(1, epochs + 1) if evaluates(e)] == list(range(every, epochs, every))
