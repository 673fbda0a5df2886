"""With real processes: where the plugin is imported, it may replace whatever it likes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


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
