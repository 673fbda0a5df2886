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
from zslbench.experiment.options import AllOptions, SearchOptions


@pytest.mark.parametrize("name", ["Fit", "Machine", "Run", "Search", "All"])
def test_keywords_are_the_fields(name: str) -> None:
    cls, keywords = getattr(options, f"{name}Options"), getattr(options, f"{name}Keywords")
    fields, hints = {one.name for one in dataclasses.fields(cls)}, typing.get_type_hints(cls)
    assert {key: hints[key] for key in fields} == typing.get_type_hints(keywords)


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="thread"):
        AllOptions(thread=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="replicas"):
        SearchOptions(replicas=2)  # type: ignore[call-arg]


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
