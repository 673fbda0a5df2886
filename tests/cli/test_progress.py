"""How progress is shown: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hostile import NAMES, obeyed

from zslbench.cli import progress
from zslbench.cli.progress import TerminalDisplay, figures
from zslbench.report.console import Console

METRICS = {"critic_loss": 1.23456, "critic_penalty": 0.5, "val_h": 0.25, "other": 1.0, "generator_loss": 1e-7}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A display that writes to a text, as wide a terminal as asked for or none."""
    logger = logging.getLogger("zslbench")
    handlers, propagate = list(logger.handlers), logger.propagate

    def make(width: int | None = None) -> tuple[TerminalDisplay, io.StringIO]:
        out = io.StringIO()

        def console(**options: Any) -> Console:
            options |= {"stderr": False, "file": out, "width": width, "color_system": None}
            return Console(**options, force_terminal=width is not None, _environ={})

        monkeypatch.setattr(progress, "Console", console)
        return TerminalDisplay(), out

    yield make
    logger.handlers, logger.propagate = handlers, propagate


def test_figures_worth_a_glance_come_first() -> None:
    assert figures(METRICS) == "val_h 0.25  critic_loss 1.235  generator_loss 1e-07  critic_penalty 0.5"
    assert figures({}) == ""
    assert figures({"other": 2.0, "test_h": 0.1}).startswith("test_h 0.1")


def test_lines_where_there_is_no_terminal(shown: Any) -> None:
    display, out = shown()
    with display.observer("m · toy · seed 0") as observer:
        observer.stage_started("final/generator", 3, 0)
        for epoch in (1, 2, 3):
            observer.epoch_ended("final/generator", epoch, 3, METRICS)
        observer.stage_ended("final/generator")
    title, line = out.getvalue().splitlines()
    assert title == "m · toy · seed 0"
    assert line.startswith("  final/generator: epoch 3/3, 0 s, 0 s left  val_h 0.25  critic_loss")
    assert "\x1b" not in out.getvalue()


def test_a_line_every_few_seconds_with_the_time_left(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 0, *range(3, 300, 3)])  # three seconds an epoch
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    display, out = shown()
    with display.observer("title") as observer:
        observer.stage_started("s", 10, 4)
        for epoch in range(5, 11):
            observer.epoch_ended("s", epoch, 10, {})
    lines = [line.strip() for line in out.getvalue().splitlines()[1:]]
    assert lines[0].endswith("epoch 4/10")
    fields = [line.split(":")[1].split(",") for line in lines[1:]]
    assert [one[0].strip() for one in fields] == ["epoch 6/10", "epoch 8/10", "epoch 10/10"]
    # The epochs before the interruption took none of this time: 6 s for two of them, four left.
    assert [one[2].strip() for one in fields] == ["12 s left", "6 s left", "0 s left"]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_bars_fit_the_terminal(shown: Any, width: int) -> None:
    display, out = shown(width)
    with display.observer("m · toy · seed 0") as observer:
        observer.stage_started("validation/generator", 30, 10)
        observer.epoch_ended("validation/generator", 11, 30, METRICS)
        observer.stage_ended("validation/generator")
        observer.stage_started("validation/generator", 30, 0)  # the next candidate's
        observer.epoch_ended("validation/generator", 1, 30, METRICS)
    lines = [re.sub(r"\x1b\[[0-9?;]*[A-Za-z]|\r", "", line) for line in out.getvalue().splitlines()]
    last = [line.rstrip() for line in lines if "validation/generator" in line][-1]
    assert "1/30" in last
    assert "left" in last
    assert max(map(len, lines)) <= width


def test_notes_and_warnings_are_shown_as_they_are(shown: Any) -> None:
    display, out = shown()
    display.say("[red]not markup[/red]")
    logging.getLogger("zslbench").warning("of a plugin: [bold]odd[/bold]")
    assert "[red]not markup[/red]" in out.getvalue()
    assert "[bold]odd[/bold]" in out.getvalue()
    _, other = shown()  # a second display takes the place of the first: nothing is told twice
    logging.getLogger("zslbench").warning("once")
    assert "once" not in out.getvalue()
    assert other.getvalue().count("once") == 1


@pytest.mark.parametrize("width", [None, 80])
def test_hostile_names_are_shown_and_not_obeyed(
    shown: Any, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of runs, stages, metrics, notes and warnings; brackets are no markup, colons no emoji."""
    # pytest-xdist could not send what pytest itself would capture: halves of surrogate pairs.
    monkeypatch.setattr(logging.getLogger("zslbench"), "handlers", [])
    for name in NAMES.values():
        display, out = shown(width)
        display.say(name)
        logging.getLogger("zslbench").warning("%s", name)
        with display.observer(name) as observer:
            observer.stage_started(name, 2, 1)
            observer.epoch_ended(name, 2, 2, {name: 1.0})
            observer.stage_ended(name)
        text = out.getvalue()
        assert obeyed(text, terminal=width is not None) == []
        if name.isprintable() and len(name) < 50:
            assert text.count(name) >= 3 + (width is None)
