"""A run's identity: everything that its numbers depend on, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zslbench
from zslbench import Reading
from zslbench.data import ArrayRegions
from zslbench.experiment.datasets import provenance
from zslbench.experiment.job import ExecutionMode
from zslbench.plugin import Candidates, Dataset
from zslbench.store.identity import run_id


def ident(job: Any) -> str:
    return run_id(job.identity())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"select": "val"},
        {"select": "oracle"},
        {"select": "oracle-scripts"},
        {"epochs": 3},
        {"settings": {"generator.lr": 2e-3}},
        {"settings": {"classifier.lr": 2e-3}},
        {"settings": {"embedding.normalize": "l2"}},
        {"settings": {"dataset.noise": 0.1}},
        {"settings": {"dataset.seed": 1}},
        {"variant": "no-feedback"},
        {"preset": "cub"},
        {"semantics": "original_att"},
        {"threads": 2},
    ],
    ids=str,
)
def test_every_ingredient_counts(job: Any, change: dict[str, Any]) -> None:
    assert ident(job(**change)) != ident(job())


def test_the_reading_counts(job: Any) -> None:
    """Also one that sets what holds anyway; a method without readings has none in its identity."""
    one = job()
    assert "reading" not in one.identity()
    readings = [Reading(name=name, summary="") for name in ("print", "code")]
    jobs = [
        dataclasses.replace(one, recipe=dataclasses.replace(one.recipe, reading=reading))
        for reading in readings
    ]
    assert jobs[1].identity()["reading"] == "code"
    assert len({ident(one), *map(ident, jobs)}) == 3


def test_evaluations_along_the_way_count_where_they_select(job: Any) -> None:
    assert ident(job(select="val", every=1)) == ident(job(select="val"))  # one per epoch anyway
    assert ident(job(select="val", every=2)) != ident(job(select="val"))
    assert ident(job(select="last", every=2)) == ident(job(select="last"))


def test_a_search_counts_where_there_is_one(job: Any) -> None:
    def eszsl(**more: Any) -> str:
        return ident(job("eszsl", epochs=None, **more))

    default = {"classifier.gamma": 1.0}  # fixed to what it is without a search
    assert eszsl(select="val", settings=default) != eszsl(select="val")
    assert eszsl(select="last", settings=default) == eszsl(select="last")
    assert eszsl(select="val", every=3) == eszsl(select="val")  # closed form: no epochs


def test_equal_settings_are_one_run_however_they_were_given(job: Any) -> None:
    assert ident(job(settings={"generator.lr": 3e-3})) == ident(job())  # the preset's value
    assert ident(job(preset="toy")) == ident(job())
    assert ident(job(settings={"generator.a1": 1})) == ident(job(settings={"generator.a1": 1.0}))
    assert ident(job(settings={"generator.epochs": 2}, epochs=None)) == ident(job())


@pytest.mark.parametrize("array", ["features", "labels", "semantics", "attribute_vectors"])
def test_every_array_counts(job: Any, array: str) -> None:
    """One changed value in what a run is given is another run, though nothing has another name."""
    one = job()
    changed = getattr(one.dataset, array).copy()
    changed.flat[5] = abs(1 - changed.flat[5])
    # The sources go with the arrays; without one for it, the core takes the array's own digest.
    sources = tuple(source for source in one.dataset.sources if source.array != array)
    dataset = dataclasses.replace(one.dataset, **{array: changed}, sources=sources)
    assert ident(dataclasses.replace(one, dataset=dataset, data=provenance(dataset))) != ident(one)
    same = dataclasses.replace(one.dataset, sources=())
    digests = {two["array"]: two["sha256"] for two in provenance(same)["arrays"]}
    assert digests.items() <= one.identity()["data"]["arrays"].items()


@pytest.mark.parametrize("part", ["trainval", "test_seen", "test_unseen"])
def test_the_split_counts_but_not_its_order(job: Any, part: str) -> None:
    one = job()
    rows = getattr(one.dataset.split, part)
    for shorter, name in ((rows[1:], "split"), (rows[::-1].copy(), None)):
        split = dataclasses.replace(one.dataset.split, **{part: shorter})
        data = provenance(dataclasses.replace(one.dataset, split=split))
        differ = [
            key for key in ("split_fingerprint", "validation_fingerprint") if data[key] != one.data[key]
        ]
        assert ("split_fingerprint" in differ) == (name is not None)


def test_the_validation_split_counts(job: Any) -> None:
    one = job()
    seen = np.unique(one.dataset.labels[one.dataset.split.trainval])
    split = dataclasses.replace(one.dataset.split, validation_classes=seen[:3])
    data = provenance(dataclasses.replace(one.dataset, split=split))
    assert data["split_fingerprint"] == one.data["split_fingerprint"]
    assert ident(dataclasses.replace(one, data=data)) != ident(one)


def test_versions_count(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = job()
    versions = one.identity()["versions"]
    assert set(versions) == {"zslbench", "plugin common", "plugin datasets", "plugin tf-vaegan"}
    before = ident(one)
    for place, plugin in enumerate(one.recipe.plugins):
        # An edited source file and a new version alike.
        for edited in (
            dataclasses.replace(plugin, version="9.9"),
            dataclasses.replace(plugin, module="json"),
        ):
            plugins = (*one.recipe.plugins[:place], edited, *one.recipe.plugins[place + 1 :])
            assert (
                ident(dataclasses.replace(one, recipe=dataclasses.replace(one.recipe, plugins=plugins)))
                != before
            )
    monkeypatch.setattr("zslbench.__version__", "9.9.9")
    assert ident(one) != before


@pytest.mark.parametrize("field", ["device", "precision", "threads", "replicas"])
def test_the_execution_mode_counts(job: Any, field: str) -> None:
    one = job()
    other: Any = {"device": "cuda", "precision": "float16", "threads": 5, "replicas": 4}[field]
    mode = ExecutionMode("cpu")
    object.__setattr__(mode, field, other)
    assert ident(dataclasses.replace(one, mode=mode)) != ident(one)


def test_nothing_else_counts(job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Not what is kept, where it is kept, who asks or from which folder."""
    before = ident(job())
    assert ident(job(keep_weights=True)) == before
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "other"))
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.chdir(tmp_path)
    assert ident(job()) == before
    text = json.dumps(job().identity())
    for word in (str(tmp_path), "seconds", "finished", "hostname", "note"):
        assert word not in text


OTHERS: dict[str, Any] = {
    "name": None,
    "features": lambda old: old + 1,
    "labels": lambda old: np.roll(old, 1),
    "class_names": lambda old: ("renamed", *old[1:]),
    "semantics": lambda old: old + 1,
    "split": lambda old: dataclasses.replace(old, test_seen=old.test_seen[1:]),
    "features_name": lambda old: "other",
    "semantics_name": lambda old: "other",
    "attribute_names": lambda old: ("renamed", *old[1:]),
    "attribute_vectors": lambda old: old + 1,
    "regions": lambda old: ArrayRegions(old.array + 1),
    "image_files": None,
    "candidates": lambda old: Candidates("all", np.append(old.classes, 0)),
    "finetuned": lambda old: not old,
    "sources": None,
    "notes": None,
    "extra": lambda old: {**old, "simulated": False},
}
"""Another value of each field of a data set. None: what says where it was read, or which images to draw, is
history of a run and decides nothing."""


@pytest.mark.parametrize("field", dataclasses.fields(Dataset), ids=lambda field: field.name)
def test_whatever_is_read_of_a_data_set_counts(job: Any, field: Any) -> None:
    """What figures depend on, and what a record shows: corrected names are another run, which shows them."""
    one = job()
    change = OTHERS[field.name]  # a new field needs a decision
    if change is None:
        return
    changed = {field.name: change(getattr(one.dataset, field.name)), "sources": ()}
    dataset = dataclasses.replace(one.dataset, **changed)
    assert ident(dataclasses.replace(one, dataset=dataset, data=provenance(dataset))) != ident(one)


RUN = """
import zslbench
small = {"dataset.images_per_class": 6}
done = zslbench.run("eszsl", dataset="toy", select="last", threads=1, settings=small)
print(zslbench.__file__, done.found)
"""


@pytest.mark.slow
def test_an_edited_core_makes_new_runs_unless_the_edit_cannot_change_a_number(tmp_path: Path) -> None:
    """A copy of the core, in processes of their own: edited, it is asked for the same run again."""
    core = tmp_path / "copy" / "zslbench"
    shutil.copytree(Path(zslbench.__file__).parent, core, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(core.parent), "ZSLBENCH_STORE": str(tmp_path / "store")}

    def found() -> int:
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        file, count = done.stdout.split()
        assert Path(file).is_relative_to(core)
        return int(count)

    assert found() == 0
    for name in ("report/results.py", "cli/run.py", "experiment/suites/run.py", "store/store.py"):
        with (core / name).open("a") as file:
            file.write("\n_edited = True\n")
    assert found() == 1
    with (core / "evaluation" / "metrics.py").open("a") as file:
        file.write("\n_edited = True\n")
    assert found() == 0
    (core / "training" / "new_file.py").write_text("x = 1\n")  # counts by default
    assert found() == 0
