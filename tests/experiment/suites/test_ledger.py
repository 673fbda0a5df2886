"""The ledger of cells, and damaged files in it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zslbench
from zslbench.experiment import find_suite, suite_outcome
from zslbench.experiment.suites.cells import CellRecord, Ledger
from zslbench.plugin.discovery import registry
from zslbench.plugin.lookup import Registry
from zslbench.store.files import checked_json
from zslbench.store.store import Store

LAB = '[[methods]]\nmethod = "lab"\n'


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(tmp_path / "store"))


def test_what_is_written_is_found_and_the_last_one_counts(ledger: Ledger) -> None:
    assert ledger.find("a") is None
    assert not ledger.folder.exists()  # reading creates nothing
    ledger.write("a", CellRecord("failed", message="no", data="d", facts={"seed": 1}))
    found = ledger.find("a")
    assert found is not None
    assert (found.state, found.message, found.data, found.facts) == ("failed", "no", "d", {"seed": 1})
    assert found.when  # set by default
    ledger.write("a", CellRecord("run", "r"))
    ledger.write("b", CellRecord("run", "s"))
    assert [one.run for name in ("a", "b") if (one := ledger.find(name))] == ["r", "s"]
    assert sorted(path.name for path in ledger.folder.iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text, good: text[:-20],
        lambda text, good: text.replace(b'"run": "r"', b'"run": "x"'),
        lambda text, good: b"",
        lambda text, good: b"\xff\xfe",
        lambda text, good: checked_json({**good, "cell": "b"}),
        lambda text, good: checked_json({**good, "state": "perhaps"}),
        lambda text, good: checked_json({**good, "run": None}),
        lambda text, good: checked_json({**good, "more": 1}),
        lambda text, good: checked_json({**good, "format": 2}),
    ],
)
def test_a_damaged_file_is_set_aside_with_a_warning(
    ledger: Ledger, damage: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zslbench.store.files import parse_checked_json

    monkeypatch.setattr(logging.getLogger("zslbench"), "propagate", True)
    ledger.write("a", CellRecord("run", "r"))
    path = ledger.folder / "a.json"
    text = path.read_bytes()
    path.write_bytes(damage(text, parse_checked_json(text)))
    assert ledger.find("a") is None
    assert "damaged" in caplog.text
    assert list(ledger.folder.iterdir()) == []
    (aside,) = (ledger.folder.parent / "damaged").iterdir()
    assert aside.name.startswith("cell-a.")
    ledger.write("a", CellRecord("run", "r"))
    assert ledger.find("a") is not None


def test_a_cell_is_found_by_its_run_without_the_ledger(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB)
    (record,) = zslbench.bench(mine, threads=1).records
    for path in Ledger(Store.default()).folder.iterdir():
        path.write_text("{", "utf-8")
    assert suite_outcome(mine, Store.default(), known).records == ()
    (again,) = zslbench.bench(mine, threads=1).records
    assert again.info == record.info
    assert len((world / "fits").read_text("utf-8")) == 1
    assert suite_outcome(mine, Store.default(), known).entries["lab", "there", "last"].state == "done"


SUITE = """
datasets = "toy"
seeds = 6
select = "val"
settings.dataset.images_per_class = 6
[[methods]]
method = "eszsl"
"""


@pytest.mark.slow
def test_processes_share_a_suite(tmp_path: Path) -> None:
    """Each takes what the other has not, neither fails, and everything is complete in the end."""
    path, store = tmp_path / "shared.toml", tmp_path / "store"
    path.write_text(SUITE, "utf-8")
    command = [sys.executable, "-m", "zslbench", "bench", str(path), "--threads=1", f"--store={store}"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    ends = [(one.communicate(timeout=120), one.returncode) for one in processes]
    assert [code for _, code in ends] == [0, 0], ends
    stored = suite_outcome(find_suite(path), Store(store), registry())
    assert len(stored.records) == 6
    assert len(list((store / "runs").iterdir())) == 6
    assert all(one.verify() == [] for one in stored.records)
