"""Resolving the lines of a suite to recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import SettingsError
from zslbench.experiment import Suite, resolve
from zslbench.experiment.job import requested
from zslbench.experiment.suites.lines import Cell, ResolvedSuite, resolve_suite
from zslbench.plugin import registry
from zslbench.plugin.lookup import Registry

GAN = '[[methods]]\nmethod = "tf-vaegan"\n'
LAB = '[[methods]]\nmethod = "lab"\n'
TWO = 'datasets = ["toy", "there"]\n'


def first_cells(found: ResolvedSuite) -> dict[tuple[str, str], Cell]:
    """By label of a line and data set."""
    return {(cell.line.label, cell.dataset): cell for cell in found.cells}


def value(place: Cell, key: str) -> Any:
    kind, _, name = key.partition(".")
    return place.recipe.parts[kind].values()[name]  # type: ignore[index]


def test_what_is_said_for_all_holds_where_a_method_has_it(known: Registry, suite: Any) -> None:
    head = TWO + "epochs = 7\nsettings.generator.hidden = 8\nsettings.dataset.images_per_class = 5\n"
    places = first_cells(resolve_suite(suite(GAN + LAB, head), known))
    for dataset in ("toy", "there"):
        gan = places["tf-vaegan", dataset]
        assert (value(gan, "generator.hidden"), value(gan, "generator.epochs")) == (8, 7)
        assert places["lab", dataset].recipe is not None  # closed form, without generator
    assert value(places["lab", "toy"], "dataset.images_per_class") == 5


def test_the_nearer_word_wins(known: Registry, suite: Any) -> None:
    head = TWO + "epochs = 7\nevery = 3\nsettings.generator = { hidden = 8, per_class = 3 }\n"
    head += "on.there = { epochs = 6, settings.generator.per_class = 4 }\n"
    row = GAN + "settings.generator.hidden = 9\non.there = { epochs = 5, settings.generator.hidden = 10 }\n"
    mine = suite(row, head)
    toy, there = (first_cells(resolve_suite(mine, known))["tf-vaegan", one] for one in ("toy", "there"))
    keys = ("generator.hidden", "generator.per_class", "generator.epochs")
    assert [value(toy, key) for key in keys] == [9, 3, 7]
    assert [value(there, key) for key in keys] == [10, 4, 5]
    assert (toy.selection.every, there.selection.every) == (3, 3)
    changed = mine.overridden({"generator.hidden": 11, "generator.epochs": 2})
    for dataset in ("toy", "there"):
        place = first_cells(resolve_suite(changed, known))["tf-vaegan", dataset]
        assert [value(place, key) for key in keys[::2]] == [11, 2]


def test_files_are_named_by_rows_not_by_the_whole_suite(known: Registry, suite: Any) -> None:
    head = TWO + 'on.there.regions = "net"\n'
    row = LAB + 'on.toy.regions = "net"\n[[methods]]\nmethod = "lab"\nlabel = "own"\nimages = "photos"\n'
    places = first_cells(resolve_suite(suite(row, head), known))
    assert {key: cell.named for key, cell in places.items()} == {
        ("lab", "toy"): {"regions"}, ("lab", "there"): set(),
        ("own", "toy"): {"images"}, ("own", "there"): {"images"},
    }  # fmt: skip
    assert {key for key, cell in places.items() if cell.files.regions is None} == {("own", "toy")}


def test_a_row_may_name_the_setting_of_its_schedule(known: Registry, suite: Any) -> None:
    places = first_cells(resolve_suite(suite(GAN + "settings.generator.epochs = 4\n", "epochs = 7\n"), known))
    assert value(places["tf-vaegan", "there"], "generator.epochs") == 4


@pytest.mark.parametrize(
    ("rows", "head", "expected"),
    [
        (LAB + "settings.classifier.rige = 1\n", "", "line 'lab' on there: .*did you mean 'ridge'"),
        (LAB + "settings.classifier.ridge = 'x'\n", "", "line 'lab' on there: .*'ridge' = 'x'"),
        (LAB + "epochs = 3\n", "", "line 'lab' on there: .*no schedule"),
        (
            LAB + 'variants = "weka"\n',
            "",
            "line 'lab .weka.' on there: method 'lab' has no variant 'weka'.*'weak'",
        ),
        (LAB + 'readings = "coed"\n', "", "has no reading 'coed', did you mean 'code'"),
        (LAB + 'preset = "none-such"\n', "", "no preset 'none-such'"),
        (LAB, "settings.classifier.rige = 1\n", "no line has setting 'classifier.rige', did you mean"),
    ],
)
def test_what_no_method_has_is_an_error_of_the_line(
    known: Registry, suite: Any, rows: str, head: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        resolve_suite(suite(rows, head), known)
    assert "mine.toml" in str(caught.value)


COMPOSED = """[[methods]]
embedding = "identity"
generator = "tf-vaegan"
classifier = "lab-ridge"
"""


def test_a_composition_takes_its_components_settings(known: Registry, suite: Any) -> None:
    row = COMPOSED + "epochs = 4\nsettings = { generator.hidden = 9, classifier.ridge = 2.5 }\n"
    found = resolve_suite(suite(row + LAB, "settings.classifier.ridge = 3.0\n"), known)
    (mine, lab) = (one for one in found.cells if one.seed == 0)
    assert (mine.line.method, mine.line.group) == ("identity+tf-vaegan+lab-ridge", "generative")
    keys = ("generator.hidden", "generator.epochs", "classifier.ridge")
    assert [value(mine, key) for key in keys] == [9, 4, 2.5]
    assert value(lab, "classifier.ridge") == 3.0
    by_run = resolve(
        known,
        "there",
        components={"embedding": "identity", "generator": "tf-vaegan", "classifier": "lab-ridge"},
        settings={"generator.hidden": 9, "classifier.ridge": 2.5},
        epochs=4,
    )
    assert requested(mine.recipe, mine.selection) == requested(by_run, mine.selection)


def test_a_composition_takes_from_a_methods_preset_what_is_for_shared_components(
    known: Registry, suite: Any
) -> None:
    row = COMPOSED + 'preset = "tf-vaegan:cpu"\n'
    (mine,) = resolve_suite(suite(row), known).cells
    whole = resolve(known, "there", method="tf-vaegan", preset="cpu")
    assert mine.recipe.parts["generator"].values() == whole.parts["generator"].values()
    assert value(mine, "classifier.ridge") == 1.0  # the preset is for another classifier
    alone = '[[methods]]\nembedding = "identity"\nclassifier = "lab-ridge"\npreset = "sc-egg:cub"\n'
    with pytest.raises(
        SettingsError, match="preset sc-egg:cub: has no settings of the components of identity"
    ):
        resolve_suite(suite(alone), known)


def test_a_composition_with_a_methods_preset_and_components_has_the_methods_settings() -> None:
    parts = {"embedding": "apn-frozen", "classifier": "attribute-scores"}
    composed = resolve(registry(), "toy", components=parts, preset="apn-frozen:toy")
    method = resolve(registry(), "toy", method="apn-frozen", preset="toy")
    assert composed.parts["classifier"].values() == method.parts["classifier"].values()
    # The method has it, not the preset; by itself the classifier has one head.
    assert list(composed.parts["classifier"].values()["head_weights"]) == [1.0, 0.0]


def test_a_component_of_a_composition_that_no_plugin_provides(known: Registry, suite: Any) -> None:
    row = COMPOSED.replace("lab-ridge", "lab-rigde")
    (mine,) = resolve_suite(suite(row), known).cells
    assert mine.status == "no plugin"
    assert mine.reason.startswith("no plugin provides classifier 'lab-rigde', did you mean 'lab-ridge'")


def test_every_is_for_the_selections_that_have_it(known: Registry, suite: Any) -> None:
    found = resolve_suite(suite(GAN, 'every = 3\nselect = ["val", "oracle-scripts"]\n'), known)
    assert {one.selection.mode: one.selection.every for one in found.cells} == {
        "val": 3,
        "oracle-scripts": None,
    }
    # A part of the suite has the same cells, so that it finds the same runs.
    for mode in ("val", "oracle-scripts"):
        whole = suite(GAN, 'every = 3\nselect = ["val", "oracle-scripts"]\n')
        part = resolve_suite(whole.narrowed(select=[mode]), known)
        assert [one.id for one in part.cells] == [one.id for one in found.cells if one.selection.mode == mode]
    with pytest.raises(SettingsError, match="every 3 epochs"):
        resolve_suite(suite(GAN, 'every = 3\nselect = "oracle-scripts"\n'), known)


def test_a_setting_of_the_command_line_that_no_line_has(known: Registry, suite: Any) -> None:
    other = '[[methods]]\nmethod = "absent"\n'
    # A file may set what only a missing plugin could have; a command line may not.
    found = resolve_suite(suite(LAB + other, "settings.generator.x = 1\n"), known)
    (remark,) = [one for one in found.remarks if "generator.x" in one]
    assert remark.startswith("no line has setting 'generator.x'")
    with pytest.raises(SettingsError, match=r"no line has setting 'generator\.x'"):
        resolve_suite(suite(LAB + other).overridden({"generator.x": 1}), known)


def test_a_part_need_not_have_what_the_whole_has(known: Registry, suite: Any) -> None:
    whole = suite(GAN + LAB, "settings.generator.hidden = 8\n")
    part = resolve_suite(whole.narrowed(methods=["lab"]), known)
    assert part.cells[0].status == "to run"


def test_what_nobody_provides(known: Registry, suite: Any) -> None:
    rows = "".join(f'[[methods]]\nmethod = "{one}"\n' for one in ("labb", "wanting", "zzz"))
    found = resolve_suite(suite(rows + LAB, 'datasets = ["there", "nowhere"]'), known)
    cells = first_cells(found)
    assert {one.status for key, one in cells.items() if key[0] != "lab"} == {"no plugin"}
    reasons = {key[0]: one.reason for key, one in cells.items()}
    assert reasons["labb"] == "no plugin provides method 'labb', did you mean 'lab'?"
    assert reasons["wanting"] == "no plugin provides classifier 'nobody-s'"
    assert reasons["zzz"] == "no plugin provides method 'zzz'"
    assert cells["lab", "there"].status == "to run"
    nowhere = cells["lab", "nowhere"]
    assert nowhere.status == "no data"
    assert "no dataset 'nowhere'" in nowhere.reason


def test_lines_say_what_their_figures_are_compared_with(known: Registry, suite: Any) -> None:
    rows = LAB + 'variants = ["full", "weak"]\n'
    rows += LAB + 'label = "A"\n' + LAB + 'label = "B"\npublished = "DAZLE"\nvariants = "weak"\n'
    rows += LAB + 'label = "C"\npublished = false\nvariants = "weak"\ngroup = "generative"\n'
    lines = resolve_suite(suite(rows), known).lines
    found = {one.label: (one.variant, one.published, one.published_variant, one.group) for one in lines}
    assert found == {
        "lab": (None, "lab", "full", "embedding"),
        "lab (weak)": ("weak", "lab", "weak", "embedding"),
        "A": (None, "lab", None, "embedding"),
        "B": ("weak", "DAZLE", None, "embedding"),
        "C": ("weak", None, None, "generative"),
    }
    # The published results have the group of a method that no plugin provides.
    absent = "".join(f'[[methods]]\nmethod = "{one}"\n' for one in ("dazle", "f_clswgan", "zzz"))
    groups = [one.group for one in resolve_suite(suite(absent), known).lines]
    assert groups == ["embedding", "generative", ""]


def test_a_variant_leaves_out_what_it_does_not_have(known: Registry, suite: Any) -> None:
    rows = LAB + 'variants = ["full", "solid"]\nsettings.classifier.ridge = 2.5\n'
    found = resolve_suite(suite(rows), known)
    assert value(first_cells(found)["lab", "there"], "classifier.ridge") == 2.5
    (remark,) = found.remarks
    assert remark.startswith("lab (solid): variant 'solid' has no classifier.ridge")


def test_a_preset_lies_beside_the_suite(
    known: Registry, suite: Callable[..., Suite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.toml").write_text("[classifier]\nridge = 3.5\n", "utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    mine = suite(LAB + 'preset = "my.toml"\n')
    assert value(first_cells(resolve_suite(mine, known))["lab", "there"], "classifier.ridge") == 3.5
    (elsewhere / "my.toml").write_text("[classifier]\nridge = 4.5\n", "utf-8")
    given = mine.overridden({}, "my.toml")  # on the command line: relative to the working directory
    assert value(first_cells(resolve_suite(given, known))["lab", "there"], "classifier.ridge") == 4.5


def test_a_preset_that_no_line_has(known: Registry, suite: Any) -> None:
    with pytest.raises(SettingsError, match=r"no line has preset 'cpuu', did you mean .*'cpu'"):
        resolve_suite(suite(GAN + LAB, 'preset = "cpuu"\n'), known)
    with pytest.raises(SettingsError, match="no line has preset 'cpuu'"):
        resolve_suite(suite(GAN + LAB).overridden({}, "cpuu"), known)


def test_published_results_that_there_are_not(known: Registry, suite: Any) -> None:
    with pytest.raises(SettingsError, match=r"line 'lab': .*'DAZEL', did you mean 'DAZLE'"):
        resolve_suite(suite(LAB + 'published = "DAZEL"\n'), known)
    with pytest.raises(
        SettingsError, match=r"no.*source 'SC-EGG Table 1', did you mean 'SC-EGG IJCAI-22 Table 1'"
    ):
        resolve_suite(suite(LAB, 'published_source = "SC-EGG Table 1"\n'), known)


def test_a_published_method_is_no_misspelt_one(known: Registry, suite: Any) -> None:
    found = resolve_suite(suite('[[methods]]\nmethod = "dvbe"\n'), known)
    assert first_cells(found)["dvbe", "there"].reason == "no plugin provides method 'dvbe'"


def test_a_preset_for_all_lines_is_one_where_a_method_has_it(known: Registry, suite: Any) -> None:
    places = first_cells(resolve_suite(suite(GAN + LAB, 'preset = "cpu"\n'), known))
    gan, lab = (places[name, "there"].recipe for name in ("tf-vaegan", "lab"))
    assert (gan.preset, lab.preset) == ("cpu", None)


def test_a_row_runs_on_the_data_sets_that_it_names(known: Registry, suite: Any) -> None:
    rows = LAB + GAN + 'datasets = ["there"]\n'
    mine = suite(rows, TWO + "seeds = 2\n")
    found = resolve_suite(mine, known)
    assert {(cell.line.label, cell.dataset) for cell in found.cells} == {
        ("lab", "toy"),
        ("lab", "there"),
        ("tf-vaegan", "there"),
    }
    assert [row.method for row in mine.narrowed(datasets=["toy"]).rows] == ["lab"]
    for wrong in ('datasets = ["elsewhere"]\n', "datasets = []\n"):
        with pytest.raises(SettingsError):
            suite(LAB + wrong, TWO)
