"""``zslbench doctor`` finds what is wrong, says what to do, and gives nothing away."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from zslbench.cli import cli
from zslbench.store import Store
from zslbench.testing.fakes import FakeEntryPoint, fake_record, registry_with, using_registry
from zslbench_doctor import checks

Row = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "home" / "store"))
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "home" / "data"))
    monkeypatch.setenv("ZSLBENCH_TRACK", "mlflow=https://me:hunter2@somewhere")
    monkeypatch.setattr(checks.shutil, "which", lambda _: None)
    (tmp_path / "home" / "data" / "CUB").mkdir(parents=True)
    (tmp_path / "home" / "data" / "CUB" / "att_splits.mat").touch()
    return tmp_path / "home"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


def rows(code: int = 0) -> dict[str, Row]:
    result = call("--format", "json")
    assert result.exit_code == code, result.output
    return {f"{row['about']} {row['name']}": row for row in json.loads(result.stdout)}


def faults(found: dict[str, Row]) -> list[str]:
    assert all(row["advice"] or row["about"] == "store" for row in found.values() if row["fault"])
    return [name for name, row in found.items() if row["fault"]]


def test_a_sound_machine_has_no_faults(home: Path) -> None:
    for seed in range(2):
        fake_record(Store(home / "store"), seed=seed)
    found = rows()
    assert faults(found) == []
    assert found["versions torch"]["value"] == version("torch")
    assert found["torch build"]["value"].startswith(torch.__version__)
    assert found["data data sets"]["value"] == "cub"
    assert found["store runs"]["value"].startswith("2 finished")
    assert "versions ruff" not in found


def test_the_output_can_be_pasted(home: Path) -> None:
    for arguments in ((), ("--format", "json")):
        result = call(*arguments)
        assert str(home) not in result.output and "~/data" in result.stdout
        assert "ZSLBENCH_TRACK" in result.stdout and "hunter2" not in result.output


def test_nothing_is_created(home: Path) -> None:
    before = sorted(home.rglob("*"))
    assert call().exit_code == 0
    assert sorted(home.rglob("*")) == before


def test_home_is_replaced_as_a_whole_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert checks.without_home("/home/ann/x, /home/ann: /home/anna/y") == "~/x, ~: /home/anna/y"
    monkeypatch.setenv("HOME", "/")
    assert checks.without_home("/data") == "/data"


def broken_data(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ZSLBENCH_DATA", str(home / "nowhere"))


def unwritable(home: Path, patch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    patch.setenv("ZSLBENCH_STORE", str(home / "file" / "store"))


def full_disk(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))


def damaged_run(home: Path, patch: pytest.MonkeyPatch) -> None:
    record = fake_record(Store(home / "store"))
    (record.folder / "run.json").write_text("{}")


def hidden_locks(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("zslbench.store.mounts._mount_of", lambda *_: ("nfs4", ["rw", "nolock"]))


def missing_package(home: Path, patch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> str:
        if name == "h5py":
            raise checks.PackageNotFoundError(name)
        return "0.0.1" if name == "rich" else version(name)

    patch.setattr(checks, "version", lacking)


def hidden_gpu(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    patch.setattr(torch.cuda, "device_count", lambda: 0)


def odd_gpu(home: Path, patch: pytest.MonkeyPatch) -> None:
    facts = types.SimpleNamespace(name="Odd", total_memory=8e9, major=3, minor=0)
    patch.setattr(torch.cuda, "device_count", lambda: 1)
    patch.setattr(torch.cuda, "get_device_properties", lambda _: facts)

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no kernel image is available\nmore")

    patch.setattr(torch, "ones", fails)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (broken_data, ["data root"]),
        (unwritable, ["store writable"]),
        (full_disk, ["store free space"]),
        (damaged_run, ["store run"]),
        (hidden_locks, ["store locks"]),
        (missing_package, ["versions h5py", "versions rich"]),
        (hidden_gpu, ["torch GPUs"]),
        (odd_gpu, ["torch cuda:0"]),
    ],
)
def test_each_fault_is_found(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path, pytest.MonkeyPatch], None],
    expected: list[str],
) -> None:
    damage(home, monkeypatch)
    assert faults(rows(code=1)) == expected


def test_a_broken_plugin_is_a_fault_and_the_rest_is_still_shown(home: Path) -> None:
    with using_registry(registry_with(FakeEntryPoint("bad", "nowhere_at_all", None), strict=False)):
        found = rows(code=1)
    assert faults(found) == ["plugins bad"] and "store runs" in found


def test_a_part_that_fails_is_a_fault(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise OSError("no mounts")

    monkeypatch.setattr("zslbench.store.mounts._mount_of", fails)
    assert "store store" in faults(rows(code=1))
