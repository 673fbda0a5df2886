"""What is written comes back; what is damaged is noticed; what fails leaves nothing behind."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from zslbench.errors import DataError, UnknownName, ZslbenchError
from zslbench.store import store as module
from zslbench.store.record import RunContent, RunRecord
from zslbench.store.store import RunInUse, Store
from zslbench.store.workspace import host

Make = Callable[..., RunContent]

words = st.none() | st.integers() | st.floats() | st.text()
trees = st.recursive(
    words | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def test_a_run_comes_back(store: Store, make_run: Make) -> None:
    content = make_run()
    record = store.write(content)
    found = store.find(content.info.id)
    assert found is not None and found.info == record.info == content.info
    assert found.folder == content.info.folder and found.verify() == []
    assert found.metrics == {"H": 0.25, "acc": None, "epoch": 7, "rule": "val", "none": None}
    assert (found.environment, found.data) == (content.environment, content.data)
    assert found.notes == content.notes and found.table_names == ["classes", "epochs"]
    assert found.networks()["final/critic/weight"].equal(content.networks["final/critic/weight"])
    with pytest.raises(UnknownName, match="did you mean 'epochs'"):
        found.table("epoch")


# Facts of the environment that have a type of their own; others may be anything.
TYPED = {"reading", "seconds", "group", "weights", "chosen", "stages", "tuned"}
names = st.text().filter(lambda name: name not in TYPED)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metrics=st.dictionaries(st.text(), words), environment=st.dictionaries(names, trees))
def test_any_metrics_and_environment_come_back(
    store: Store, make_run: Make, metrics: dict[str, Any], environment: dict[str, Any]
) -> None:
    changes = {"metrics": metrics, "environment": environment, "tables": {}, "networks": {}}
    record = store.write(make_run(**changes), replace=True)
    assert record.metrics == finite(metrics) and record.environment == finite(environment)
    assert repr(record.metrics) == repr(finite(metrics))
    assert record.networks() == {}


def test_tables_keep_their_types(store: Store, make_run: Make) -> None:
    table = pd.DataFrame(
        {
            "f32": np.float32([0.1, np.nan]),
            "f64": [0.1, -0.0],
            "u8": np.uint8([0, 255]),
            "i64": np.int64([-(2**63), 2**63 - 1]),
            "bool": [True, False],
            "text": ["Käfer", ""],
            "category": pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True),
            "maybe": pd.array([1, None], dtype="Int32"),
        }
    )
    record = store.write(
        make_run(tables={"all-types": table, "none": table.iloc[:0].drop(columns="category")})
    )
    pd.testing.assert_frame_equal(record.table("all-types"), table, check_exact=True)
    pd.testing.assert_frame_equal(record.table("none"), table.iloc[:0].drop(columns="category"))


def test_odd_environment_is_kept_as_text_rather_than_lost(store: Store, make_run: Make) -> None:
    odd = {"path": Path("a/b"), "array": np.arange(2), "scalar": np.float32(0.5), 3: {"dtype": torch.float32}}
    record = store.write(make_run(environment=odd))
    assert record.environment["array"] == [0, 1] and record.environment["scalar"] == 0.5
    assert (
        record.environment["path"] == str(Path("a/b")) and record.environment["3"]["dtype"] == "torch.float32"
    )


def test_the_first_result_stays_unless_replaced(store: Store, make_run: Make) -> None:
    store.write(make_run(metrics={"H": 1}))
    assert store.write(make_run(metrics={"H": 2})).metrics == {"H": 1}
    early = store.find("0123456789abcdef")
    assert store.write(make_run(metrics={"H": 3}, tables={}), replace=True).metrics == {"H": 3}
    (record,) = store.records()
    assert record.metrics == {"H": 3} and not list((store.root / "tmp").iterdir())
    assert early is not None and early.verify() == [] and len(early.table("epochs")) == 3


def test_a_replaced_run_goes_an_hour_later_with_the_next_write(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        store.write(make_run(metrics={"H": number}), replace=True)
    early = RunRecord(store.runs / "0123456789abcdef")
    places = [early.folder, *(store.root / "reruns" / early.info.id / number for number in "23")]
    monkeypatch.setattr("zslbench.store.generations.GRACE", 0.5)
    store.write(make_run("another"))
    assert [RunRecord(place).metrics["H"] for place in places] == [0, 1, 2]
    time.sleep(0.6)
    Store(store.root).prepare()
    assert [place.exists() for place in places] == [False, False, True]
    assert [one.metrics["H"] for one in store.records()] == [2, 0.25]
    with pytest.raises(DataError, match=r"replaced or removed.*Open it again"):
        early.table("epochs")
    store.write(make_run(metrics={"H": 3}), replace=True)  # numbers are never used twice
    assert [path.name for path in sorted(places[1].parent.iterdir())] == ["3", "4"]


def test_a_sound_generation_stays_where_the_newer_one_is_not_whole(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, newest = (store.write(make_run(metrics={"H": number}), replace=True) for number in range(2))
    (newest.folder / "epochs.parquet").unlink()  # run.json is sound
    monkeypatch.setattr("zslbench.store.generations.GRACE", -1)
    store.prepare()
    assert early.folder.exists() and early.verify() == [] and newest.verify() != []
    store.write(make_run(metrics={"H": 2}), replace=True)
    store.prepare()
    assert not early.folder.exists() and [one.metrics["H"] for one in store.records()] == [2]


def test_a_write_opens_no_generations_of_other_runs_that_must_stay(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        for _ in range(2):
            store.write(make_run(name), replace=True)
    opened: set[str] = set()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.add(str(path)), read(path))[1])
    store.write(make_run("c"))
    assert opened == {str(store.runs / "c" / "run.json")}


def test_where_the_newest_generation_is_damaged_the_one_before_is_the_run(
    store: Store, make_run: Make, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        newest = store.write(make_run(metrics={"H": number}), replace=True)
    (newest.folder / "run.json").write_text("{}")
    assert [one.metrics["H"] for one in (*store.records(), store.resolve("0"))] == [0, 0]
    assert caplog.text.count(str(newest.folder)) == 1
    store.write(make_run("another"))  # nothing newer is complete, so it stays where the warning says
    assert newest.folder.exists()
    assert store.write(make_run(metrics={"H": 2}), replace=True).metrics == {"H": 2}
    assert [path.name.split(".")[0] for path in (store.root / "damaged").iterdir()] == [newest.info.id]
    assert len(store.records()) == 2


def test_records_are_in_order_and_read_one_small_file_each(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.records() == [] and store.find("a") is None and store.unfinished() == []
    for name in ("c", "a", "b"):
        store.write(make_run(name, tables={}, networks={}))
    for i in range(500):  # Copies under other names are foreign: each holds the run "a".
        shutil.copytree(store.runs / "a", store.runs / f"copy{i}")
    opened: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path.name), read(path))[1])
    begin = time.perf_counter()
    assert [one.info.id for one in store.records()] == ["c", "a", "b"]
    assert time.perf_counter() - begin < 5
    assert opened == ["run.json"] * 503


def test_damaged_and_foreign_folders_are_named_and_skipped(
    store: Store, make_run: Make, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("good", "edited", "empty", "moved"):
        store.write(make_run(name))
    run = store.runs / "edited" / "run.json"
    run.write_text(run.read_text().replace("0.25", "0.95"))
    (store.runs / "empty" / "run.json").unlink()
    (store.runs / "moved").rename(store.runs / "elsewhere")
    (store.runs / "notes.txt").write_text("mine")
    assert [one.info.id for one in store.records()] == ["good"]
    for name in ("edited", "empty", "elsewhere", "notes.txt"):
        assert str(store.runs / name) in caplog.text
    assert store.find("edited") is None
    with pytest.raises(DataError, match="damaged"):
        store.resolve("edit")
    # Computing it again sets the damaged folder aside and succeeds.
    assert store.write(make_run("edited")).verify() == []
    assert [path.name.split(".")[0] for path in (store.root / "damaged").iterdir()] == ["edited"]


def test_a_flipped_bit_in_any_file_is_noticed(store: Store, make_run: Make) -> None:
    record = store.write(make_run())
    for path in sorted(record.folder.iterdir()):
        data = path.read_bytes()
        for position in range(0, len(data), max(1, len(data) // 40)):
            path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
            (fault,) = record.verify()
            assert fault.startswith(f"{path.name}: ")
            if path.suffix == ".json":
                assert store.find(record.info.id) is None
            else:
                with pytest.raises(DataError, match=f"{path.name}: damaged"):
                    record.networks() if path.suffix == ".safetensors" else record.table(path.stem)
        path.write_bytes(data)
    (record.folder / "classes.parquet").unlink()
    (record.folder / "extra").touch()
    assert record.verify() == ["classes.parquet: missing", "extra: not a file of this run"]


def test_resolve_by_prefix(store: Store, make_run: Make) -> None:
    for name in ("abc1", "abd2", "abd", "f00d"):
        store.write(make_run(name, tables={}, networks={}, seed=len(name)))
    assert store.resolve("f").info.id == "f00d" and store.resolve("abd").info.id == "abd"
    with pytest.raises(UnknownName, match=r"'ab' is ambiguous.*abc1 \(eszsl on toy, seed 4\), abd .*, abd2 "):
        store.resolve("ab")
    with pytest.raises(UnknownName, match=r"no run 'abc2' in .*did you mean .*'abc1'"):
        store.resolve("abc2")
    for bad in ("", "../runs/abd", "*"):
        with pytest.raises(UnknownName):
            store.resolve(bad)
        assert store.find(bad) is None


@pytest.mark.parametrize("replace", [False, True])
def test_a_disk_that_fails_at_any_call_leaves_the_store_as_it_was(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    """The k-th write to the disk fails, for every k until none does."""
    store.write(make_run(metrics={"H": 1}) if replace else make_run("another"))
    calls = 0

    def failing(real: Callable[..., Any], number: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if "rb" in (*arguments, *options.values()):
                return real(*arguments, **options)
            calls += 1
            if calls == number:
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return call

    failed = 0
    for number in range(1, 100):
        calls = 0
        with monkeypatch.context() as patched:
            for where, name in ((os, "fsync"), (os, "rename"), (os, "mkdir"), (Path, "open")):
                patched.setattr(where, name, failing(getattr(where, name), number))
            try:
                store.write(make_run(metrics={"H": 2}), replace=replace)
            except ZslbenchError as error:
                failed += 1
                assert str(store.root) in str(error) and "No space left" in str(error)
                assert "\n" not in str(error) and "--store" in str(error)
        if calls < number:
            break
        # The old run or the new one, in whole; the new one where only the last fsync or a clean-up failed.
        record = store.find("0123456789abcdef")
        allowed = ({"H": 1}, {"H": 2}) if replace else (None, {"H": 2})
        assert (record and record.metrics) in allowed and (record is None or record.verify() == [])
        assert [path for path in (store.root / "tmp").iterdir() if path.is_dir()] == []
        if replace:
            store.write(make_run(metrics={"H": 1}), replace=True)
        elif record is not None:
            shutil.rmtree(record.folder)
    assert failed >= 10 and number < 99


def test_a_store_that_cannot_be_made_is_one_clear_line(tmp_path: Path, make_run: Make) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    for act in (lambda: store.write(make_run()), lambda: store.workspace("a").__enter__()):
        with pytest.raises(ZslbenchError, match=r"file.*cannot write the run store.*--store") as error:
            act()
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="run id"):
        store.write(make_run("../a"))


def test_leftovers_of_dead_writers_go_and_living_ones_stay(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(make_run("first"))
    tmp = store.root / "tmp"
    for name in (f"a.{host()}.1", "b.elsewhere.2", "c.elsewhere.3"):
        (tmp / name / "new").mkdir(parents=True)
    yesterday = time.time() - 25 * 3600
    for path in (tmp / "c.elsewhere.3" / "new", tmp / "c.elsewhere.3"):
        os.utime(path, (yesterday, yesterday))
    Store(store.root).write(make_run("second"))  # within a minute: it does not look
    assert len([path for path in tmp.iterdir() if path.is_dir()]) == 3
    monkeypatch.setattr(module, "SWEEP", 0.0)
    store.write(make_run("third"))
    assert [path.name for path in tmp.iterdir() if path.is_dir()] == ["b.elsewhere.2"]


def test_a_workspace_is_kept_by_an_interruption_and_removed_by_success(store: Store, make_run: Make) -> None:
    with pytest.raises(KeyboardInterrupt), store.workspace("run") as folder:
        store.describe(folder, {"method": "eszsl", "where": Path("x")})
        raise KeyboardInterrupt
    (left,) = store.unfinished()
    assert (left.id, left.info, left.running) == ("run", {"method": "eszsl", "where": "x"}, False)
    assert abs(left.when.timestamp() - time.time()) < 60
    with store.workspace("run") as again:
        assert again == folder and (again / "info.json").exists()
    assert not folder.exists() and store.unfinished() == []
    # A hook that fails after the run was written does not make it unfinished.
    with pytest.raises(RuntimeError), store.workspace("run") as folder:
        store.write(make_run("run"))
        raise RuntimeError
    assert store.unfinished() == [] and store.find("run") is not None
    assert store.begun() == frozenset()


def test_a_store_has_what_it_finds(store: Store, make_run: Make) -> None:
    assert not store.has("a") and store.ids() == frozenset()
    for run in ("a", "edited", "cut", "copied"):
        store.write(make_run(run))
    edited, cut = (store.runs / name / "run.json" for name in ("edited", "cut"))
    edited.write_bytes(edited.read_bytes().replace(b"metrics", b"Metrics"))
    cut.write_bytes(cut.read_bytes()[:-1])
    shutil.copytree(store.runs / "copied", store.runs / "under-another-name")
    assert store.ids() == {"a", "edited", "cut", "copied", "under-another-name"}
    assert {run for run in store.ids() if store.has(run)} == {"a", "copied"}
    assert {run for run in store.ids() if store.find(run) is not None} == {"a", "copied"}
    store.write(make_run("cut"), replace=True)  # its newest generation is whole
    assert store.has("cut")


def test_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "env"))
    assert Store.default(None).root == tmp_path / "env"
    assert Store.default(tmp_path / "option").root == tmp_path / "option"
    monkeypatch.delenv("ZSLBENCH_STORE")
    assert Store.default().root.parts[-2:] == ("zslbench", "store")


def test_listing_runs_imports_nothing_heavy(store: Store, make_run: Make) -> None:
    store.write(make_run())
    code = (
        "import sys; from zslbench.store.store import Store; s = Store(sys.argv[1]); "
        "assert len(s.records()) == 1 and s.resolve('0').metrics; "
        "print([m for m in ('torch', 'pandas', 'pyarrow', 'numpy', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store.root], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_removed_run_is_gone_and_can_be_computed_again(store: Store, make_run: Make) -> None:
    for number in range(2):
        record = store.write(make_run(metrics={"H": number}), replace=True)
    other, run = store.write(make_run("another")), record.info.id
    assert store.remove(run)
    assert [one.info.id for one in store.records()] == ["another"]
    assert store.find(run) is None and not store.has(run) and not record.folder.exists()
    with pytest.raises(UnknownName):
        store.resolve(run)
    assert not store.remove(run) and other.verify() == []
    assert store.write(make_run(metrics={"H": 7})).metrics == {"H": 7}
    assert store.has(run) and store.resolve(run).metrics == {"H": 7} and len(store.records()) == 2


def test_no_trace_of_a_removed_run_stays(store: Store, make_run: Make) -> None:
    for name in ("gone", "again", "again"):
        store.write(make_run(name), replace=True)
    for name in ("gone", "again"):
        store.remove(name)
    (store.root / "reruns" / "killed").mkdir()  # by a removal that was killed
    store.write(make_run("again"))
    store.prepare()
    assert not [*store.root.glob("reruns/*"), *store.root.glob("damaged/*"), *store.root.glob("tmp/*")]
    assert store.ids() == {"again"}


def test_a_run_whose_removal_fails_is_still_whole(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest generation goes last."""
    for number in range(3):
        record = store.write(make_run(metrics={"H": number}), replace=True)
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self == record.folder:
            raise PermissionError(13, "not yours", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(ZslbenchError):
        store.remove(record.info.id)
    assert [one.metrics["H"] for one in store.records()] == [2]
    assert store.find(record.info.id) is not None and record.verify() == []


def test_a_generation_that_another_process_moves_meanwhile_does_not_stop_a_removal(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.write(make_run()).info.id
    store.write(make_run(), replace=True)
    rename, moved = Path.rename, []

    def late(self: Path, target: Path) -> Path:
        if self == store.runs / run or self.parent.name == run:  # an older generation
            shutil.rmtree(self)
            moved.append(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert store.remove(run)
    assert len(moved) == 2 and store.find(run) is None and not store.remove(run)


def test_a_run_that_is_being_computed_is_not_removed(store: Store, make_run: Make) -> None:
    run = store.write(make_run()).info.id
    with store.workspace(run) as folder:
        (folder / "checkpoint").touch()
        with pytest.raises(RunInUse):
            Store(store.root).remove(run)
        assert store.find(run) is not None and (folder / "checkpoint").exists()
    assert store.remove(run)


def test_removing_an_interrupted_run_removes_its_checkpoints(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.workspace("begun") as folder:
        (folder / "checkpoint").touch()
        raise KeyboardInterrupt
    assert store.resolve_id("beg") == "begun" and store.has_begun("begun")
    assert store.remove("begun") and not store.has_begun("begun") and store.unfinished() == []
    assert store.begun() == frozenset()


def test_a_damaged_run_can_be_removed(store: Store, make_run: Make) -> None:
    record = store.write(make_run())
    (record.folder / "run.json").write_text("{}")
    assert store.resolve_id("0123") == record.info.id and store.remove(record.info.id)
    assert not record.folder.exists() and store.records() == []
