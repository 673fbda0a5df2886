"""The ablation's table: means, differences by seed, and what is published."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest

from zslbench.evaluation.metrics import METRICS
from zslbench.experiment.published import PublishedRow
from zslbench.experiment.suites.cells import Entry
from zslbench.report.ablation import Ablation
from zslbench.report.tables.render import FORMATS, render

VARIANTS = {"none": "without anything", "some": "without some", "full": "all of it"}


def printed(acc: float, h: float) -> PublishedRow:
    def text(value: float) -> str:
        return "" if math.isnan(value) else str(value)

    return PublishedRow(
        printed={"Acc": text(acc), "U": "", "S": "20.0", "H": text(h)},
        method="m",
        group="generative",
        citation="",
        dataset="cub",
        source="Table 2",
        remark="a note",
    )


def entry(runs: Sequence[Any], failed: Sequence[int] = ()) -> Entry:
    return Entry("done", {one.info.seed: one for one in runs}, dict.fromkeys(failed, "it failed"))


@pytest.fixture
def study(record: Any) -> Any:
    """An ablation whose accuracies and H are given by variant, one for each seed; None: the run failed."""

    studies = itertools.count()

    def make(
        acc: dict[str, list[float | None]], h: dict[str, list[float]] | None = None, **more: Any
    ) -> Ablation:
        entries, study = {}, next(studies)
        for name, values in acc.items():
            runs = [
                record(
                    variant=None if name == "full" else name,
                    seed=seed,
                    acc=value,
                    h=(h or {}).get(name, [0.2] * len(values))[seed],
                    identity={"settings/study": {"number": study}},  # runs of their own
                )
                for seed, value in enumerate(values)
                if value is not None
            ]
            entries[name, "cub", "val"] = entry(
                runs, [seed for seed, value in enumerate(values) if value is None]
            )
        seeds = tuple(range(max(map(len, acc.values()))))
        given: dict[str, Any] = {
            "name": "ablation of m",
            "title": "",
            "lines": (),
            "method": "m [code]",
            "selections": ("val",),
            "seeds": seeds,
            "variants": {name: VARIANTS[name] for name in acc},
            "datasets": ("cub",),
            "entries": entries,
        }
        return Ablation(**(given | more))

    return make


def test_differences_are_taken_seed_by_seed(study: Any) -> None:
    """By hand: full 50 and 70, some 40 and 80. Means 60 and 60; the differences are −10 and +10."""
    frame = study({"some": [0.4, 0.8], "full": [0.5, 0.7]}).frame().set_index("variant")
    assert frame["Acc_mean"].tolist() == pytest.approx([60, 60])
    assert frame["Acc_std"].tolist() == pytest.approx([math.sqrt(800), math.sqrt(200)])
    assert frame.loc["some", "Acc_diff_mean"] == pytest.approx(0)
    assert frame.loc["some", "Acc_diff_std"] == pytest.approx(math.sqrt(200))
    # A constant gap has no spread, however far the seeds are apart.
    table = study({"some": [0.2, 0.5, 0.8], "full": [0.3, 0.6, 0.9]}).table()
    assert table["cub", "Δ to full", "Acc"].tolist() == ["−10.0 ± 0.0", None]
    assert table["cub", "CZSL", "Acc"].tolist() == ["50.0 ± 30.0", "60.0 ± 30.0"]
    assert table["", "", "variant"].tolist() == ["without some", "all of it"]


def test_a_seed_that_one_lacks_is_in_no_difference(study: Any) -> None:
    """Seed 1 of the variant failed: its mean is of seeds 0 and 2, and so are the differences."""
    found = study({"some": [0.4, None, 0.6], "full": [0.5, 0.9, 0.5]})
    row = found.frame().set_index("variant").loc["some"]
    assert (row["seeds"], row["failed"], row["state"]) == (2, 1, "failed")
    assert row["Acc_mean"] == pytest.approx(50)
    assert row["Acc_diff_mean"] == pytest.approx(0)  # −10 and +10; over full's three seeds it would be −13.3
    table = found.table()
    assert table["cub", "CZSL", "Acc"].tolist() == ["50.0 ± 14.1 (2)", "63.3 ± 23.1"]
    assert table["cub", "Δ to full", "Acc"].tolist()[0] == "0.0 ± 14.1 (2)"
    assert any(text.startswith("(n): ") for text in found.notes())


def test_cells_without_runs_say_why(study: Any) -> None:
    absent = dict.fromkeys([("some", "sun", "val"), ("full", "sun", "val")], Entry("no data"))
    one = study({"some": [None], "full": [0.5]})
    both = study({"some": [None], "full": [0.5]}, datasets=("cub", "sun"), entries={**one.entries, **absent})
    table = both.table()
    assert table["cub", "CZSL", "Acc"].tolist() == ["failed", "50.0"]
    assert table["sun", "CZSL", "Acc"].tolist() == ["missing", "missing"]
    assert table["cub", "GZSL", "H"].tolist() == [None, "20.0"]
    assert table["cub", "Δ to full", "H"].isna().all()
    frame = both.frame()
    assert frame["state"].tolist() == ["failed", "ok", "missing", "missing"]
    assert frame["Acc_mean"].isna().tolist() == [True, False, True, True]
    without = study({"some": [0.5], "full": [None]})
    assert without.table()["cub", "Δ to full", "Acc"].tolist() == [None, None]


def test_published_figures_stand_beside_ours(study: Any) -> None:
    figures = {("some", "cub"): printed(71.0, 64.2), ("full", "cub"): printed(75.1, 68.5)}
    found = study({"none": [0.1], "some": [0.4], "full": [0.5]}, printed=figures)
    table = found.table()
    assert table["cub", "published", "Acc"].tolist() == [None, "71.0", "75.1"]
    assert table["cub", "published Δ to full", "Acc"].tolist() == [None, "−4.1", None]
    assert table["cub", "published Δ to full", "H"].tolist() == [None, "−4.3", None]
    row = found.frame().set_index("variant").loc["some"]
    assert (row["Acc_published"], row["Acc_diff_published"], row["H_diff_published"]) == (71.0, -4.1, -4.3)
    assert (row["published_source"], row["published_note"]) == ("Table 2", "a note")
    assert "published: Table 2" in found.notes()
    # Nothing is published of another data set: no columns for it.
    other = study({"some": [0.4], "full": [0.5]}, printed={("some", "sun"): printed(1.0, 1.0)})
    assert not [column for column in other.table().columns if "published" in column[1]]
    assert not [name for name in other.frame().columns if "published" in name]
    assert not [text for text in other.notes() if text.startswith("published")]


def test_other_conditions_than_the_published_ones_are_told(study: Any, record: Any) -> None:
    figures = {("full", "cub"): printed(75.1, 68.5)}
    other = entry([record(seed=9, features="vit", semantics="sentence")])
    found = study({"full": [0.5]}, printed=figures, entries={("full", "cub", "val"): other})
    notes = [text for text in found.notes() if "conditions that differ" in text]
    reasons = "class attributes, features other than vit"
    assert len(notes) == 1 and notes[0].startswith("cub: ") and reasons in notes[0]
    assert not [
        text for text in study({"full": [0.5]}, printed=figures).notes() if "conditions that differ" in text
    ]


def test_an_order_that_is_not_the_published_one_is_told(study: Any) -> None:
    figures = {
        ("none", "cub"): printed(60.0, 50.0),
        ("some", "cub"): printed(60.0, 55.0),
        ("full", "cub"): printed(70.0, 60.0),
    }
    found = study(
        {"none": [0.3, 0.4], "some": [0.2, 0.2], "full": [0.5, 0.5]},
        {"none": [0.3, 0.5], "some": [0.2, 0.2], "full": [0.4, 0.4]},
        printed=figures,
    )
    # Acc: none and some are published as equal, so that either may come first. H: none is not the last here.
    assert found.other_order("cub", METRICS["acc"]) is None
    assert found.other_order("cub", METRICS["h"]) == ("full > some > none", "none = full > some")
    (line,) = [text for text in found.notes() if "order" in text]
    assert line.startswith("cub: ") and "H" in line
    assert line.index("full > some > none") < line.index("none = full > some")


def test_what_is_equal_here_and_not_in_print_is_another_order(study: Any) -> None:
    figures = {("some", "cub"): printed(60.0, 55.0), ("full", "cub"): printed(70.0, 60.0)}
    found = study({"some": [0.5], "full": [0.5]}, printed=figures)
    assert found.other_order("cub", METRICS["acc"]) == ("full > some", "some = full")


def test_an_order_is_of_what_both_have(study: Any) -> None:
    figures = {("none", "cub"): printed(99.0, math.nan), ("full", "cub"): printed(70.0, 60.0)}
    found = study({"none": [0.3], "some": [0.9], "full": [0.5]}, printed=figures)
    assert found.other_order("cub", METRICS["acc"]) == ("none > full", "full > none")
    assert found.other_order("cub", METRICS["h"]) is None
    assert study({"none": [None], "full": [0.5]}, printed=figures).other_order("cub", METRICS["acc"]) is None


def test_notes_tell_what_was_reused_and_what_to_beware_of(study: Any, record: Any) -> None:
    found = study({"some": [0.4], "full": [0.5]}, found=1, remarks=("a remark",))
    assert found.notes() == ["a remark", "runs: 1 computed, 1 found in the store"]
    stages = [{"stage": "s", "key": "k", "reused": True, "seconds": 7.0}]
    one = record(seed=9, selection="oracle", environment={"stages": stages})
    oracle = study({"full": [0.5]}, selections=("oracle",), entries={("full", "cub", "oracle"): entry([one])})
    assert "stages: 0 trained in 0 s, 1 reused (saved 7 s)" in oracle.notes()
    assert any(text.startswith("† oracle") for text in oracle.notes())
    assert "oracle†" in oracle.heading()


def test_a_variant_of_unverified_regions_is_marked(study: Any) -> None:
    one = study({"some": [0.5, 0.6], "full": [0.7, 0.8]})
    one.entries["some", "cub", "val"].records[1].data["regions"] = {"verified": False}
    lines = render(one.as_table(), "markdown").splitlines()
    assert ["without some" in line for line in lines if "(unverified)" in line] == [True]
    assert one.frame().set_index("variant")["verified"].to_dict() == {"some": False, "full": True}


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_takes_it(study: Any, fmt: str) -> None:
    figures = {("some", "cub"): printed(71.0, 64.2), ("full", "cub"): printed(75.1, 68.5)}
    found = study({"some": [0.4, 0.5], "full": [0.5, None]}, printed=figures)
    text = render(found.frame() if fmt in ("csv", "json") else found.as_table(), fmt, title=found.heading())
    assert "71.0" in text
    assert "nan" not in text.lower()
    if fmt == "latex":
        assert r"$\Delta$ to full" in text
        assert "45.0 $\\pm$ 7.1 &" in text
        assert "$-$10.0~(1)" in text
