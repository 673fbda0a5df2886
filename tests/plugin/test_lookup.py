"""Looking names up: what is found, and what is said where nothing is."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from zslbench import Variant
from zslbench.data.locations import find_folder
from zslbench.data.named import dataset_name, find_dataset, folder_components, shadowed_note
from zslbench.errors import UnknownName
from zslbench.plugin.discovery import load_registry
from zslbench.plugin.lookup import Registry


@pytest.fixture
def found(entry: Any, plugin: Any, component: Any, method: Any) -> Registry:
    components = [
        component("dataset", "cub"),
        component("embedding", "identity"),
        component("generator", "eggn"),
        component("classifier", "softmax"),
        component("classifier", "nearest"),
    ]
    variants = (
        Variant(name="baseline", summary="", components={"generator": "tf-vaegann"}),
        Variant(name="plain", summary="", components={"generator": None, "classifier": "nearest"}),
    )
    methods = [
        method("whole", embedding="identity", generator="eggn", classifier="softmax", variants=variants),
        method("lame", embedding="identity", generator="egnn", classifier="softmax"),
    ]
    return load_registry(entry_points=[entry("mine", plugin(components, methods))])


def test_by_name_in_any_case(found: Registry) -> None:
    one = found.component("classifier", "Softmax ")
    assert (one.name, one.declaration.kind, one.plugin.name) == ("softmax", "classifier", "mine")
    assert found.method("WHOLE").name == "whole"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("classifier", "sofmax", "no classifier 'sofmax', did you mean 'softmax'?"),
        ("generator", "softmax", "no generator 'softmax', known: eggn"),
        ("extractor", "vit", "no extractor 'vit', known: none"),
    ],
)
def test_unknown_component_names_the_nearest_of_its_kind(
    found: Registry, kind: Any, name: str, message: str
) -> None:
    with pytest.raises(UnknownName) as raised:
        found.component(kind, name)
    assert str(raised.value) == message
    assert raised.value.exit_code == 2


def test_unknown_method(found: Registry) -> None:
    with pytest.raises(UnknownName, match=r"^no method 'whol', did you mean 'whole'\?$"):
        found.method("whol")


def test_a_method_with_a_missing_component_is_sound_until_used(found: Registry) -> None:
    assert found.broken == ()
    method = found.method("lame").declaration
    assert found.missing(method) == (("generator", "egnn"),)
    with pytest.raises(UnknownName) as raised:
        found.composition(method)
    assert str(raised.value) == (
        "method 'lame' needs a component that is missing: no generator 'egnn', did you mean 'eggn'?"
    )


def test_composition_with_variants(found: Registry) -> None:
    method = found.method("whole").declaration
    baseline, plain = method.variants

    def names(variant: Variant | None) -> list[str | None]:
        return [part and part.name for part in found.composition(method, variant).values()]

    assert names(None) == ["identity", "eggn", "softmax"]
    assert names(plain) == ["identity", None, "nearest"]
    with pytest.raises(
        UnknownName, match=r"method 'whole', variant 'baseline', needs .*no generator 'tf-vaegann'"
    ):
        names(baseline)


def test_a_folder_is_a_data_set(found: Registry, tmp_path: Path) -> None:
    for name in ("CUB", "MyBirds"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "att_splits.mat").touch()
    one = find_dataset(found, "mybirds", root=tmp_path)
    assert one.declaration.target == "zslbench.data.xlsa17:FolderSource"
    assert (one.plugin.name, one.plugin.distribution) == ("folder", "zslbench")
    assert find_dataset(found, "MyBirds", root=str(tmp_path)) == one
    assert find_dataset(found, "cub", root=tmp_path).plugin.name == "mine"


def test_unknown_data_set_names_the_data_root(found: Registry, tmp_path: Path) -> None:
    (tmp_path / "Sun").mkdir()
    (tmp_path / "Sun" / "att_splits.mat").touch()
    with pytest.raises(UnknownName, match="no dataset 'cubb', did you mean 'cub'") as raised:
        find_dataset(found, "cubb", root=tmp_path)
    assert str(tmp_path) in str(raised.value)
    with pytest.raises(UnknownName, match="did you mean 'sun'"):
        find_dataset(found, "sum", root=tmp_path)


@pytest.mark.parametrize(
    "name", ["my birds", "Vögel", "鳥", "مرغ‌ها", "UCF101/split_1", "a/b/c", "b+c (v2), new", "Zoo [1]"]
)
def test_folders_may_have_any_readable_name(found: Registry, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "att_splits.mat").touch()
    decomposed = unicodedata.normalize("NFD", name.upper())
    for typed in (name, name.upper(), decomposed, f"{name}/", f"folder:{name}"):
        one = find_dataset(found, typed, root=tmp_path)
        assert (one.name, one.plugin.name) == (name.lower(), "folder")
        assert find_folder(tmp_path, one.name) == folder
    assert (name.lower() in folder_components(found, tmp_path)) == (name.count("/") < 2)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("what?", "contains '?'"),
        ("a:b", "contains ':'"),
        (".hidden", "begins with '.'"),
        ("../cub", "begins with '.'"),
        ("/abs/cub", "is empty"),
        ("half", "att_splits.mat is missing"),
        ("nothing", "no such folder"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(found: Registry, tmp_path: Path, name: str, fault: str) -> None:
    for one in ("what?", "a:b", ".hidden", "half"):
        (tmp_path / one).mkdir()
        if one != "half":
            (tmp_path / one / "att_splits.mat").touch()
    with pytest.raises(UnknownName) as raised:
        find_dataset(found, name, root=tmp_path)
    assert fault in str(raised.value)
    assert folder_components(found, tmp_path) == {}


def test_a_plugin_and_a_folder_of_one_name(found: Registry, tmp_path: Path) -> None:
    (tmp_path / "CUB").mkdir()
    assert shadowed_note(find_dataset(found, "cub", root=tmp_path), tmp_path) == ""  # it holds no data set
    (tmp_path / "CUB" / "att_splits.mat").touch()
    theirs, folder = (find_dataset(found, one, root=tmp_path) for one in ("cub", "Folder:Cub"))
    assert (theirs.plugin.name, folder.plugin.name, folder.name) == ("mine", "folder", "folder:cub")
    note = shadowed_note(theirs, tmp_path)
    assert "plugin 'mine'" in note and "folder:cub" in note and str(tmp_path / "CUB") in note
    assert shadowed_note(folder, tmp_path) == ""
    assert list(folder_components(found, tmp_path)) == ["folder:cub"]
    assert dataset_name(found, "cub") == "folder:cub"


def test_a_plugin_that_reads_the_folder_does_not_hide_it(
    entry: Any, plugin: Any, component: Any, tmp_path: Path
) -> None:
    (tmp_path / "CUB").mkdir()
    (tmp_path / "CUB" / "att_splits.mat").touch()
    reads = load_registry(entry_points=[entry("mine", plugin([component("dataset", "cub", folder="CUB")]))])
    assert shadowed_note(find_dataset(reads, "cub", root=tmp_path), tmp_path) == ""
    assert folder_components(reads, tmp_path) == {}
    assert dataset_name(reads, "cub") == "cub"
    assert find_dataset(reads, "folder:cub", root=tmp_path).plugin.name == "folder"
