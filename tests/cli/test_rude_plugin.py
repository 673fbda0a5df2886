"""A plugin that misbehaves spoils neither the output of a command nor the runs of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
datasets = ["toy"]
select = ["last"]
methods = [
    {method = "noisy"}, {method = "setting"}, {method = "exiting"}, {method = "stopping"},
    {method = "honest"},
]
"""


@pytest.mark.slow
def test_every_other_cell_is_run_and_standard_output_is_json(tmp_path: Path) -> None:
    info = tmp_path / "zslbench_rude-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zslbench-rude\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zslbench]\nrude = zslbench_rude\n")
    (tmp_path / "rude.toml").write_text(SUITE)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent), *filter(None, sys.path)])
    command = ["bench", "rude.toml", "--threads", "1", "--store", "here", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "zslbench", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    rows = {row["line"]: row for row in json.loads(done.stdout)}
    states = {name: row["toy_state"] for name, row in rows.items()}
    assert states == {
        "noisy": "done",
        "setting": "done",
        "exiting": "failed",
        "stopping": "failed",
        "honest": "done",
    }
    assert rows["honest"]["toy_acc_mean"] == rows["noisy"]["toy_acc_mean"] == rows["setting"]["toy_acc_mean"]
    assert "SystemExit" in done.stderr
    assert "KeyboardInterrupt" in done.stderr
    for text in ("import", "methods", "fit", "finished", "exit"):
        assert f"plugin 'rude': NOISE {text}\n" in done.stderr
    assert done.stderr.count("NOISE") > 30
    assert {one.name for one in tmp_path.iterdir() if one.is_dir()} == {info.name, "here"}
