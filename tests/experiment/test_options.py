"""The arguments of a run, declared once."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import zslbench
from zslbench.cli.options import fitting_options, running_options
from zslbench.experiment.options import AllOptions, RunOptions, SearchOptions


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (zslbench.run, AllOptions),
        (zslbench.ablate, AllOptions),
        (zslbench.bench, RunOptions),
        (zslbench.tune, SearchOptions),
    ],
)
def test_functions_show_the_options_that_they_take(function: Any, options: Any) -> None:
    shown = inspect.signature(function).parameters
    fields = inspect.signature(options).parameters
    assert {name: shown[name].default for name in fields} == {
        name: field.default for name, field in fields.items()
    }
    assert not any(one.kind is one.VAR_KEYWORD for one in shown.values())


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="thread"):
        AllOptions(thread=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="replicas"):
        SearchOptions(replicas=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("function", [zslbench.run, zslbench.ablate, zslbench.bench, zslbench.tune])
def test_a_function_names_itself_and_the_nearest_keyword(function: Any) -> None:
    with pytest.raises(TypeError) as caught:
        function("eszsl", stor="here")
    assert str(caught.value).startswith(f"{function.__name__}()")
    assert "'stor'" in str(caught.value)
    assert "'store'" in str(caught.value)


def test_the_command_line_gives_what_the_objects_take() -> None:
    got: dict[str, Any] = {}

    @click.command()
    @fitting_options
    @running_options
    def command(**given: Any) -> None:
        got.update(given)

    assert CliRunner().invoke(command, []).exit_code == 0
    assert AllOptions(**got) == AllOptions(settings={})
    line = [
        "--set",
        "generator.lr=1e-3",
        "--preset",
        "a",
        "--preset",
        "b",
        "--threads",
        "2",
        "--track",
        "none",
    ]
    assert CliRunner().invoke(command, [*line, "--data-root", "x", "--epochs", "4"]).exit_code == 0
    assert AllOptions(**got) == AllOptions(
        settings={"generator.lr": 1e-3},
        preset=("a", "b"),
        epochs=4,
        threads=2,
        track=("none",),
        data_root=Path("x"),
    )
    assert CliRunner().invoke(command, ["--device", "tpu"]).exit_code == 2
