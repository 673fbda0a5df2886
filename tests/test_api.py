"""``zslbench.run``: how seeds are read, and what is public."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import zslbench
from zslbench.errors import SettingsError
from zslbench.experiment import Quiet, seed_numbers


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1, (0,)), (3, (0, 1, 2)), ([5], (5,)), ((4, 0, 2), (4, 0, 2)), (range(2, 4), (2, 3))],
)
def test_seeds(given: Any, expected: tuple[int, ...]) -> None:
    assert seed_numbers(given) == expected


@pytest.mark.parametrize("given", [0, -1, [], [1, 1], [-1], [0, 1, 0]])
def test_seeds_that_are_none(given: Any) -> None:
    with pytest.raises(SettingsError, match="seeds"):
        seed_numbers(given)


def test_public_names_are_there_and_documented() -> None:
    assert set(zslbench.__all__) == set(dir(zslbench))
    for name in zslbench.__all__:
        assert getattr(zslbench, name) is not None
        assert name == "__version__" or name == "hookimpl" or getattr(zslbench, name).__doc__
    with pytest.raises(AttributeError, match="module 'zslbench' has no attribute 'runn'"):
        zslbench.runn  # noqa: B018


def test_importing_zslbench_is_cheap() -> None:
    code = "import sys, zslbench; zslbench.Method, zslbench.hookimpl; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "numpy", "pydantic", "sklearn"} & set(done.stdout.split())


def test_a_quiet_display_takes_everything() -> None:
    display = Quiet()
    display.say("nothing")
    with display.observer("title") as observer:
        observer.stage_started("s", 2, 0)
        observer.epoch_ended("s", 1, 2, {"loss": 1.0})
        observer.stage_ended("s")
