"""Data sets of runs: a folder that a plugin's data set hides is pointed out, and is another data set; files
that nothing reads are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation.selection import Selection
from zslbench.experiment import datasets
from zslbench.experiment.datasets import DataFiles, DatasetCache
from zslbench.experiment.job import requested
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.discovery import registry
from zslbench_datasets.settings import ToySettings
from zslbench_datasets.toy import generate

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


@pytest.mark.parametrize(
    ("embedding", "features", "files", "unread"),
    [
        ("identity", "res101", {"regions": "net"}, "regions"),
        ("identity", "res101", {"images": "photos"}, "images"),
        ("identity", "net mean", {"regions": "net"}, None),
        ("identity", "net mean", {"images": "photos"}, "images"),
        ("pooled", "res101", {"regions": "net"}, None),
        ("pooled", "res101", {"images": "photos"}, "images"),
        ("aren", "res101", {"images": "photos"}, None),
        ("aren", "net mean", {"regions": "net"}, "regions"),
    ],
)
def test_files_that_nothing_reads_are_refused_if_they_were_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    embedding: str,
    features: str,
    files: dict[str, str],
    unread: str | None,
) -> None:
    """Options of a whole suite are for the methods that read them: it names none for a line."""
    settings = SMALL | ({"embedding.backbone.name": "tiny"} if embedding == "aren" else {})
    composed = {"embedding": embedding, "classifier": "eszsl"}
    found = resolve(registry(), "toy", components=composed, data_root=tmp_path, settings=settings)
    dataset = replace(generate(ToySettings(classes=6, unseen=2, images_per_class=6)), features_name=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **more: dataset)
    cache = DatasetCache(tmp_path, lambda text: None)
    assert cache.load(found, DataFiles(**files), named=())[0] is dataset
    if unread is None:
        assert cache.load(found, DataFiles(**files))[0] is dataset
    else:
        for _ in range(2):
            with pytest.raises(SettingsError, match=f"--{unread} {files[unread]}"):
                cache.load(found, DataFiles(**files))


def test_components_that_do_not_fit_together_are_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = {"embedding": "identity", "classifier": "softmax"}
    alone = resolve(registry(), "toy", components=composed, data_root=tmp_path, settings=SMALL)
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **more: pytest.fail("data were read"))
    with pytest.raises(ZslbenchError, match=r"softmax.*needs examples"):
        DatasetCache(tmp_path, lambda text: None).load(alone, DataFiles())
