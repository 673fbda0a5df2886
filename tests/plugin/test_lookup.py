"""Looking names up: what is found, and what is said where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zslbench import Variant
from zslbench.data.locations import find_dataset
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


def test_a_folder_that_nobody_could_type_is_left_out(found: Registry, tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    (tmp_path / "my data" / "att_splits.mat").touch()
    with pytest.raises(UnknownName):
        find_dataset(found, "my data", root=tmp_path)
