"""Keys of a suite file, and messages about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from zslbench.errors import SettingsError
from zslbench.experiment.suites.definition import Suite, find_suite, parse

FILE = Path("f.toml")
HEAD = 'datasets = ["toy", "cub"]\n'
ROW = '[[methods]]\nmethod = "m"\n'
COMPOSED = '[[methods]]\nembedding = "e"\nclassifier = "c"\n'


def labels(text: str) -> list[str | None]:
    return [one.label for row in parse(HEAD + text, FILE).methods for one in row.split()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch = 3\n" + ROW, "suite f.toml: no key 'epoch', did you mean 'epochs'?"),
        (ROW + "lable = 'x'\n", "suite f.toml: row 1 (m): no key 'lable', did you mean 'label'?"),
        (
            ROW + '[[methods]]\nmethod = "n"\non.cub.epoch = 1\n',
            "row 2 (n): on cub: no key 'epoch', did you mean 'epochs'?",
        ),
        (
            ROW + "on.cu.epochs = 1\n",
            "row 1 (m): 'on.cu' is not a data set of the suite, did you mean 'cub'?",
        ),
        ('[[methods]]\nmetod = "m"\n', "; row 1 (?): no key 'metod'"),
        (
            '[[methods]]\nembedding = "e"\n',
            "row 1 (?): key 'method' is missing (or 'embedding' and 'classifier'",
        ),
        (COMPOSED + 'method = "m"\n', "row 1 (m): give either 'method', or 'embedding'"),
        (ROW + 'generator = "g"\n', "row 1 (m): give either 'method', or 'embedding'"),
        (COMPOSED + 'variants = "v"\n', "row 1 (?): a composition has no variants"),
        ('[[methods]]\nembedding = 3\nclassifier = "c"\n', "row 1 (?): "),
        (COMPOSED + COMPOSED, "row 1 (e+none+c) and row 2 (e+none+c) are both called 'e+none+c'"),
        (ROW + "settings.genrator.lr = 1\n", "'genrator.lr': write <kind>.<setting>"),
        (ROW + "epochs = 0\n", "row 1 (m): 'epochs' = 0: Input should be greater than 0"),
        (
            'select = "vall"\n' + ROW,
            "'select' = 'vall': Input should be 'last', 'val', 'oracle' or 'oracle-scripts'",
        ),
        ('select = ["val", "val"]\n' + ROW, "'select' = ['val', 'val']: "),
        ("seeds = 2\n" + ROW + "seeds = 3\n", "row 1 (m): 2 is not one of the suite's seeds, 0, 1"),
        ("seeds = [1, 1]\n" + ROW, "'seeds' = [1, 1]: "),
        ("seeds = []\n" + ROW, "'seeds' = []: "),
        ("seeds = 0\n" + ROW, "'seeds' = 0: "),
        ("seeds = [0, -1]\n" + ROW, "'seeds' = -1: "),
        ("methods = []\n", "'methods' = []: "),
        (ROW + ROW, "row 1 (m) and row 2 (m) are both called 'm': give one a 'label'"),
        (ROW + 'variants = ["a", "a"]\n', "are both called 'm (a)'"),
        ("[methods]\nmethod = 'm'\n", "write [[methods]] above each row, not [methods]"),
        ("seeds = \n", "not valid TOML"),
    ],
)
def test_faults_name_the_file_the_row_and_the_nearest_key(text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(HEAD + text, FILE)
    message = str(caught.value)
    assert expected in message
    assert message.startswith("suite f.toml: ")
    assert "\n" not in message


def test_a_faulty_row_is_the_only_fault() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(HEAD + '[[methods]]\nembedding = "e"\n', FILE)
    assert "'methods'" not in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(HEAD + "epoch = 3\n" + ROW + "lable = 'x'\nepochs = 0\n", FILE)
    assert [key for key in ("'epoch'", "'lable'", "'epochs' = 0") if key in str(caught.value)] == [
        "'epoch'",
        "'lable'",
        "'epochs' = 0",
    ]


def test_a_composition_is_called_by_its_components_or_its_label() -> None:
    assert labels(COMPOSED) == ["e+none+c"]
    assert labels(COMPOSED + 'generator = "g"\n') == ["e+g+c"]
    assert labels(COMPOSED + 'label = "mine"\n') == ["mine"]


def test_a_suite_may_be_written_in_python() -> None:
    rows = [{"method": "m"}, {"embedding": "e", "classifier": "c", "settings": {"classifier.x": 1}}]
    found = find_suite({"datasets": "toy", "methods": rows})
    assert [one.label for one in found.rows] == ["m", "e+none+c"]
    assert found.rows[1].settings == {"classifier.x": 1}
    with pytest.raises(SettingsError, match="no key 'lable'"):
        find_suite({"datasets": "toy", "methods": [{"method": "m", "lable": "x"}]})


def test_a_row_is_a_line_for_each_variant_and_reading() -> None:
    assert labels(ROW) == ["m"]
    assert labels(ROW + 'variants = ["full", "weak"]\n') == ["m", "m (weak)"]
    assert labels(ROW + 'readings = ["paper", "code"]\n') == ["m [paper]", "m [code]"]
    assert labels(ROW + 'variants = ["full", "a"]\nreadings = ["p", "c"]\n') == [
        "m [p]",
        "m [c]",
        "m (a) [p]",
        "m (a) [c]",
    ]


def test_a_label_stands_for_the_name_and_for_all_where_there_is_one_line() -> None:
    assert labels(ROW + 'label = "M"\nvariants = "weak"\nreadings = "code"\n') == ["M"]
    assert labels(ROW + 'label = "M"\nreadings = ["paper", "code"]\n') == ["M [paper]", "M [code]"]
    assert labels(ROW + 'label = "M"\nvariants = ["full", "a"]\n') == ["M", "M (a)"]


def test_settings_are_written_nested_or_flat() -> None:
    nested = parse(HEAD + ROW + "settings.generator = { lr = 1, hidden = 2 }\n", FILE)
    flat = parse(HEAD + ROW + 'settings = { "generator.lr" = 1, "generator.hidden" = 2 }\n', FILE)
    assert nested == flat
    assert nested.methods[0].settings == {"generator.lr": 1, "generator.hidden": 2}


def test_one_name_needs_no_list() -> None:
    found = parse('datasets = "toy"\nselect = "val"\npreset = "cpu"\n' + ROW, FILE)
    assert isinstance(found, Suite)
    assert (found.datasets, found.select, found.preset) == (("toy",), ("val",), ("cpu",))
