"""What the Tab key proposes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from zslbench.cli.main import cli


def proposed(*words: str) -> set[str]:
    *before, incomplete = words
    shell = ShellComplete(cli, {}, "zslbench", "_ZSLBENCH_COMPLETE")
    return {one.value for one in shell.get_completions(list(before), incomplete)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ru",), {"run", "runs"}),
        (("runs", "r"), {"rm"}),
        (("run", "sc-"), {"sc-egg"}),
        (("methods", "esz"), {"eszsl"}),
        (("runs", "rm", "--method", "esz"), {"eszsl"}),
        (("run", "sc-egg", "--dataset", "my"), {"my own"}),
        (("run", "--data-root", "elsewhere", "--dataset", "my"), set()),
        (("table", "--dataset", "to"), {"toy"}),
        (("bench", "ijcai22-table1"), {"ijcai22-table1"}),
        (("runs", "--select", "oracle"), {"oracle", "oracle-scripts"}),
    ],
)
def test_names_are_proposed(
    words: tuple[str, ...], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my own").mkdir()
    (tmp_path / "my own" / "att_splits.mat").touch()
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path))
    assert expected <= proposed(*words) and (expected or not proposed(*words))


def test_faults_do_not_disturb_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "att_splits.mat").touch()
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path))
    assert proposed("run", "--dataset", "t") == set()
