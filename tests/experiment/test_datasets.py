"""Data sets of runs: a folder that a plugin's data set hides is pointed out, and is another data set."""

from __future__ import annotations

from pathlib import Path

from zslbench.evaluation.selection import Selection
from zslbench.experiment.datasets import DataFiles, DatasetCache
from zslbench.experiment.job import requested
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.discovery import registry

SMALL = {"dataset.classes": 6, "dataset.unseen": 2, "dataset.images_per_class": 6}


def recipe(name: str, root: Path, **more: object) -> Recipe:
    return resolve(registry(), name, method="eszsl", data_root=root, settings=more)


def test_a_hidden_folder_is_pointed_out_once(tmp_path: Path) -> None:
    said: list[str] = []
    small = recipe("toy", tmp_path, **SMALL)
    DatasetCache(tmp_path, said.append).load(small, DataFiles())
    assert said == []
    (tmp_path / "Toy").mkdir()
    (tmp_path / "Toy" / "att_splits.mat").touch()
    cache = DatasetCache(tmp_path, said.append)
    for _ in range(2):
        cache.load(small, DataFiles())
    (note,) = said
    assert "folder:toy" in note and str(tmp_path / "Toy") in note


def test_a_folder_and_a_plugins_data_set_are_never_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "TOY").mkdir()
    (tmp_path / "TOY" / "att_splits.mat").touch()
    theirs, folder = (requested(recipe(name, tmp_path), Selection("last")) for name in ("toy", "folder:TOY"))
    assert theirs["components"]["dataset"] == "toy"
    assert folder["components"]["dataset"] == "folder:toy"
    assert requested(recipe("folder:toy/", tmp_path), Selection("last")) == folder
