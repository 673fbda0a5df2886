"""Runs travel in an archive unchanged, and nothing else gets into a store that way."""

from __future__ import annotations

import contextlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from records import IDENTITY, run_content

from zslbench.errors import DataError, ZslbenchError
from zslbench.store import RunContent, RunInfo, RunRecord, Store, checked_json, run_id
from zslbench_runs import archive
from zslbench_runs.archive import export_runs, import_runs

Make = Callable[..., RunContent]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make(store: Store) -> Make:
    """Runs whose ids are those of their identities."""

    def build(seed: int = 0, **changes: Any) -> RunContent:
        identity = {
            **IDENTITY,
            "method": "eszsl",
            "variant": None,
            "components": {"dataset": "toy"},
            "selection": {"mode": "val"},
            "seed": seed,
        }
        content = run_content(store, **changes)
        named = {**vars(content.info), "id": run_id(identity), "identity": identity, "seed": seed}
        return RunContent(**{**vars(content), "info": RunInfo(**named)})

    return build


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


@pytest.fixture
def packed(store: Store, make: Make, tmp_path: Path) -> Path:
    records = [store.write(make(seed)) for seed in range(2)]
    export_runs(records, tmp_path / "runs.zip")
    return tmp_path / "runs.zip"


def repacked(path: Path, change: Callable[[dict[ZipInfo, bytes]], None]) -> Path:
    """A copy with changed members."""
    with ZipFile(path) as old:
        members = {one: old.read(one) for one in old.infolist()}
    change(members)
    with ZipFile(path.with_name("changed.zip"), "w") as new:
        for member, data in members.items():
            new.writestr(member, data)
    return path.with_name("changed.zip")


def contents(store: Store) -> dict[str, dict[str, bytes]]:
    return {
        one.info.id: {file.name: file.read_bytes() for file in one.folder.iterdir()}
        for one in store.records()
    }


def is_empty(store: Store) -> bool:
    return not store.records() and not [one for one in (store.root / "tmp").glob("*") if one.is_dir()]


def test_runs_arrive_byte_for_byte_and_once(store: Store, other: Store, packed: Path) -> None:
    assert len(import_runs(packed, other).added) == 2
    assert contents(other) == contents(store)
    again = import_runs(packed, other)
    assert (again.added, len(again.equal), again.differing) == ([], 2, [])
    assert contents(other) == contents(store)


def test_an_archive_of_figures_has_every_record_and_no_table(
    store: Store, other: Store, packed: Path, tmp_path: Path
) -> None:
    size = export_runs(store.records(), tmp_path / "figures.zip", figures=True)
    with ZipFile(tmp_path / "figures.zip") as opened:
        assert {name.rpartition("/")[2] for name in opened.namelist()} == {"run.json", "figures-only"}
    assert size < packed.stat().st_size
    assert len(import_runs(tmp_path / "figures.zip", other).added) == 2
    for mine, theirs in zip(store.records(), other.records(), strict=True):
        assert theirs.same_results(mine) and theirs.metrics == mine.metrics
        assert theirs.figures_only and theirs.verify() == []
        with pytest.raises(DataError, match="left out"):
            theirs.table("epochs")
    export_runs(other.records(), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "figures.zip").read_bytes()


def test_tables_are_added_to_runs_that_came_as_figures(
    store: Store, other: Store, packed: Path, tmp_path: Path
) -> None:
    export_runs(store.records(), tmp_path / "figures.zip", figures=True)
    import_runs(tmp_path / "figures.zip", other)
    assert len(import_runs(packed, other).added) == 2
    assert contents(other) == contents(store)
    assert len(import_runs(tmp_path / "figures.zip", other).equal) == 2  # and they stay
    assert contents(other) == contents(store)


def test_tables_of_a_run_with_figures_only_are_verified(store: Store, packed: Path) -> None:
    record = store.records()[0]
    (record.folder / "figures-only").touch()
    (record.folder / "epochs.parquet").write_bytes(b"other")
    opened = RunRecord(record.folder)
    assert len(opened.verify()) == 1
    (record.folder / "run.json").unlink()
    assert len(opened.verify()) == 2


def test_the_same_runs_make_the_same_archive(store: Store, packed: Path, tmp_path: Path) -> None:
    export_runs(store.records()[::-1], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_other_results_of_the_same_run_are_reported_and_change_nothing(
    other: Store, packed: Path, make: Make
) -> None:
    mine = other.write(make(1, metrics={"H": 0.5}))
    before = contents(other)[mine.info.id]
    done = import_runs(packed, other)
    assert [one.info.seed for one in done.added] == [0]
    ((there, theirs),) = done.differing
    assert (there.metrics["H"], theirs["H"]) == (0.5, 0.25)
    assert contents(other)[mine.info.id] == before


def test_a_run_computed_twice_with_equal_results_is_equal(other: Store, packed: Path, make: Make) -> None:
    other.write(make(1, environment={"device": "another"}))
    assert len(import_runs(packed, other).equal) == 1


def test_an_archive_replaces_a_damaged_run(other: Store, packed: Path, make: Make) -> None:
    damaged = other.write(make(1))
    (damaged.folder / "run.json").write_text("{}")
    assert len(import_runs(packed, other).added) == 2
    assert len(other.records()) == 2


def add(name: str, mode: int = stat.S_IFREG | 0o644, data: bytes = b"x") -> Any:
    def change(members: dict[ZipInfo, bytes]) -> None:
        member = ZipInfo(name)
        member.external_attr = mode << 16
        members[member] = data

    return change


def bomb(members: dict[ZipInfo, bytes]) -> None:
    member = ZipInfo("runs/0123456789abcdef/zeros.parquet")
    member.compress_type = ZIP_DEFLATED
    members[member] = bytes(8 << 20)


def forged(**changes: Any) -> Any:
    """A change of a run's metadata, with its checksum made anew."""

    def change(members: dict[ZipInfo, bytes]) -> None:
        member = next(one for one in members if one.filename.endswith("run.json"))
        content = json.loads(members[member])
        del content["sha256"]
        for path, value in changes.items():
            *where, last = path.split("__")
            place = content
            for name in where:
                place = place[name]
            place[last] = value
        members[member] = checked_json(content)

    return change


def edited(members: dict[ZipInfo, bytes]) -> None:
    member = next(one for one in members if one.filename.endswith("run.json"))
    members[member] = members[member].replace(b"0.25", b"0.95")


def swapped_table(members: dict[ZipInfo, bytes]) -> None:
    epochs, classes = (
        next(one for one in members if one.filename.endswith(f"{name}.parquet"))
        for name in ("epochs", "classes")
    )
    members[epochs], members[classes] = members[classes], members[epochs]


def without_table(members: dict[ZipInfo, bytes]) -> None:
    del members[next(one for one in members if one.filename.endswith("epochs.parquet"))]


def renamed(members: dict[ZipInfo, bytes]) -> None:
    run = next(iter(members)).filename.split("/")[1]
    for one in members:
        one.filename = one.filename.replace(run, "0" * 16)


RUN = "runs/0123456789abcdef"


@pytest.mark.parametrize(
    "change",
    [
        add("../outside"),
        add("/etc/outside"),
        add("runs/../outside"),
        add(f"{RUN}/../../outside.parquet"),
        add("runs\\..\\outside"),
        add(f"{RUN}/run.json/x"),
        add(f"{RUN}/script.py"),
        add(f"{RUN}/epochs.parquet"),  # without run.json
        add(f"{RUN}/epochs.parquet", stat.S_IFLNK | 0o777, b"/etc/passwd"),
        add(f"{RUN}/run.json", data=b"[" * 100_000),
        add(f"{RUN}/run.json", data=b"\xff\x00"),
        bomb,
        edited,
        swapped_table,
        without_table,
        renamed,
        forged(run__id="f" * 16),
        forged(run__seed=7),
        forged(run__identity__seed=7),
        forged(run__dataset="cub"),
        forged(run__selection="last"),
        forged(run__method="another"),
        forged(run__reading="paper"),
        forged(files={}),
        forged(files={"../x.parquet": "0" * 64}),
        forged(format=2),
    ],
)
def test_a_hostile_archive_leaves_nothing(
    other: Store, packed: Path, change: Callable[[dict[ZipInfo, bytes]], None], tmp_path: Path
) -> None:
    changed = repacked(packed, change)
    with pytest.raises(DataError) as error:
        import_runs(changed, other)
    assert error.value.where == str(changed) and is_empty(other)
    assert not list(tmp_path.rglob("*outside*"))


def test_members_that_repeat_are_refused(other: Store, packed: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), ZipFile(packed, "a") as file:
        file.writestr(file.infolist()[0].filename, b"other")
    with pytest.raises(DataError, match="twice"):
        import_runs(packed, other)
    assert is_empty(other)


def test_no_archive_larger_than_the_disk_is_unpacked(
    other: Store, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match="1,000 free"):
        import_runs(packed, other)
    assert is_empty(other)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"x" * 1000])
def test_what_is_no_archive_is_named(other: Store, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.zip"):
        import_runs(tmp_path / "x.zip", other)
    with pytest.raises(DataError, match="no such file"):
        import_runs(tmp_path / "y.zip", other)


def test_damaged_bytes_are_noticed_wherever_they_are(other: Store, packed: Path) -> None:
    whole = packed.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(ZslbenchError):
            import_runs(packed, other)
        assert all(one.verify() == [] for one in other.records())
        assert not [one for one in (other.root / "tmp").iterdir() if one.is_dir()]


def test_an_interrupted_import_leaves_whole_runs_and_goes_on(
    other: Store, packed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run, calls = Store.add, []

    def interrupted(self: Store, folder: Path, run: str) -> bool:
        if calls:
            raise KeyboardInterrupt
        calls.append(run)
        return add_run(self, folder, run)

    monkeypatch.setattr(Store, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_runs(packed, other)
    assert [one.verify() for one in other.records()] == [[]]
    monkeypatch.undo()
    assert len(import_runs(packed, other).added) == 1 and contents(other) == contents(store)


def test_only_whole_runs_are_exported_and_no_file_is_overwritten(
    store: Store, make: Make, tmp_path: Path
) -> None:
    record = store.write(make())
    (tmp_path / "there.zip").write_text("mine")
    with pytest.raises(ZslbenchError, match="exists"):
        export_runs([record], tmp_path / "there.zip")
    with pytest.raises(ZslbenchError, match="cannot be written"):
        export_runs([record], tmp_path / "nowhere" / "x.zip")
    (record.folder / "epochs.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match=r"epochs\.parquet"):
        export_runs([RunRecord(record.folder)], tmp_path / "new.zip")
    assert sorted(one.name for one in tmp_path.glob("*.zip*")) == ["there.zip"]
    assert not list(tmp_path.glob(".*"))


def test_archives_are_ordinary_zip_files(packed: Path) -> None:
    with zipfile.ZipFile(packed) as found:
        assert found.testzip() is None
        assert {one.split("/")[2] for one in found.namelist()} == {
            "run.json",
            "classes.parquet",
            "epochs.parquet",
            "networks.safetensors",
        }
