"""With real processes: where the plugin is imported, it may replace whatever it likes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SMALL = {"dataset.classes": 10, "dataset.unseen": 3, "dataset.images_per_class": 12}

ATTACK = """
import zslbench_flattering as plugin
from zslbench_audit.stored import AuditResult
import zslbench_audit.audit
AuditResult.failed = ()
zslbench_audit.audit.judge = None
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds the plugin ``flattering``."""
    info = tmp_path / "zslbench_flattering-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zslbench-flattering\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zslbench]\nflattering = their_plugin:plugin\n")
    (tmp_path / "their_plugin.py").write_text(ATTACK)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "ZSLBENCH_STORE": str(tmp_path / "store")}


def python(
    environment: dict[str, str], *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("flags", [(), ("-OO",)])
def test_a_plugin_that_replaces_the_evaluator_at_import_fails(
    installed: dict[str, str], flags: tuple[str, ...]
) -> None:
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    audit = ["audit", "flattery", "--format", "json", *settings]
    done = python(installed, *flags, "-m", "zslbench", *audit)
    assert done.returncode == 1, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in rows.items() if not row["passed"]} == {"figures", "labels"}
    assert all(row["claim"] for row in rows.values())


def test_an_audit_from_a_process_that_imported_the_plugin_is_made_in_another(
    installed: dict[str, str],
) -> None:
    code = f"""
import zslbench_flattering, zslbench_audit
found = zslbench_audit.run("flattery", settings={SMALL!r}, notify=print)
print([one.name for one in found.probes if not one.passed])
"""
    done = python(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "flattery: reference run"
    assert done.stdout.splitlines()[-1] == "['figures', 'labels']"


def test_errors_keep_their_type(installed: dict[str, str]) -> None:
    done = python(installed, "-m", "zslbench", "audit", "flatery")
    assert done.returncode == 2
    assert "did you mean 'flattery'" in done.stderr


def test_nothing_in_the_current_folder_is_run(installed: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("random", "torch"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')")
    done = python(installed, "-P", "-m", "zslbench", "audit", "flatery", cwd=folder)
    assert (done.returncode, "did you mean 'flattery'" in done.stderr) == (2, True), done.stderr


BUSY = """
import os, pathlib, pickle, signal, time
from zslbench_audit.process import start

class Busy:
    def __reduce__(self):
        return exec, (f"import time; open('ready', 'w')\\nwhile time.time() < {end}: 0",)

ready, end = pathlib.Path("ready"), time.time() + 100
requests, _, _ = start()
pickle.dump(Busy(), requests)
requests.flush()
while not ready.exists():
    time.sleep(0.1)
print("asked", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_busy_process_ends_soon_after_the_one_that_asked(installed: dict[str, str], tmp_path: Path) -> None:
    began = time.monotonic()
    done = python(installed, "-c", BUSY, cwd=tmp_path)  # until nothing has its output open
    assert (done.stdout, time.monotonic() - began < 60) == ("asked\n", True), done.stderr
