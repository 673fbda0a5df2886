"""The short form of ``fuzz.py``: some damaged files of each format, and that the watcher notices faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fuzz


@pytest.fixture(scope="module")
def found():
    from fuzz_formats import FORMATS

    return fuzz.fuzz([one.name for one in FORMATS], seed=2026, numbers=range(6))


def test_damaged_files_are_read_or_refused_in_one_line(found):
    assert [text for one in found.values() for text in one.faults] == []
    assert {one.ends.total() for one in found.values()} == {6}


def test_every_format_can_refuse(found):
    assert [name for name, one in found.items() if not one.ends["refused"]] == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ({}, False),
        ({"end": "refused"}, False),
        ({"end": "changed"}, False),
        ({"end": "fault", "what": "KeyError: 1"}, True),
        ({"cpu": fuzz.SECONDS + 1}, True),
        ({"mb": fuzz.MEGABYTES + 1}, True),
    ],
)
def test_what_counts_as_a_fault(line, fault):
    tally = fuzz.Tally()
    read = {"format": "TOML", "number": 3, "file": "a.toml", "end": "same", "what": "", "cpu": 0.1, "mb": 3}
    tally.add(read | line)
    assert bool(tally.ends["fault"]) == bool(tally.faults) == fault


@pytest.mark.parametrize("how", ["hangs", "dies"])
def test_a_child_that_hangs_or_dies_is_a_fault_and_the_others_go_on(tmp_path, monkeypatch, how):
    worker = tmp_path / "worker.py"
    worker.write_text(
        f"""
import json, os, sys, time
last, firsts = int(sys.argv[2]), json.loads(sys.argv[3])
for name, first in firsts.items():
    for number in range(first, last):
        print(json.dumps({{"begin": number, "format": name, "file": "f"}}), flush=True)
        if (name, number) == ("a", 1):
            {"time.sleep(60)" if how == "hangs" else "os._exit(9)"}
        line = {{"number": number, "format": name, "file": "f", "end": "same", "what": "", "cpu": 0, "mb": 0}}
        print(json.dumps(line), flush=True)
print(json.dumps({{"end": "all"}}))
"""
    )
    monkeypatch.setattr(fuzz, "WORKER", worker)
    monkeypatch.setattr(fuzz, "PATIENCE", 3.0)
    found = fuzz.fuzz(["a", "b"], seed=0, numbers=range(3))
    assert {name: dict(one.ends) for name, one in found.items()} == {
        "a": {"same": 2, "fault": 1},
        "b": {"same": 3},
    }
