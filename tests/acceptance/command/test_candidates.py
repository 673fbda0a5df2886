"""Classes without images: they are candidates only where the user wants them to be, and then it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import CLASSES, cells, contents, write_folder

import zslbench as package
from zslbench.errors import DataError
from zslbench.evaluation.candidates import with_candidates
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.dataset import Candidates, Dataset
from zslbench.plugin.discovery import registry
from zslbench.report.results import candidates_key, candidates_label
from zslbench.store.store import Store

EXTRA = ("imp", "jay", "koi")


@pytest.fixture
def run(zslbench: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run ESZSL on the small data set with three classes without images."""
    write_folder(tmp_path, contents(EXTRA))

    def run(*options: str) -> Any:
        where = ("--dataset=small", f"--data-root={tmp_path}", "--select=last", "--threads=1")
        result = zslbench("run", "eszsl", *where, "--set=classifier.gamma=1", *options)
        assert result.exit_code == 0, result.stderr
        return result

    return run


def record(zslbench: Any, result: Any) -> Any:
    (row,) = json.loads(result.stdout)
    return Store(zslbench.store).resolve(row["run"])


def test_classes_without_images_are_left_out_and_told_once(
    zslbench: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    result = run("--seeds=2")
    told = [line for line in result.stderr.splitlines() if "imp, jay, koi" in line]
    assert len(told) == 1
    assert "3 of 11 classes" in told[0]
    found = record(zslbench, run("--format=json"))
    assert any("imp, jay, koi" in one for one in found.notes)
    assert (found.data["unseen_classes"], found.data["classes_without_images"]) == (2, 3)
    assert found.data["candidates"] == "test"
    table = found.table("classes")
    assert list(table["name"]) == list(CLASSES)
    assert (table["side"] == "unseen").sum() == found.data["unseen_classes"]
    # The same figures, to the last bit, as without these classes.
    write_folder(tmp_path, contents(), "PLAIN")
    plain = package.run(
        "eszsl", dataset="plain", data_root=tmp_path, store=zslbench.store, select="last", threads=1,
        settings={"classifier.gamma": 1},
    )  # fmt: skip
    assert plain.records[0].metrics == found.metrics
    assert not any("imp" in one for one in plain.records[0].notes)


def test_other_candidates_are_another_run_marked_and_not_ranked(
    zslbench: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    near = tmp_path / "near.txt"
    near.write_text("gnu\nhen\njay\n\n", "utf-8")
    runs = {
        name: record(zslbench, run("--format=json", *options))
        for name, options in {
            "test": (), "all": ("--candidates=all",), "near.txt": (f"--candidates={near}",),
        }.items()
    }  # fmt: skip
    assert len({one.info.id for one in runs.values()}) == 3
    scored = {"test": set(), "all": set(EXTRA), "near.txt": {"jay"}}
    for name, one in runs.items():
        table = one.table("classes")
        assert set(table["name"][table["side"] == "unseen"]) == {"gnu", "hen"} | scored[name]
        assert one.data["unseen_classes"] == 2 + len(scored[name])
        shown = json.loads(zslbench("show", one.info.id, "--format=json").stdout)
        assert {"about": "data", "name": "candidates", "value": name} in shown
    listed = json.loads(zslbench("runs", "--format=json").stdout)
    assert sorted(row["candidates"] for row in listed) == ["all", "near.txt", "test"]
    assert "candidates" in zslbench("runs").stdout
    compared = json.loads(zslbench("table", "--format=json").stdout)
    assert sorted(row["candidates"] for row in compared) == ["all", "near.txt", "test"]
    assert all(row["Acc_rank"] is None for row in compared)  # each is alone among its like
    assert "near.txt" in zslbench("table").stdout
    assert "candidates all" in run("--candidates=all").stdout
    refused = zslbench("compare", runs["test"].info.id, runs["all"].info.id)
    assert refused.exit_code == 1


@pytest.mark.parametrize("wanted", ["test", "all", "list"])
def test_candidates_that_change_nothing_are_the_same_run(zslbench: Any, tmp_path: Path, wanted: str) -> None:
    write_folder(tmp_path, contents())
    if wanted == "list":
        (tmp_path / "list").write_text("hen\ngnu", "utf-8")
        wanted = str(tmp_path / "list")
    options = {"dataset": "small", "data_root": tmp_path, "store": zslbench.store, "select": "last"}
    runs = [package.run("eszsl", **options, **more) for more in ({}, {"candidates": wanted})]
    assert runs[1].found == 1
    assert runs[0].records[0].info.id == runs[1].records[0].info.id


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        ("gnu\nhen\nant", ("1 ", "ant")),
        ("gnu\njay", ("1 ", "hen")),
        ("gnu\nhen\njya\nkio", ("2 unknown", "jya", "'jay'")),
        (None, ("no-such.txt", "No such file")),
    ],
)
def test_a_list_that_does_not_fit(
    zslbench: Any, tmp_path: Path, lines: str | None, facts: tuple[str, ...]
) -> None:
    write_folder(tmp_path, contents(EXTRA))
    path = tmp_path / "no-such.txt"
    if lines is not None:
        path.write_text(lines, "utf-8")
    where = ("--dataset=small", f"--data-root={tmp_path}", f"--candidates={path}")
    result = zslbench("run", "eszsl", *where)
    assert result.exit_code == (2 if lines is None else 1)
    assert all(fact in result.stderr for fact in facts)
    assert len(result.stderr.strip().splitlines()) == 1


def test_data_commands_tell_of_classes_without_images(zslbench: Any, tmp_path: Path) -> None:
    write_folder(tmp_path, contents(EXTRA))
    root = f"--data-root={tmp_path}"
    checked = json.loads(zslbench("data", "check", "small", root, "--format=json").stdout)
    assert [one["severity"] for one in checked if "imp, jay, koi" in one["what"]] == ["warning"]
    about = json.loads(zslbench("data", "info", "small", root, "--format=json").stdout)
    assert "imp, jay, koi" in " ".join(about["evaluation"])
    write_folder(tmp_path, contents())
    assert "evaluation" not in json.loads(zslbench("data", "info", "small", root, "--format=json").stdout)


def test_an_exported_copy_keeps_classes_without_images(zslbench: Any, tmp_path: Path) -> None:
    write_folder(tmp_path, contents(EXTRA))
    result = zslbench(
        "data", "export", "small", "--to=xlsa17", f"--output={tmp_path / 'COPY'}", f"--data-root={tmp_path}"
    )
    assert result.exit_code == 0, result.stderr
    metrics = [
        package.run(
            "eszsl", dataset=name, data_root=tmp_path, store=zslbench.store, select="last", threads=1,
            candidates="all",
        ).records[0].metrics
        for name in ("small", "copy")
    ]  # fmt: skip
    assert metrics[0] == metrics[1]


def test_a_suite_names_candidates_of_its_own(zslbench: Any, tmp_path: Path) -> None:
    """Relative to its file; lines with other candidates are marked and ranked apart."""
    write_folder(tmp_path, contents(EXTRA))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "near.txt").write_text("gnu\nhen\njay", "utf-8")
    lines = "\n".join(
        f'[[methods]]\nmethod = "eszsl"\nlabel = "{label}"\nsettings.classifier.gamma = {gamma}\n{more}'
        for label, gamma, more in (
            ("one", 1, ""), ("two", 10, ""), ("far", 1, 'candidates = "lists/near.txt"'),
        )
    )  # fmt: skip
    (tmp_path / "mine.toml").write_text(f'datasets = "small"\nselect = "last"\n{lines}', "utf-8")
    bench = ("bench", str(tmp_path / "mine.toml"), f"--data-root={tmp_path}", "--threads=1")
    result = zslbench(*bench, "--format=json")
    assert result.exit_code == 0, result.stderr
    found = {row["line"]: row for row in json.loads(result.stdout)}
    assert {label: row["small_candidates"] for label, row in found.items()} == {
        "one": "test", "two": "test", "far": "near.txt",
    }  # fmt: skip
    shown = zslbench(*bench, "--format=markdown").stdout
    assert "(candidates near.txt)" in shown
    far = next(line for line in shown.splitlines() if "(candidates near.txt)" in line)
    assert "**" not in far.partition("|")[2].partition("|")[2]


@pytest.mark.parametrize("renamed", ["class", "attribute"])
def test_corrected_names_are_another_run_that_shows_them(zslbench: Any, tmp_path: Path, renamed: str) -> None:
    variables = contents()
    folder = write_folder(tmp_path, variables)
    np.save(folder / "attribute_vectors.npy", np.ones((5, 3), dtype=np.float32))
    names = folder / "attribute_names.txt"
    names.write_text("big\nred\nfury\nwet\nold", "utf-8")
    options = ("eszsl", "--dataset=small", f"--data-root={tmp_path}", "--select=last", "--format=json")
    first = record(zslbench, zslbench("run", *options, "--threads=1"))
    if renamed == "class":
        write_folder(tmp_path, variables | {"allclasses_names": cells(("ant", "wasp", *CLASSES[2:]))})
        again = record(zslbench, zslbench("run", *options, "--threads=1"))
        assert again.info.id != first.info.id
        assert "wasp" in set(again.table("classes")["name"])
        assert again.metrics == first.metrics
    else:  # which ESZSL is not given: the run is the same
        names.write_text("big\nred\nfurry\nwet\nold", "utf-8")
        assert record(zslbench, zslbench("run", *options, "--threads=1")).info.id == first.info.id


@pytest.mark.parametrize("file", ["test", "all"])
def test_a_file_is_never_taken_for_the_candidates_it_is_named_after(
    zslbench: Any, run: Callable[..., Any], tmp_path: Path, file: str
) -> None:
    (tmp_path / file).write_text("gnu\nhen\njay", "utf-8")
    named = record(zslbench, run("--format=json", f"--candidates={tmp_path / file}"))
    real = record(zslbench, run("--format=json", f"--candidates={file}"))
    assert named.info.id != real.info.id
    assert named.data["candidates"] not in ("test", "all")
    assert set(named.table("classes")["name"]) == {*CLASSES, "jay"}
    listed = {row["run"]: row["candidates"] for row in json.loads(zslbench("runs", "--format=json").stdout)}
    assert listed == {named.info.id: f"file:{file}", real.info.id: file}


def test_the_classes_of_a_file_count_and_its_name_does_not(
    zslbench: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    texts = {
        "a.txt": "gnu\nhen\njay",
        "b.txt": "jay\nhen\ngnu\ngnu\n",
        "every": "\n".join(("gnu", "hen", *EXTRA)),
    }
    runs = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
        runs[name] = record(zslbench, run("--format=json", f"--candidates={tmp_path / name}"))
    assert runs["a.txt"].info.id == runs["b.txt"].info.id
    assert runs["every"].info.id == record(zslbench, run("--format=json", "--candidates=all")).info.id
    assert runs["every"].data["candidates"] == "all"


def dataset_of(tmp_path: Path, classes: Any, name: str = "mine") -> Dataset:
    """A plugin's data set with candidates of its own."""
    write_folder(tmp_path, contents(EXTRA))
    part = resolve(registry(), "small", method="eszsl", data_root=tmp_path).parts["dataset"]
    dataset = load_dataset(part, root=tmp_path)
    return with_candidates(replace(dataset, candidates=Candidates(name, classes)))


def test_candidates_of_a_plugin_may_have_any_order_and_name(tmp_path: Path) -> None:
    found = dataset_of(tmp_path, np.array([10, 7, 6, 7], dtype=np.int32), "all").candidates
    assert found is not None
    assert found.classes.tolist() == [6, 7, 10]
    assert found.classes.dtype == np.int64
    assert found.name == "plugin:all"


@pytest.mark.parametrize("classes", [[6, 7, 11], [-1, 6, 7]])
def test_candidates_of_a_plugin_that_are_no_class_ids(tmp_path: Path, classes: Any) -> None:
    with pytest.raises(DataError, match="10"):
        dataset_of(tmp_path, np.array(classes))


def test_an_old_run_that_scored_classes_without_images_says_all(
    zslbench: Any, run: Callable[..., Any]
) -> None:
    """Records from before there was a choice do not name it."""
    found = [record(zslbench, run("--format=json", *more)) for more in ((), ("--candidates=all",))]
    for one in found:
        del one.data["candidates"]
        one.info.identity["data"].pop("candidates", None)
    assert [candidates_label(one) for one in found] == ["test", "all"]
    assert candidates_key(found[0]) != candidates_key(found[1])
