"""The page about statistics says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from zslbench.report.bootstrap import LEAST_CLASSES, RESAMPLES
from zslbench.report.statistics import EXACT, seeds_needed, too_few

PAGE = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text("utf-8")


def test_the_table_of_seeds() -> None:
    head, _, seeds = re.search(r"(\| methods compared.*)\n(.*)\n(\| seeds.*)\n", PAGE).groups()  # type: ignore[union-attr]
    ranges = [[int(one) for one in cell.split("–")] for cell in head.strip("| ").split(" | ")[1:]]
    needed = [int(cell) for cell in seeds.strip("| ").split(" | ")[1:]]
    assert len(ranges) == len(needed) == 5
    for (first, *last), n in zip(ranges, needed, strict=True):
        # The range is whole: one comparison more, or less, asks for another number.
        assert {seeds_needed(comparisons=m) for m in (first, *last)} == {n}
        assert seeds_needed(comparisons=(last or [first])[0] + 1) > n
        assert first == 1 or seeds_needed(comparisons=first - 1) < n


def test_numbers_and_words() -> None:
    assert f'"{too_few(3)}"' in PAGE
    assert f"up to {EXACT} seeds" in " ".join(PAGE.split())
    assert str(RESAMPLES) in PAGE
    assert LEAST_CLASSES == 5
    assert "fewer than five classes" in " ".join(PAGE.split())


def test_the_examples_run() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)
    for line in code[1].splitlines():
        call, _, comment = line.partition("  # ")
        if comment and not call.startswith("interval"):
            found = eval(call, names)
            assert str(found).startswith(comment.strip('"').removesuffix(" ..."))
