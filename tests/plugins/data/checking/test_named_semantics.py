"""Named class semantics are part of their data set: checked, listed, exported and imported with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.data import write_semantics

CLASSES = ("ant", "bee", "big cat", "dog", "eel")
VALUES = np.random.default_rng(3).normal(size=(5, 9)).astype(np.float32)


def test_they_are_checked_with_the_others(zoo: Any, run: Callable[..., Any]) -> None:
    path = write_semantics(zoo.folder, "texts", VALUES, CLASSES, {}, date="")
    found = run()
    assert not found["error"]
    assert any("semantics/texts.npy" in one and "5 classes, 9 columns" in one for one in found["ok"])
    assert any("semantics/texts.npy" in one for one in run("--semantics", "texts")["ok"])
    np.save(path, VALUES[:, :8])
    (fault,) = run("--semantics", "texts")["error"]
    assert "semantics/texts.npy" in fault
    done = CliRunner().invoke(
        cli, ["data", "check", "zoo", "--semantics", "text", "--data-root", str(zoo.folder.parent)]
    )
    assert done.exit_code == 2
    assert "'texts'" in done.stderr


def test_they_are_exported_and_imported(zoo: Any, tmp_path: Path) -> None:
    root = ["--data-root", str(zoo.folder.parent)]
    write_semantics(zoo.folder, "texts", VALUES, CLASSES, {"kind": "texts"}, date="")
    to = tmp_path / "exported"
    words = ["data", "export", "zoo", "--to", "xlsa17", "-o", str(to), "--semantics", "texts", *root]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(scipy.io.loadmat(to / "att_splits.mat")["att"].T.astype(np.float32), VALUES)
    assert not (to / "attribute_vectors.npy").exists()  # its attributes are not the columns of these

    elsewhere = tmp_path / "other"
    words = ["data", "import", str(zoo.folder), "--name", "park", "--data-root", str(elsewhere)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    for file in ("texts.npy", "texts.json"):
        theirs, ours = (folder / "semantics" / file for folder in (zoo.folder, elsewhere / "park"))
        assert ours.read_bytes() == theirs.read_bytes()
    done = CliRunner().invoke(cli, ["data", "info", "park", "--data-root", str(elsewhere)])
    assert "texts" in done.stdout


@pytest.mark.slow
def test_vectors_of_a_suite_are_relative_to_its_file(zoo: Any, tmp_path: Path) -> None:
    folder = tmp_path / "suites"
    folder.mkdir()
    np.save(folder / "mine.npy", VALUES)
    (folder / "own.toml").write_text(
        'title = "own"\ndatasets = ["zoo"]\nseeds = [0]\nselect = ["last"]\n'
        '[[methods]]\nmethod = "eszsl"\nsemantics = "mine.npy"\n'
    )
    words = ["bench", str(folder / "own.toml"), "--data-root", str(zoo.folder.parent)]
    done = CliRunner().invoke(cli, [*words, "--store", str(tmp_path / "runs"), "--threads", "1"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(cli, ["table", "--store", str(tmp_path / "runs"), "--format", "csv"])
    assert "mine.npy" in done.stdout
    assert str(folder) not in done.stdout
