"""The record of what a run was computed with."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import zslbench
from zslbench.experiment import open_run
from zslbench.experiment.job import ExecutionMode


def test_versions_device_and_plugins(job: Any) -> None:
    one = job()
    found = open_run.describe(one.mode, one.recipe)
    assert json.loads(json.dumps(found)) == found
    assert found["zslbench"] == zslbench.__version__
    assert set(found["plugins"]) == {"common", "datasets", "tf-vaegan"}
    for plugin in found["plugins"].values():
        assert plugin["distribution"] == "zslbench"
        assert len(plugin["source"]) == 12
    for package in ("torch", "numpy", "scipy", "pandas"):
        assert found["packages"][package] == version(package)
    assert found["execution"] == {"device": "cpu", "precision": "float32", "threads": 1, "replicas": 1}
    assert found["cuda"] == torch.version.cuda
    assert found["device"]


def test_name_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: f"NVIDIA {gpu}")
    assert open_run.device_name(ExecutionMode("cuda", gpu=1)) == "NVIDIA 1"
    monkeypatch.setattr(
        Path, "read_text", lambda self: "processor: 0\nmodel name\t: Fast CPU\nmodel name: x\n"
    )
    assert open_run.device_name(ExecutionMode("cpu")) == "Fast CPU"

    def unreadable(self: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert open_run.device_name(ExecutionMode("cpu"))


def test_revision_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "zslbench"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr(zslbench, "__file__", str(package / "__init__.py"))
    assert open_run._git.__wrapped__() is None  # installed from a wheel
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    assert open_run._git.__wrapped__() is None  # nothing committed: no revision
    git("add", "zslbench")
    git("commit", "-q", "-m", "first")
    assert open_run._git.__wrapped__() == {"revision": git("rev-parse", "HEAD"), "changed": False}
    (package / "__init__.py").write_text("x = 1\n", "utf-8")
    assert open_run._git.__wrapped__() == {"revision": git("rev-parse", "HEAD"), "changed": True}
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert open_run._git.__wrapped__() is None  # no git on this machine
