"""Running suites: found again, failing, retried, stopped, left to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zslbench
from zslbench.errors import Interrupted, MissingData, SettingsError
from zslbench.experiment import Quiet, Suite, SuiteOutcome, suite_outcome
from zslbench.experiment.suites.run import Bench, Watcher, prepare as prepare_suite
from zslbench.plugin.lookup import Registry
from zslbench.report import suite_table
from zslbench.store.store import Store

LAB = '[[methods]]\nmethod = "lab"\n'
SOLID = LAB + 'variants = "solid"\n'
BOTH = LAB + SOLID
ABSENT = '[[methods]]\nmethod = "unheard-of"\n'


def prepare(suite: Suite, **more: Any) -> Bench:
    from zslbench.plugin.discovery import registry

    return prepare_suite(suite, registry(), **more)


def bench(suite: Suite, **more: Any) -> SuiteOutcome:
    return zslbench.bench(suite, **{"threads": 1, **more})


def statuses(suite: Suite, **more: Any) -> list[str]:
    return [step.status for step in prepare(suite, **{"threads": 1, **more}).cells]


def count(world: Path, what: str = "fits") -> int:
    return len((world / what).read_text("utf-8")) if (world / what).exists() else 0


def test_runs_of_other_versions_count_on_request_and_are_named(
    known: Registry, suite: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = suite(BOTH, "seeds = 2")
    old = {one.info.id for one in bench(mine).records}
    monkeypatch.setattr("zslbench.experiment.job.core_version", lambda: "0.1.0 edited")
    assert statuses(mine) == ["to run"] * 4
    assert statuses(mine, any_version=True, force=True) == ["to run"] * 4
    new = {one.info.id for one in bench(mine, methods=["lab (solid)"], seeds=1).records}
    monkeypatch.setattr("zslbench.experiment.job.core_version", lambda: "0.1.0 edited again")
    fits = count(world)
    found = bench(mine, any_version=True)
    assert count(world) == fits and len(found.records) == 4
    taken = {one.info.id for one in found.records}
    assert new < taken <= old | new  # the newest of each cell
    assert any("4 of the 4 runs" in one and "other versions" in one for one in found.remarks)
    assert statuses(mine, any_version=True, settings={"classifier.ridge": 7.0}) == ["to run", "found"] * 2


class Recorder(Watcher):
    """A watcher that records what it is called with."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, int]] = []
        self.left: list[float | None] = []
        self.ends: list[str] = []

    def started(self, step: Any, left: float | None) -> None:
        self.steps.append((step.line.label, step.selection.mode, step.seed))
        self.left.append(left)

    def ended(self, step: Any, left: float | None) -> None:
        self.ends.append(step.status)


def test_what_is_missing_is_run_and_nothing_twice(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(BOTH + ABSENT, "seeds = 2")
    watcher = Recorder()
    found = bench(mine, watcher=watcher)
    assert {key[0]: entry.state for key, entry in found.entries.items()} == {
        "lab": "done",
        "lab (solid)": "done",
        "unheard-of": "no plugin",
    }
    assert {seed: one.info.seed for seed, one in found.entries["lab", "there", "last"].records.items()} == {
        0: 0,
        1: 1,
    }
    assert found.entries["unheard-of", "there", "last"].reason == "no plugin provides method 'unheard-of'"
    # Seed by seed: a whole column is complete early.
    assert [(label, seed) for label, _, seed in watcher.steps] == [
        ("lab", 0),
        ("lab (solid)", 0),
        ("lab", 1),
        ("lab (solid)", 1),
    ]
    assert watcher.ends == ["done"] * 4
    # Nothing is known about the first; its measured cost then serves as estimate for the others.
    assert watcher.left[0] is None
    assert all(left is not None and left >= 0 for left in watcher.left[1:])
    fits = count(world)
    again = Recorder()
    assert bench(mine, watcher=again).entries.keys() == found.entries.keys()
    assert (again.steps, count(world)) == ([], fits)


def test_a_composition_is_run_tabulated_and_found_again(known: Registry, suite: Any, world: Path) -> None:
    row = '[[methods]]\nembedding = "identity"\nclassifier = "lab-solid"\nlabel = "Mine"\n'
    mine = suite(row + LAB, "seeds = 2")
    found = bench(mine)
    assert {key[0]: entry.state for key, entry in found.entries.items()} == {"Mine": "done", "lab": "done"}
    table = suite_table(found)
    assert [one.cells[0].value for one in table.rows] == ["Mine", "lab"]
    alone = zslbench.run(
        embedding="identity", classifier="lab-solid", dataset="there", seeds=2, select="last", threads=1
    )
    assert alone.found == 2
    assert [one.info.method for one in alone.records] == ["identity+none+lab-solid"] * 2
    part = mine.narrowed(methods=["mine"])
    assert statuses(part) == ["found", "found"]
    again = zslbench.bench(
        {
            "datasets": "there",
            "select": "last",
            "methods": [{"embedding": "identity", "classifier": "lab-solid"}],
        },
        threads=1,
    )
    assert [one.info.id for one in again.records] == [alone.records[0].info.id]


def test_the_figures_are_those_of_a_run_alone(known: Registry, suite: Any) -> None:
    """And a run that was computed by itself is found, though no cell knows of it."""
    alone = zslbench.run("lab", dataset="there", reading="code", seeds=[1], select="last", threads=1)
    mine = suite(LAB + 'readings = "code"\n', "seeds = 2")
    assert statuses(mine) == ["to run", "found"]
    found = bench(mine).entries["lab [code]", "there", "last"]
    assert found.records[1].info == alone.records[0].info
    assert found.records[1].metrics == alone.records[0].metrics


def test_the_store_alone_tells_the_same(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(BOTH + ABSENT, "seeds = 2")
    found = bench(mine)
    loads = count(world, "loads")
    stored = suite_outcome(mine, Store.default(), known)
    assert count(world, "loads") == loads  # no data set is opened
    assert stored.lines == found.lines
    for key, entry in found.entries.items():
        assert (stored.entries[key].state, stored.entries[key].reason) == (entry.state, entry.reason)
        assert {s: r.info.id for s, r in stored.entries[key].records.items()} == {
            s: r.info.id for s, r in entry.records.items()
        }
    assert len(found.records) == 4


def test_a_cell_that_fails_takes_no_other_with_it_and_is_remembered(
    known: Registry, suite: Any, world: Path
) -> None:
    (world / "broken").touch()
    mine = suite(BOTH, "seeds = 2")
    prepared = prepare(mine, threads=1)
    watcher = Recorder()
    found = prepared.run(watcher)
    entry = found.entries["lab", "there", "last"]
    assert (entry.state, set(entry.failures), dict(entry.records)) == ("failed", {0, 1}, {})
    place = "plugin 'lab', classifier 'lab-ridge', stage 'final/gzsl'"
    assert entry.failures[0] == f"{place}: RuntimeError: it cannot be fitted"
    assert found.entries["lab (solid)", "there", "last"].state == "done"
    assert watcher.ends == ["failed", "done", "failed", "done"]
    assert prepared.failures(found) == [
        f"lab on there, last, seed {seed}: {place}: RuntimeError: it cannot be fitted" for seed in (0, 1)
    ]
    # Repaired, but no one requested it again.
    (world / "broken").unlink()
    fits = count(world)
    assert statuses(mine) == ["failed before", "found"] * 2
    assert bench(mine).entries["lab", "there", "last"].state == "failed"
    assert bench(mine, only_missing=True).entries["lab", "there", "last"].state == "failed"
    assert count(world) == fits
    assert bench(mine, retry_failed=True).entries["lab", "there", "last"].state == "done"
    assert statuses(mine) == ["found"] * 4
    assert suite_outcome(mine, Store.default(), known).entries["lab", "there", "last"].failures == {}


def test_some_seeds_are_there(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB, "seeds = 3")
    bench(mine, seeds=1)
    (world / "broken").touch()
    entry = bench(mine, seeds=[0, 2]).entries["lab", "there", "last"]
    assert (entry.state, set(entry.records), set(entry.failures)) == ("partial", {0}, {2})
    whole = suite_outcome(mine, Store.default(), known).entries["lab", "there", "last"]
    assert (whole.state, set(whole.records), set(whole.failures)) == ("partial", {0}, {2})


def test_a_failure_on_other_data_is_no_failure_of_these(known: Registry, suite: Any, world: Path) -> None:
    (world / "broken").touch()
    mine = suite(LAB)
    bench(mine)
    (world / "broken").unlink()
    (world / "other").touch()
    assert statuses(mine) == ["to run"]


def test_figures_of_other_data_are_not_taken_for_these(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB)
    first = bench(mine).records
    (world / "other").touch()
    assert statuses(mine) == ["to run"]
    second = bench(mine).records
    assert first[0].metrics != second[0].metrics


def test_a_run_on_other_threads_is_the_same_cell(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB)
    first = bench(mine).records
    fits = count(world)
    assert statuses(mine, threads=2) == ["found"]
    assert [one.info for one in bench(mine, threads=2).records] == [one.info for one in first]
    assert count(world) == fits


def test_a_setting_makes_another_cell(known: Registry, suite: Any) -> None:
    mine = suite(LAB)
    bench(mine)
    given = {"classifier.ridge": 9.0}
    assert statuses(mine, settings=given) == ["to run"]
    (record,) = bench(mine, settings=given).records
    assert record.info.identity["settings"]["classifier"]["ridge"] == 9.0
    assert statuses(mine) == statuses(mine, settings=given) == ["found"]


def test_planning_computes_and_writes_nothing(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(BOTH + ABSENT, 'datasets = ["there", "nowhere"]\nseeds = 2')
    plan = prepare(mine, threads=1, dry_run=True)
    assert [step.status for step in plan.cells if step.dataset == "there"] == [
        "to run",
        "to run",
        "no plugin",
    ] * 2
    assert {step.status for step in plan.cells if step.dataset == "nowhere"} == {"no data", "no plugin"}
    assert count(world) == 0
    assert not Store.default().root.exists()
    assert [cell.seconds for cell in plan.pending] == [None] * 4


def test_like_runs_tell_what_it_costs(known: Registry, suite: Any) -> None:
    mine = suite(BOTH, "seeds = 3")
    ours = [one for one in bench(mine, seeds=2).records if one.info.variant is None]
    plan = prepare(mine, threads=1)
    assert len(plan.pending) == 2 and None not in [cell.seconds for cell in plan.pending]
    mean = sum(one.environment["seconds"] for one in ours) / 2
    (lab,) = [step for step in plan.pending if step.line.label == "lab"]
    assert lab.seconds == pytest.approx(mean)


def test_data_that_are_not_here(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB)
    (world / "gone").touch()
    with pytest.raises(MissingData, match="it is not here"):
        bench(mine)
    stored = suite_outcome(mine, Store.default(), known).entries["lab", "there", "last"]
    assert stored.state == "no data"
    assert "it is not here. Get it from nowhere" in stored.reason
    (world / "gone").unlink()
    assert bench(mine).entries["lab", "there", "last"].state == "done"
    (world / "gone").touch()  # taken away again: its figures stay
    assert statuses(mine) == ["found"]
    assert bench(mine).entries["lab", "there", "last"].state == "done"


def test_data_that_cannot_be_used(known: Registry, suite: Any, world: Path) -> None:
    (world / "spoilt").touch()
    mine = suite(LAB, "seeds = 2")
    entry = bench(mine).entries["lab", "there", "last"]
    assert (entry.state, set(entry.failures.values())) == ("failed", {"ValueError: spoilt"})
    assert count(world, "loads") == 1  # not once for each seed
    (world / "spoilt").unlink()
    assert bench(mine).entries["lab", "there", "last"].state == "done"  # it was never computed: no retry


def test_a_run_that_is_gone_is_missing(known: Registry, suite: Any, world: Path) -> None:
    import shutil

    mine = suite(LAB)
    (record,) = bench(mine).records
    shutil.rmtree(record.folder)
    stored = suite_outcome(mine, Store.default(), known).entries["lab", "there", "last"]
    assert (stored.state, stored.reason) == ("missing", "not run: seed 0")
    assert statuses(mine) == ["to run"]
    assert bench(mine).entries["lab", "there", "last"].state == "done"


def test_what_another_process_computes_is_left_to_it(known: Registry, suite: Any, world: Path) -> None:
    mine = suite(LAB, "seeds = 2")
    first = prepare(mine, threads=1).cells[0].run
    assert first is not None
    with Store.default().workspace(first):
        assert statuses(mine) == ["running elsewhere", "to run"]
        found = bench(mine)
    (remark,) = found.remarks
    assert remark.startswith("1 of the runs")
    entry = found.entries["lab", "there", "last"]
    assert (entry.state, set(entry.records)) == ("partial", {1})
    assert statuses(mine) == ["to run", "found"]


def test_one_that_another_process_begins_meanwhile_is_left_too(
    known: Registry, suite: Any, world: Path
) -> None:
    prepared = prepare(suite(LAB, "seeds = 2"), threads=1)
    second = prepared.cells[1].run
    assert second is not None
    watcher = Recorder()
    with Store.default().workspace(second):
        found = prepared.run(watcher)
    assert watcher.ends == ["done", "running elsewhere"]
    assert set(found.entries["lab", "there", "last"].records) == {0}


class Stopping(Quiet):
    """A display that has the run stopped after an epoch, as Ctrl-C does."""

    def observer(self, title: str) -> Any:
        import contextlib
        import os
        import signal

        from zslbench.training.loop import Silent

        class Observer(Silent):
            def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Any) -> None:
                os.kill(os.getpid(), signal.SIGINT)

        return contextlib.nullcontext(Observer())


GAN = """
[[methods]]
method = "tf-vaegan"
epochs = 2
settings.generator = { hidden = 4, per_class = 2, batch_size = 256, critic_steps = 1 }
settings.classifier.epochs = 1
"""


def test_one_that_was_stopped_goes_on(
    known: Registry, suite: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSLBENCH_CHECKPOINT_SECONDS", "0")
    mine = suite(LAB + GAN)
    with pytest.raises(Interrupted, match="1 of 2 runs"):
        bench(mine, display=Stopping())
    assert statuses(mine) == ["found", "to resume"]
    assert statuses(mine, only_missing=True) == ["found", "interrupted"]
    left = bench(mine, only_missing=True)
    assert left.entries["tf-vaegan", "there", "last"].state == "missing"
    found = bench(mine)
    (record,) = found.entries["tf-vaegan", "there", "last"].records.values()
    assert record.info.resumed
    assert statuses(mine) == ["found", "found"]


def test_ctrl_c_between_runs_is_one_line_too(known: Registry, suite: Any) -> None:
    class Impatient(Recorder):
        def ended(self, *arguments: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped after 1 of 2 runs"):
        bench(suite(LAB, "seeds = 2"), watcher=Impatient())


def test_weights_are_kept_where_the_suite_says(known: Registry, suite: Any) -> None:
    (record,) = bench(suite(LAB, "keep_weights = true")).records
    assert record.environment["weights"] == "all"
    assert record.networks()


def test_two_wishes_that_contradict(known: Registry, suite: Any) -> None:
    with pytest.raises(SettingsError, match="--only-missing leaves failed cells alone"):
        bench(suite(LAB), only_missing=True, retry_failed=True)


def test_selections_are_cells_of_their_own(known: Registry, suite: Any) -> None:
    found = bench(suite(LAB, 'select = ["val", "oracle", "last"]'))
    assert [key[2] for key in found.entries] == ["val", "oracle", "last"]
    assert [entry.records[0].info.selection for entry in found.entries.values()] == ["val", "oracle", "last"]
    assert len({one.info.id for one in found.records}) == 3


def test_a_data_set_that_a_row_leaves_out_is_an_empty_entry(known: Registry, suite: Any) -> None:
    rows = LAB + SOLID + 'datasets = "there"\n'
    outcome = bench(suite(rows, 'datasets = ["toy", "there"]\n'))
    states = {place[:2]: entry.state for place, entry in outcome.entries.items()}
    assert states["lab (solid)", "toy"] == "not applicable"
    assert {state for place, state in states.items() if place != ("lab (solid)", "toy")} == {"done"}
    table = suite_table(outcome)
    assert len(table.rows) == 2


def test_a_row_may_run_only_some_of_the_suites_seeds(known: Registry, suite: Any) -> None:
    outcome = bench(suite(LAB + SOLID + "seeds = [1]\n", "seeds = 2\n"))
    seeds = {place[0]: set(entry.records) for place, entry in outcome.entries.items()}
    assert seeds == {"lab": {0, 1}, "lab (solid)": {1}}
    narrowed = bench(suite(LAB + SOLID + "seeds = [1]\n", "seeds = 2\n"), seeds=1)
    assert {place[0]: entry.state for place, entry in narrowed.entries.items()} == {
        "lab": "done",
        "lab (solid)": "not applicable",
    }
