"""Hints in messages."""

from __future__ import annotations

import pytest

from zslbench.errors import did_you_mean


@pytest.mark.parametrize("name", ["zzz", "z" * 100_000])
def test_a_hint_is_short_whatever_is_known(name: str) -> None:
    known = [f"class {one}" for one in range(3000)]
    assert did_you_mean(name, known).count(",") == 50
    assert did_you_mean(name, known[:50]).count(",") == 49


def test_a_long_name_still_finds_its_neighbour() -> None:
    assert did_you_mean("softmx", ["softmax", "eszsl"]) == "did you mean 'softmax'?"
