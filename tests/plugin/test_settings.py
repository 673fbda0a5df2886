"""Settings: frozen, typed, finite; an unknown key names the nearest."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from pydantic import PositiveFloat, PositiveInt, ValidationError, model_validator

from zslbench import ComponentSettings
from zslbench.errors import PluginError, SettingsError
from zslbench.plugin.settings import (
    Count,
    Epochs,
    NoSettings,
    SettingsGroup,
    build,
    default_of,
    fields_of,
    schedule_of,
)


class Model(ComponentSettings):
    lr: PositiveFloat = 0.1
    """Learning rate."""
    latent: PositiveInt | None = None
    """Size."""
    mode: Literal["l2", "none"] = "l2"
    """Which."""
    feedback: bool = True
    decoder: bool = True

    @model_validator(mode="after")
    def _fit(self) -> Model:
        if self.feedback and not self.decoder:
            raise ValueError("feedback needs the decoder")
        return self


def test_defaults_and_values() -> None:
    found = build(Model, {"lr": 2, "latent": 3}, "generator 'm'")
    assert found == Model(lr=2.0, latent=3)
    assert isinstance(found.lr, float)
    assert Model.model_fields["lr"].description == "Learning rate."
    assert build(NoSettings, {}, "x") == NoSettings()
    with pytest.raises(ValidationError, match="frozen"):
        found.lr = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("word", ["none", "None", "null"])
def test_none_in_words(word: str) -> None:
    """Where a setting may be None; elsewhere it is a word like others."""
    assert build(Model, {"latent": word}, "x").latent is None
    with pytest.raises(SettingsError):
        build(Model, {"lr": word}, "x")
    assert build(Model, {"mode": "none"}, "x").mode == "none"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lrr": 1}, "generator 'm': no setting 'lrr', did you mean 'lr'?"),
        ({"lr": -1}, "generator 'm': 'lr' = -1: Input should be greater than 0"),
        ({"lr": math.inf}, "generator 'm': 'lr' = inf: Input should be a finite number"),
        ({"lr": math.nan}, "generator 'm': 'lr' = nan: Input should be a finite number"),
        ({"latent": 1.5}, "'latent' = 1.5"),
        ({"mode": "l3"}, "'mode' = 'l3': Input should be 'l2' or 'none'"),
        ({"decoder": False}, "generator 'm': feedback needs the decoder"),
    ],
)
def test_one_line_says_which_setting_and_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(Model, values, "generator 'm'")
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert len(text) < 150  # and does not quote all the settings


def test_all_faults_at_once() -> None:
    with pytest.raises(SettingsError, match="no setting 'a'") as caught:
        build(Model, {"a": 1, "lr": 0}, "x")
    assert str(caught.value).count(";") == 1


# --- the schedule ----------------------------------------------------------------------------------


class Rounds(SettingsGroup):
    rounds: Epochs = 20
    epochs: Count = 3


class Paced(ComponentSettings):
    epochs: Count = 5
    second: Rounds = Rounds()


class Twice(Paced):
    length: Epochs = 5


class Optional(ComponentSettings):
    length: Epochs | None = None


class Many(ComponentSettings):
    lengths: tuple[Epochs, ...] = (1,)


def test_the_schedule_is_the_setting_that_is_epochs_whatever_its_name() -> None:
    assert schedule_of(Paced) == "second.rounds"
    assert schedule_of(Model) is None
    with pytest.raises(SettingsError, match=r"second\.rounds"):
        build(Paced, {"second.rounds": 0}, "x")
    assert build(Paced, {"second.rounds": 4}, "x").flat()["second.rounds"] == 4


@pytest.mark.parametrize(
    ("model", "named"),
    [(Twice, ["length", "second.rounds"]), (Optional, ["length"]), (Many, ["lengths"])],
)
def test_two_schedules_or_one_that_may_be_absent_are_faults(
    model: type[ComponentSettings], named: list[str]
) -> None:
    with pytest.raises(PluginError) as caught:
        schedule_of(model)
    assert all(one in str(caught.value) for one in [model.__name__, *named])


# --- groups ----------------------------------------------------------------------------------------


class Stage(SettingsGroup):
    epochs: PositiveInt = 20
    """Epochs."""
    iterations: PositiveInt | None = 5
    """Batches."""


class Longer(Stage):
    lr: PositiveFloat = 0.1
    """Learning rate."""


class Staged(ComponentSettings):
    reading: Literal["paper", "authors"] = "paper"
    """Which."""
    stage1: Stage = Stage()
    stage2: Longer = Longer(epochs=7)
    last: int = 3
    """Something else."""


def test_the_settings_of_a_group_have_names_with_a_dot() -> None:
    found = build(Staged, {"stage1.epochs": 3, "stage2.lr": 1, "stage1.iterations": "none"}, "x")
    assert found == Staged(stage1=Stage(epochs=3, iterations=None), stage2=Longer(lr=1.0))
    assert found.flat() == {
        "reading": "paper", "stage1.epochs": 3, "stage1.iterations": None, "stage2.epochs": 20,
        "stage2.iterations": 5, "stage2.lr": 1.0, "last": 3,
    }  # fmt: skip
    assert build(Staged, found.flat(), "x") == found
    assert list(fields_of(Staged)) == list(found.flat())
    assert fields_of(Staged)["stage2.lr"].description == "Learning rate."
    assert default_of(Staged, "stage2.epochs") == 7 and default_of(Staged, "last") == 3
    assert build(Staged, {"stage1": {"epochs": 3}, "stage1.iterations": 2}, "x").stage1 == Stage(
        epochs=3, iterations=2
    )


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("stage1.epoch", ["stage1.epochs"]),
        ("stage1_epochs", ["stage1.epochs"]),
        ("lr", ["stage2.lr"]),
        ("epochs", ["stage1.epochs", "stage2.epochs"]),
        ("last.lr", ["stage2.lr"]),
    ],
)
def test_an_unknown_setting_of_a_group_names_the_nearest(name: str, suggested: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        build(Staged, {name: 1}, "x")
    assert f"'{name}'" in str(caught.value)
    assert all(f"'{one}'" in str(caught.value) for one in suggested)


def test_a_stage_depends_on_its_group_and_on_what_comes_before() -> None:
    values = Staged().flat()
    later = {name for name in values if name.startswith("stage2")}
    assert Staged().through("stage1") == {name: value for name, value in values.items() if name not in later}
    assert Staged().through("stage2") == values
