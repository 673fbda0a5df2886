"""The speed suite itself, at sizes of no meaning: every part runs, its checks hold, its files can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.speed import __main__ as suite
from benchmarks.speed.machine import Machine
from benchmarks.speed.parts import stage3
from benchmarks.speed.problem import HostRegions, problem, regions_of
from benchmarks.speed.sizes import TINY
from benchmarks.speed.work import counted


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_parts_without_processes_run_and_are_written(tmp_path: Path) -> None:
    names = ["stage3", "stage1", "classifier", "evaluator", "reading"]
    options = [word for name in names for word in ("--part", name)]
    data, page = suite.main(["--tiny", "--device", "cpu", "--out", str(tmp_path), *options])
    content = json.loads(data.read_text())
    assert content["machine"]["hardware"] and content["machine"]["torch"] == torch.__version__
    assert content["machine"]["command"].endswith("--part reading")
    assert [part["name"] for part in content["parts"]] == [
        "stage3", "stage1", "classifier", "evaluator", "gather", "overlap",
    ]  # fmt: skip
    rows = {row["way"]: row for row in content["parts"][0]["rows"]}
    assert rows[stage3.LITERAL]["ratio"] == 1
    assert all(rows[way]["sub-steps/s"] > 0 for way in (stage3.LITERAL_CACHED, stage3.OURS, stage3.EAGER))
    assert rows["ours, g cached, 2 replicas"]["sub-steps/s"] > 0
    assert rows[stage3.GRAPH]["sub-steps/s"] == "not measured: no GPU"
    text = page.read_text()
    assert page.name == data.with_suffix(".md").name and torch.__version__ in page.name
    for part in content["parts"]:
        assert f"## {part['title']}" in text


def test_the_check_finds_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal loop with another penalty is noticed before anything is timed."""
    given = problem(TINY, torch.device("cpu"))
    nets = given.program(1).initial(stage3.Streams(0))
    host = HostRegions(regions_of(TINY), given.device)
    stage3.check(given, nets, host, stage3.LiteralSCEN(given.scen, given))
    loop = stage3.LiteralStage3
    right = loop.__init__

    def wrong(self: stage3.LiteralStage3, *arguments: object) -> None:
        right(self, *arguments)  # type: ignore[arg-type]
        self.weight *= 1.01

    monkeypatch.setattr(loop, "__init__", wrong)
    with pytest.raises(AssertionError):
        stage3.check(given, nets, host, stage3.LiteralSCEN(given.scen, given))


def test_work_of_a_product() -> None:
    """2·2·3·4 operations; both operands read; operands and result moved as executed."""
    a, b = torch.ones(2, 3), torch.ones(3, 4)
    work = counted(lambda: a @ b, [a], written=5.0)
    assert work.flops == 48
    assert work.least_bytes == 4 * 6 + 5
    assert work.executed_bytes == 4 * (6 + 12 + 8)
    slow = Machine(torch.device("cpu"), copied=29.0, multiplied=24.0)
    assert work.limit(slow) == 2.0  # the operations; the bytes take one second
