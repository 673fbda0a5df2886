"""The printed figures that a method declares."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from zslbench import Method
from zslbench.errors import PluginError
from zslbench.experiment.published import published_ablation
from zslbench.plugin.discovery import registry

HEAD = "variant,method,dataset,acc,u,s,h,source,note\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A method that declares this text as its printed figures."""
    package = tmp_path / "printed_fake"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "printed_fake", raising=False)  # another test's

    def make(text: str | bytes) -> Method:
        content = text.encode() if isinstance(text, str) else text
        (package / "figures.csv").write_bytes(content)
        return Method(
            name="m", embedding="e", classifier="c", summary="", published="printed_fake:figures.csv"
        )

    return make


def test_figures_by_variant_and_data_set(write: Any) -> None:
    rows = "full,M (full),CUB,75.1,64.1,73.6,68.5,Table 2,\nno-x,M w/o X,CUB,71.0,,69.9,,Table 2,a note\n"
    found = published_ablation(write(HEAD + rows))
    assert set(found) == {("full", "cub"), ("no-x", "cub")}
    assert found["full", "cub"].figures == {"Acc": 75.1, "U": 64.1, "S": 73.6, "H": 68.5}
    one = found["no-x", "cub"]
    assert (one.figures["Acc"], one.source, one.note) == (71.0, "Table 2", "a note")
    assert math.isnan(one.figures["H"])


def test_a_method_without_printed_figures() -> None:
    assert published_ablation(Method(name="m", embedding="e", classifier="c", summary="")) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("variant,dataset,acc,u,s\n", "no column h, source, note"),
        ("", "no column variant, dataset"),
        (HEAD + "full,M,CUB,high,1,1,1,T,\n", "line 2: a figure is not a percentage"),
        (
            HEAD + "full,M,CUB,1,1,1,1,T,\nfull,M,cub,2,2,2,2,T,\n",
            "line 3: variant 'full' on cub",
        ),
        (HEAD + "full,M,CUB,751,1,1,1,T,\n", "line 2: a figure is not a percentage"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_what_is_no_table_of_figures(write: Any, text: str | bytes, words: str) -> None:
    with pytest.raises(PluginError, match="method 'm': published figures printed_fake:fig") as caught:
        published_ablation(write(text))
    assert words in str(caught.value)


@pytest.mark.parametrize("target", ["printed_fake:gone.csv", "package_that_is_nowhere:figures.csv"])
def test_a_file_that_is_not_there(write: Any, target: str) -> None:
    write(HEAD)
    method = Method(name="m", embedding="e", classifier="c", summary="", published=target)
    with pytest.raises(PluginError, match="cannot be read"):
        published_ablation(method)


def test_table_2_of_sc_egg(real_data: Path) -> None:
    """Every figure of the reference file, and every variant of the method on both data sets."""
    method = registry().method("sc-egg").declaration
    found = published_ablation(method)
    assert set(found) == {(one.name, dataset) for one in method.variants for dataset in ("cub", "sun")}
    reference = real_data.parent / "reference" / "published_ablation.csv"
    if not reference.is_file():
        pytest.skip(f"{reference} is not there")
    for row in csv.DictReader(reference.open()):
        one = found[row["variant"], row["dataset"].lower()]
        for name in ("acc", "u", "s", "h"):
            assert one.figures[name.capitalize()] == float(row[name])
        assert (one.source, one.note) == (row["source"], row["note"])
