"""``zslbench data list`` and ``info``: what is on disk, what is missing, what can run."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench_data.download.presence import Presence

HEAVY = ("torch", "pandas", "sklearn", "jaxtyping", "pyarrow", "scipy", "h5py", "requests", "pydantic")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(root: Path) -> Callable[..., Any]:
    def call(*arguments: str) -> Any:
        result = CliRunner().invoke(cli, ["data", *arguments, "--data-root", str(root), "--format", "json"])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


def put_splits(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = {f"{part}_loc": np.ones((number, 1)) for part, number in (("trainval", 3), ("test_seen", 2))}
    scipy.io.savemat(folder / "att_splits.mat", {"att": np.ones((5, 4)), "test_unseen_loc": [[1]], **rows})


def put_features(folder: Path, stem: str = "res101") -> None:
    scipy.io.savemat(folder / f"{stem}.mat", {"features": np.ones((2, 6)), "labels": np.ones((6, 1))})


def put_regions(path: Path, vectors: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["feature_map"] = np.zeros((6, 3, 2, 2), np.float32)
        if vectors:
            file["w2v_att"] = np.zeros((5, 7), np.float32)


def test_an_empty_root_lists_the_catalogue(run: Any) -> None:
    rows = run("list")
    assert [one["dataset"] for one in rows] == ["cub", "sun", "awa1", "awa2", "apy", "flo"]
    cub = rows[0]
    assert (cub["classes"], cub["images"], cub["attributes"]) == (200, 11788, 312)
    assert (cub["on disk"], cub["runs"]) == ([], "none")
    assert cub["missing"] == ["splits", "features", "names", "vectors", "regions", "images"]
    assert "images" not in rows[2]["missing"]  # they are not distributed
    assert "names" not in rows[5]["missing"]


def test_what_is_on_disk_decides_what_runs(run: Any, root: Path) -> None:
    def state() -> tuple[list[str], str]:
        (row,) = [one for one in run("list") if one["dataset"] == "sun"]
        return row["on disk"], row["runs"]

    folder = root / "sun"  # upper and lower case do not matter
    put_splits(folder)
    assert state() == (["splits"], "none")
    put_features(folder)
    put_features(folder, "vit")
    scipy.io.savemat(folder / "labels.mat", {"labels": [1]})
    (folder / "damaged.mat").write_bytes(b"junk")
    assert state() == (["splits", "res101", "vit"], "those on global features")
    put_regions(folder / "own.h5", vectors=False)
    h5py.File(folder / "other.hdf5", "w").close()
    assert state() == (["splits", "res101", "vit", "regions own.h5"], "those on global features")
    np.save(folder / "attribute_vectors.npy", np.zeros((5, 300)))
    (folder / "attribute_names.txt").write_text("a\n")
    (folder / "images").mkdir()
    on_disk = ["splits", "res101", "vit", "regions own.h5", "names", "vectors", "images"]
    assert state() == (on_disk, "all")


def test_a_region_file_may_hold_the_vectors(root: Path) -> None:
    put_splits(root / "SUN")
    put_regions(root / "region_features" / "SUN_net.hdf5", vectors=True)
    there = Presence(root, "SUN")
    assert there.lacks("features") == there.lacks("regions") == []
    assert there.lacks("images") == ["images"]
    assert there.vectors == root / "region_features" / "SUN_net.hdf5"


def test_other_folders_are_listed(run: Any, root: Path) -> None:
    put_splits(root / "Own")
    row = run("list")[-1]
    assert (row["dataset"], row["classes"], row["on disk"]) == ("own", None, ["splits"])


@pytest.mark.parametrize("command", [("data", "list"), ("datasets",)])
def test_a_folder_left_out_for_its_name_is_noted(root: Path, command: tuple[str, ...]) -> None:
    put_splits(root / "Own")
    put_splits(root / "a:b")
    found = CliRunner().invoke(cli, [*command, "--data-root", str(root), "--format", "json"])
    assert found.exit_code == 0 and "own" in {row["dataset"] for row in json.loads(found.stdout)}
    assert [line for line in found.stderr.splitlines() if "'a:b'" in line and "rename" in line]


def test_info_of_a_missing_data_set(run: Any) -> None:
    info = run("info", "sun")
    assert (info["dataset"], info["images"], info["semantics"]) == ("sun", 14340, [])
    assert "Patterson" in info["citation"]
    assert info["methods that can run"] == []
    assert "tf-vaegan (needs splits, features)" in info["methods that cannot"]
    assert any(
        one.startswith("sc-egg (needs splits, region features, word vectors)")
        for one in info["methods that cannot"]
    )
    assert [one["archive"] for one in info["archives"]] == [
        "xlsa17.zip", "SUNAttributeDB.tar.gz", "SUNAttributeDB_Images.tar.gz",
    ]  # fmt: skip
    assert all(one["addresses"] and one["licence"] for one in info["archives"])
    following = "\n".join(info["next"])
    steps = ("sun --what splits", "sun --what names", "vectors --dataset sun", "sun --images")
    places = [following.index(f"zslbench data get {one}") for one in steps]
    assert places == sorted(places)
    assert info["next"][-1] == "zslbench run METHOD --dataset sun"


def test_next_commands_exist(run: Any) -> None:
    from zslbench_data.cli import COMMANDS

    for name in ("cub", "sun", "awa1", "awa2", "apy", "flo"):
        for word in re.findall(r"zslbench data (\w+)", "\n".join(run("info", name)["next"])):
            assert word in {one.name for one in COMMANDS}


def test_info_of_an_existing_data_set(run: Any, root: Path) -> None:
    folder = root / "Own"
    put_splits(folder)
    put_features(folder)
    put_regions(folder / "net.hdf5", vectors=True)
    scipy.io.savemat(folder / "sent_splits.mat", {"att": [[1]]})
    info = run("info", "OWN")
    counts = {"images": 6, "classes": 4, "attributes": 5, "trainval": 3, "test_seen": 2, "test_unseen": 1}
    assert counts.items() <= info.items()
    assert {"tf-vaegan", "eszsl", "sc-egg"} <= set(info["methods that can run"])
    cannot = {name: reason for name, _, reason in (one.partition(" ") for one in info["methods that cannot"])}
    assert {"apn", "aren", "rgen"} <= cannot.keys()
    assert set(cannot.values()) == {"(needs images)"}
    assert [one.split()[0] for one in info["semantics"]] == ["att", "sentence"]
    assert {Path(one["file"]).name for one in info["files"]} == {
        "att_splits.mat", "net.hdf5", "res101.mat", "sent_splits.mat",
    }  # fmt: skip
    assert info["next"] == ["zslbench run METHOD --dataset own"]


def test_info_shows_the_origin_of_files(run: Any, root: Path) -> None:
    put_splits(root / "SUN")
    record = {"files": {"att_splits.mat": {"archive": "xlsa17.zip", "member": "a/SUN/att_splits.mat"}}}
    (root / "SUN" / "sources.json").write_text(json.dumps(record))
    (root / "archives").mkdir()
    (root / "archives" / "xlsa17.zip").write_bytes(bytes(1500))
    info = run("info", "sun")
    assert info["files"][0]["from"] == "xlsa17.zip / a/SUN/att_splits.mat"
    assert info["archives"][0]["here"] == "1.5 kB"


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "csv", "latex"])
@pytest.mark.parametrize("command", [("list",), ("info", "flo")])
def test_formats(root: Path, command: tuple[str, ...], fmt: str) -> None:
    put_splits(root / "FLO")
    result = CliRunner().invoke(cli, ["data", *command, "--data-root", str(root), "--format", fmt])
    assert result.exit_code == 0, result.stderr
    assert "flo" in result.stdout
    if fmt == "csv":
        rows = list(csv.reader(io.StringIO(result.stdout)))
        assert len({len(row) for row in rows}) == 1


def test_an_unknown_name_is_one_line(root: Path) -> None:
    result = CliRunner().invoke(cli, ["data", "info", "cubb", "--data-root", str(root)])
    assert result.exit_code == 2
    assert (
        result.stderr == f"Error: no data set 'cubb' in the catalogue or under {root}, did you mean 'cub'?\n"
    )


def test_listing_imports_nothing_heavy(root: Path) -> None:
    put_splits(root / "SUN")
    put_features(root / "SUN")
    code = (
        "import sys\n"
        "from zslbench.cli.main import cli\n"
        f"for arguments in (['data'], ['data', '--help'], ['data', 'list', '--data-root', {str(root)!r}]):\n"
        "    try:\n"
        "        cli(arguments, prog_name='zslbench')\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print('modules', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = {one.partition(".")[0] for one in done.stderr.rpartition("modules ")[2].split()}
    assert "zslbench" in seen
    assert not seen & set(HEAVY)
    assert "those on global features" in done.stdout


def test_every_command_of_the_group_can_be_imported() -> None:
    import click

    from zslbench_data.cli import COMMANDS, data

    for one in COMMANDS:
        name, text = one.name, one.summary
        command = data.get_command(click.Context(data), name)
        assert command is not None
        assert (command.name, bool(command.help)) == (name, True)
        assert f"  {name} " in CliRunner().invoke(cli, ["data"]).output
        assert text in CliRunner().invoke(cli, ["data"]).output
    result = CliRunner().invoke(cli, ["data", "lst"])
    assert (result.exit_code, "no command 'lst', did you mean 'list'" in result.stderr) == (2, True)
