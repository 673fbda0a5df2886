"""The speed suite at meaningless sizes: every part runs, its checks hold, its files can be read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.common import interleaved
from benchmarks.speed import __main__ as suite, stages
from benchmarks.speed.machine import TINY, Machine
from benchmarks.speed.measuring import OUT_OF_TIME, Part, Way, Work, counted, rates
from benchmarks.speed.problem import on_the_host, problem, regions_of
from zslbench.training.iteration import initial_networks


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_parts_without_processes_run_and_are_written(tmp_path: Path) -> None:
    names = ["stage3", "stage1", "evaluator"]
    options = [word for name in names for word in ("--part", name)]
    data, page = suite.main(["--tiny", "--device", "cpu", "--out", str(tmp_path), *options])
    content = json.loads(data.read_text())
    assert content["machine"]["hardware"] and content["machine"]["torch"] == torch.__version__
    assert content["machine"]["command"].endswith("--part evaluator")
    assert [part["name"] for part in content["parts"]] == names
    rows = {row["way"]: row for row in content["parts"][0]["rows"]}
    assert rows[stages.LITERAL]["ratio"] == 1
    assert all(rows[way]["sub-steps/s"] > 0 for way in (stages.LITERAL_CACHED, stages.OURS))
    assert rows["ours, g cached, 2 replicas"]["sub-steps/s"] > 0
    assert rows[stages.GRAPH]["sub-steps/s"] == "not measured: no GPU"
    text = page.read_text()
    assert page.name == data.with_suffix(".md").name and torch.__version__ in page.name
    for part in content["parts"]:
        assert f"## {part['title']}" in text


def test_the_check_finds_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal loop with another penalty is detected before anything is timed."""
    given = problem(TINY, torch.device("cpu"))
    nets = initial_networks(given.program, stages.Streams(0))
    maps = on_the_host(regions_of(TINY), given.device)
    stages.check(given, nets, maps, stages.LiteralSCEN(given.scen, given))
    loop = stages.LiteralStage3
    right = loop.__init__

    def wrong(self: stages.LiteralStage3, *arguments: object) -> None:
        right(self, *arguments)  # type: ignore[arg-type]
        self.weight *= 1.01

    monkeypatch.setattr(loop, "__init__", wrong)
    with pytest.raises(AssertionError):
        stages.check(given, nets, maps, stages.LiteralSCEN(given.scen, given))


def test_a_failed_part_leaves_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are written after each part, so that nothing measured before is lost."""

    def broken(machine: Machine, sizes: object) -> Part:
        raise RuntimeError("an illegal memory access\nwas met")

    def following(machine: Machine, sizes: object) -> Part:
        (page,) = tmp_path.glob("*.md")
        assert "failed: RuntimeError: an illegal memory access" in page.read_text()
        return Part("startup", "Start-up", "measured")

    monkeypatch.setitem(suite.PARTS, "stage3", broken)
    monkeypatch.setitem(suite.PARTS, "startup", following)
    options = ["--tiny", "--device", "cpu", "--out", str(tmp_path), "--part", "stage3", "--part", "startup"]
    with pytest.raises(SystemExit, match="failed: stage3"):
        suite.main(options)
    parts = json.loads(next(tmp_path.glob("*.json")).read_text())["parts"]
    assert [(one["name"], one["failed"]) for one in parts] == [("stage3", True), ("startup", False)]


def test_parts_share_the_budget_and_say_when_it_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, float] = {}

    def noting(name: str) -> Any:
        def measure(machine: Machine, sizes: object) -> Part:
            given[name] = machine.deadline - time.monotonic()
            return Part(name, name, "")

        return measure

    for name in suite.PARTS:
        monkeypatch.setitem(suite.PARTS, name, noting(name))
    monkeypatch.setattr(
        suite.machines, "measured", lambda device, sizes: Machine(device, 1.0, {"float32": 1.0})
    )
    options = ["--tiny", "--device", "cpu", "--out", str(tmp_path)]
    suite.main([*options, "--budget", "1000"])
    total = sum(suite.SHARES.get(name, 1.0) for name in suite.PARTS)
    assert given["stage3"] == pytest.approx(1000 * 3 / total, abs=20)
    assert given["whole"] == pytest.approx(1000, abs=40)  # the time that the others did not need
    suite.main(options)
    assert given["whole"] == float("inf")
    data, _ = suite.main([*options, "--budget", "1e-9"])
    assert {part["about"] for part in json.loads(data.read_text())["parts"]} == {OUT_OF_TIME}


def test_no_call_is_started_after_the_deadline() -> None:
    clock = Machine(torch.device("cpu"), 1.0, {"float32": 1.0})
    calls: list[bool] = []

    def slow() -> None:
        calls.append(True)
        if len(calls) == 3:  # its first call and two turns
            object.__setattr__(clock, "deadline", -1.0)

    times = interleaved({"first": slow, "second": lambda: None}, 5, is_late=clock.is_late)
    assert [len(times[name].seconds) for name in ("first", "second")] == [2, 2]
    none = clock.interleaved({"first": slow, "second": slow}, 5)
    ways = {name: Way(slow, 1, Work(1, 1)) for name in ("first", "second")}
    with pytest.raises(TimeoutError):
        rates(ways, none, "calls", clock)
    half = {"first": times["first"], "second": none["second"]}
    rows = rates(ways, half, "calls", clock)
    assert [rows[0]["ratio"], rows[1]["calls/s"]] == [1, OUT_OF_TIME]


def test_work_of_a_product() -> None:
    """2·2·3·4 operations; the given operand is read."""
    a, b = torch.ones(2, 3), torch.ones(3, 4)
    work = counted(lambda: a @ b, [a], written=5.0)
    assert work.flops == 48
    assert work.least_bytes == 4 * 6 + 5
    slow = Machine(torch.device("cpu"), copied=29.0, products={"float32": 24.0})
    assert work.limit(slow) == 2.0  # the operations; the bytes take one second
