"""The arguments of a run, declared once."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from zslbench.cli.options import fitting_options, running_options
from zslbench.experiment import options
from zslbench.experiment.options import FitOptions, MachineOptions, RunOptions, split_options


@pytest.mark.parametrize("name", ["Fit", "Machine", "Run"])
def test_keywords_are_the_fields(name: str) -> None:
    cls, keywords = getattr(options, f"{name}Options"), getattr(options, f"{name}Keywords")
    fields, hints = {one.name for one in dataclasses.fields(cls)}, typing.get_type_hints(cls)
    assert {key: hints[key] for key in fields} == typing.get_type_hints(keywords)


def test_an_unknown_keyword_is_refused() -> None:
    fit, run = split_options({"epochs": 3, "threads": 2}, RunOptions)
    assert (fit, run) == (FitOptions(epochs=3), RunOptions(threads=2))
    with pytest.raises(TypeError, match="thread"):
        split_options({"thread": 2}, RunOptions)
    with pytest.raises(TypeError, match="replicas"):
        split_options({"replicas": 2}, MachineOptions)


def test_the_command_line_gives_what_the_objects_take() -> None:
    got: dict[str, Any] = {}

    @click.command()
    @fitting_options
    @running_options
    def command(**given: Any) -> None:
        got.update(given)

    assert CliRunner().invoke(command, []).exit_code == 0
    assert split_options(got, RunOptions) == (FitOptions(settings={}), RunOptions())
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
    assert split_options(got, RunOptions) == (
        FitOptions(settings={"generator.lr": 1e-3}, preset=("a", "b"), epochs=4),
        RunOptions(threads=2, track=("none",), data_root=Path("x")),
    )
    assert CliRunner().invoke(command, ["--device", "tpu"]).exit_code == 2
