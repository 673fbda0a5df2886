"""The packaged results: every row of the reference, in a documented order."""

from __future__ import annotations

import csv
import math
import re
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest

from zslbench.errors import DataError
from zslbench.experiment import PublishedResults, PublishedRow
from zslbench.experiment.published import normal

TABLE1 = "SC-EGG IJCAI-22 Table 1"
HEAD = "method,group,citation,dataset,acc,u,s,h,source,semantics,finetuned,features,note\n"
SOURCES = (
    "source,kind,method\nPaper,paper,M\nCode,release,M\nSurvey,survey,\nOther,paper,N\nAgain,reproduction,\n"
)


@pytest.fixture(scope="module")
def known() -> PublishedResults:
    return PublishedResults.load()


def read(*lines: str) -> PublishedResults:
    return PublishedResults.read(HEAD + "".join(f"{line}\n" for line in lines), SOURCES)


def line(source: str, h: str = "50.0", semantics: str = "att", finetuned: str = "no", u: str = "50.0") -> str:
    return f"M,generative,A 2020,cub,60.0,{u},50.0,{h},{source},{semantics},{finetuned},,"


def reference(real_data: Path) -> list[dict[str, str]]:
    path = real_data.parent / "reference" / "published_results.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_of_the_reference_is_there(known: PublishedResults, real_data: Path) -> None:
    rows = reference(real_data)
    assert len(rows) == len(known.rows) == 242
    for given, found in zip(rows, known.rows, strict=True):
        assert (found.method, found.group, found.citation) == (
            given["method"],
            given["type"],
            given["citation"],
        )
        assert (found.dataset, found.source) == (given["dataset"].lower(), given["source"])
        assert (found.semantics, found.finetuned) == (given["semantics"], given["finetuned"] == "yes")
        for name in ("Acc", "U", "S", "H"):
            assert found.printed[name] == given[name.lower()]
        if given["h_recomputed"]:
            assert found.h_recomputed == pytest.approx(float(given["h_recomputed"]), abs=0.0051)
        # Notes are kept; what they say of features and of a wrong H has fields of its own.
        said = {part for part in given["note"].split("; ") if part and not part.startswith("printed H")}
        assert said <= {found.features, *found.note.split("; ")}


def independently_disputed(row: dict[str, str]) -> bool:
    """Whether no U and S that round to the printed ones give an H that rounds to the printed one."""
    if not (row["u"] and row["s"] and row["h"]):
        return False
    ends = []
    for name in ("u", "s", "h"):
        whole, _, decimals = row[name].partition(".")
        unit = 10 ** len(decimals)
        number = int(whole + decimals)
        ends.append((Fraction(2 * number - 1, 2 * unit), Fraction(2 * number + 1, 2 * unit)))
    (u0, u1), (s0, s1), (h0, h1) = ends
    # 1/H is the mean of 1/U and 1/S.
    least, most = (1 / ((1 / u + 1 / s) / 2) for u, s in ((u0, s0), (u1, s1)))
    return h1 < least or most < h0


def test_disputed_rows(known: PublishedResults, real_data: Path) -> None:
    rows = reference(real_data)
    expected = {i for i, one in enumerate(rows) if independently_disputed(one)}
    assert {i for i, one in enumerate(known.rows) if one.disputed} == expected
    # All that the reference noted, and one whose H is 0.03 beyond what rounding explains.
    noted = {i for i, one in enumerate(rows) if "disagrees with 2US" in one["note"]}
    assert noted < expected
    assert [known.rows[i].method for i in sorted(expected - noted)] == ["CADA-VAE"]
    for i in expected:
        assert known.rows[i].note.startswith(f"printed H {rows[i]['h']}, but 2US/(U+S)")
        assert f"{known.rows[i].h_recomputed:.2f}" in known.rows[i].note


def test_the_misprint_of_table_1(known: PublishedResults) -> None:
    found = known.find("gcm-cf", "awa2", TABLE1)
    assert found is not None
    assert (found.figures["H"], found.disputed) == (60.3, True)
    quoted = known.find(
        "gcm-cf", "awa2", next(one for one in known.names("source") if one.startswith("Table 2 of"))
    )
    assert quoted is not None
    assert (quoted.figures["H"], quoted.disputed) == (67.0, False)


def test_notes_are_kept(known: PublishedResults) -> None:
    composer = known.find("composer", "cub", TABLE1)
    assert composer is not None
    assert "U and S look swapped" in composer.note
    clswgan = known.find("f-clswgan", "awa2", TABLE1)
    assert clswgan is not None
    assert "probably AWA1" in clswgan.note


def test_all_of_table_1(known: PublishedResults) -> None:
    rows = [one for one in known.rows if one.source == TABLE1]
    assert len(rows) == 17 * 3
    assert {one.dataset for one in rows} == {"cub", "sun", "awa2"}
    for one in rows:
        found = known.find(one.method, one.dataset, TABLE1)
        assert found == one or (one.empty and found is not None and found.source != TABLE1)


@pytest.mark.parametrize(
    ("spelled", "printed"),
    [
        ("sc-egg", "SC-EGG"),
        ("SC_EGG", "SC-EGG"),
        ("f-clswgan", "f-CLSWGAN"),
        ("tf vaegan", "TF-VAEGAN"),
        ("cada-vae", "CADA-VAE"),
        ("sae-s-f", "SAE (S->F)"),
        ("devise", "DeViSE"),
    ],
)
def test_names_in_any_spelling(known: PublishedResults, spelled: str, printed: str) -> None:
    rows = known.all(spelled)
    assert {one.method for one in rows} == {printed}
    assert known.all(spelled, "CUB") == known.all(printed, "cub")


def test_no_two_methods_share_a_normal_form(known: PublishedResults) -> None:
    assert len({normal(name) for name in known.names("method")}) == len(known.names("method"))
    assert "sae" in {normal(name) for name in known.names("method")}  # and SAE (S->F) is another


def test_what_is_not_published(known: PublishedResults) -> None:
    assert known.find("sc-egg", "flo") is None
    assert known.find("eszsl-plus", "cub") is None
    assert known.all("sc") == ()


def test_an_empty_row_never_hides_figures(known: PublishedResults) -> None:
    found = known.find("lisgan", "awa2", TABLE1)  # Table 1 prints dashes
    assert found is not None
    assert (found.source, found.printed["Acc"]) == ("uqzhichen/SDGZSL README", "70.6")
    assert known.all("lisgan", "awa2", TABLE1)[-1].empty


def sources(rows: tuple[PublishedRow, ...]) -> list[str]:
    return [one.source for one in rows]


def test_the_nearest_to_the_authors_first() -> None:
    found = read(*(line(one) for one in ("Again", "Other", "Survey", "Code", "Paper")))
    assert sources(found.all("m", "cub")) == ["Paper", "Code", "Survey", "Other", "Again"]
    origins = [one.origin for one in found.all("m", "cub")]
    assert origins == ["own paper", "own release", "survey", "quoted in a paper", "reproduction"]
    assert sources(found.all("m", "cub", "Again"))[0] == "Again"


def test_rows_like_our_runs_first() -> None:
    found = read(
        line("Paper", semantics="sent1024"), line("Paper", finetuned="yes"), line("Other"), line("Again")
    )
    first = found.find("m", "cub")
    assert first is not None
    assert (first.source, first.differences()) == ("Other", ())
    assert [one.differences() for one in found.all("m", "cub")][2:] == [
        ("fine-tuned backbone",),
        ("1024-d sentence embeddings",),
    ]
    sentences = found.find("m", "cub", semantics="sentence")
    assert sentences is not None
    assert sentences.semantics == "sent1024"
    named = found.find("m", "cub", "Paper")  # a named source goes before
    assert named is not None
    assert named.differences() == ("fine-tuned backbone",)


def test_rows_whose_h_can_be_checked_first() -> None:
    found = read(line("Paper", u=""), line("Other"))
    assert sources(found.all("m", "cub")) == ["Other", "Paper"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line("Nowhere")], "line 2: source 'Nowhere' is not in sources.csv"),
        ([line("Paper", h="5O.0")], "line 2: a figure is not a percentage"),
        ([line("Paper", h="500")], "line 2: a figure is not a percentage"),
        ([line("Paper"), line("Paper", finetuned="maybe")], "line 3: finetuned 'maybe': write yes or no"),
    ],
)
def test_lines_that_cannot_be_read_are_all_named(lines: list[str], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        read(*lines)
    with pytest.raises(DataError) as caught:
        read(*lines, line("Paper", h="x"))
    assert len(caught.value.faults) == 2


def test_files_that_are_no_tables() -> None:
    with pytest.raises(DataError, match=r"kind 'rumour'.*paper, .*; results.csv: no column source, note"):
        PublishedResults.read(
            HEAD.replace("source,", "").replace(",note", ""), "source,kind,method\nX,rumour,\n"
        )


def test_every_source_is_described_and_used(known: PublishedResults) -> None:
    folder = resources.files("zslbench.experiment").joinpath("published_figures")
    text = folder.joinpath("sources.csv").read_text("utf-8")
    described = [one["source"] for one in csv.DictReader(text.splitlines())]
    assert sorted(described) == sorted(known.names("source"))


def test_figures_are_percentages(known: PublishedResults) -> None:
    for one in known.rows:
        for value in one.figures.values():
            assert math.isnan(value) or 0 <= value <= 100
        assert one.group in ("embedding", "generative")
        assert one.semantics in ("att", "sent1024")
