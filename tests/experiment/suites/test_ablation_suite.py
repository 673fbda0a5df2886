"""What an ablation settles before its first run."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from zslbench import Component, Method, Variant
from zslbench.errors import SettingsError, UnknownName
from zslbench.experiment import datasets as loading
from zslbench.experiment.datasets import DataFiles, DatasetCache
from zslbench.experiment.options import FitOptions
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.experiment.suites.from_options import ablation_suite
from zslbench.experiment.suites.lines import ResolvedSuite, resolve_suite
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with

BASE: dict[str, Any] = {"name": "m", "embedding": "e", "classifier": "c", "summary": "s"}
SMALL = {"dataset.images_per_class": 5}


def method(*names: str) -> Method:
    return Method(**BASE, variants=tuple(Variant(name=name, summary=name) for name in names))


def rows(declared: Method, variants: list[str] | None) -> list[str]:
    suite = ablation_suite(declared, variants, ["toy"], [0], "last", FitOptions())
    return [str(row.label) for row in suite.rows]


def test_rows_are_in_declared_order_and_the_whole_is_among_them() -> None:
    assert rows(method("b", "full", "a"), None) == ["b", "full", "a"]
    assert rows(method("b", "a"), None) == ["b", "a", "full"]
    assert rows(method("b", "full", "a"), ["a"]) == ["full", "a"]
    assert rows(method("b", "a"), ["full"]) == ["full"]
    with pytest.raises(UnknownName, match="no variant 'c', known: a, b, full"):
        rows(method("b", "a"), ["a", "c"])
    with pytest.raises(SettingsError, match="method 'm' has no variants"):
        rows(method(), None)


PART = Variant(name="part", summary="s", settings={"generator.feedback": False})
CLOSED = Variant(name="closed", summary="s", components={"generator": None, "classifier": "eszsl"})
GAN = Method(
    name="gan",
    embedding="identity",
    generator="tf-vaegan",
    classifier="softmax",
    summary="s",
    variants=(PART, CLOSED),
)


@pytest.fixture(scope="module")
def known() -> Registry:
    """The installed plugins, the method ``gan``, and toy under two more names."""
    toy = {"target": "zslbench_datasets.toy:ToySource", "settings": "zslbench_datasets.settings:ToySettings"}
    sets = [Component(kind="dataset", name=name, summary="s", **toy) for name in ("one", "two")]
    plugin = fake_plugin("plan_fake", components=sets, methods=[GAN])
    return registry_with(FakeEntryPoint("plan", "plan_fake", plugin))


def resolved(known: Registry, variants: list[str], datasets: list[str], **options: Any) -> ResolvedSuite:
    suite = ablation_suite(GAN, variants, datasets, [0], "last", FitOptions(**options))
    return resolve_suite(suite, known)


def recipe_of(found: ResolvedSuite, variant: str, dataset: str = "toy") -> Recipe:
    cells = {(cell.line.label, cell.dataset): cell for cell in found.cells}
    return cells[variant, dataset].recipe


def test_every_variant_gets_what_the_user_set(known: Registry) -> None:
    settings = {"generator.hidden": 8, "dataset.seed": 3}
    found = resolved(known, ["part"], ["toy"], settings=settings, epochs=5, preset="tf-vaegan:cpu")
    whole, part = recipe_of(found, "full"), recipe_of(found, "part")
    for recipe in (whole, part):
        assert recipe.parts["generator"].values()["hidden"] == 8
        assert recipe.parts["dataset"].values()["seed"] == 3
        assert (recipe.epochs, recipe.preset) == (5, "tf-vaegan:cpu")
    assert (whole.variant, part.variant, found.remarks) == (None, "part", ())


def test_settings_of_swapped_components_are_ignored_with_a_remark(known: Registry) -> None:
    """In a closed-form variant: no generator, another classifier, and no schedule."""
    given = {"generator.hidden": 8, "classifier.lr": 0.1, "embedding.normalize": "l2"}
    found = resolved(known, ["closed"], ["one", "two"], settings=given, epochs=5)
    for dataset in ("one", "two"):
        recipe = recipe_of(found, "closed", dataset)
        assert list(recipe.parts) == ["dataset", "embedding", "classifier"]
        assert recipe.parts["embedding"].values()["normalize"] == "l2"
    (remark,) = found.remarks
    assert "'closed' has no generator.hidden, classifier.lr, epochs" in remark
    # A typing error is none of these: it is one in the whole method, which is always among the rows.
    with pytest.raises(SettingsError, match="did you mean 'hidden'"):
        resolved(known, ["closed"], ["toy"], settings={"generator.hiden": 8})


def test_a_data_set_is_read_once_for_all_variants(known: Registry) -> None:
    data = DatasetCache(None, lambda text: None)
    first, same, other = (
        resolve(known, "one", method="eszsl", settings=SMALL | more)
        for more in ({}, {"classifier.gamma": 3.0}, {"dataset.seed": 5})
    )
    assert data.load(first, DataFiles())[0] is data.load(same, DataFiles())[0]
    assert data.load(other, DataFiles())[0] is not data.load(first, DataFiles())[0]
    assert data.load(first, DataFiles())[1]["arrays"] != data.load(other, DataFiles())[1]["arrays"]


def test_one_data_set_is_in_memory_at_a_time(known: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    load, loaded = loading.load_dataset, []

    def spy(*arguments: Any, **more: Any) -> Any:
        found = load(*arguments, **more)
        loaded.append(weakref.ref(found))
        return found

    monkeypatch.setattr(loading, "load_dataset", spy)
    data = DatasetCache(None, lambda text: None)
    for name in ("one", "two"):
        data.load(resolve(known, name, method="eszsl", settings=SMALL), DataFiles())
    gc.collect()
    assert [one() is None for one in loaded] == [True, False]
