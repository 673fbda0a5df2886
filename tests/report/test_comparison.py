"""The comparison table: which runs share a row, and what tells rows apart."""

from __future__ import annotations

import math
from typing import Any

import pytest

from zslbench.evaluation.metrics import metrics_named
from zslbench.experiment import PublishedResults
from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.tables.model import Cell, Table
from zslbench.report.tables.render import render


def cells(table: Table, *header: str) -> list[Cell]:
    """The column below a header."""
    (place,) = [i for i, column in enumerate(table.columns) if column.header == header]
    return [row.cells[place] for row in table.rows]


def texts(table: Table, *header: str) -> list[str | None]:
    return [one.text for one in cells(table, *header)]


def test_seeds_share_a_row_with_mean_and_deviation(record: Any) -> None:
    frame = comparison_frame([record(seed=seed, acc=acc) for seed, acc in ((0, 0.2), (1, 0.4), (2, 0.9))])
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["seeds"] == 3
    assert row["Acc_mean"] == pytest.approx(50)
    assert row["Acc_std"] == pytest.approx(math.sqrt((30**2 + 10**2 + 40**2) / 2))
    assert row["H_std"] == pytest.approx(0)
    assert row["differs in"] == ""
    shown = comparison_table([record(seed=seed, acc=acc) for seed, acc in ((0, 0.2), (1, 0.4))])
    assert texts(shown, "cub", "CZSL", "Acc") == ["30.0 ± 14.1"]
    assert texts(shown, "cub", "", "seeds") == ["2"]


def test_a_missing_figure_is_not_averaged_over_the_other_seeds(record: Any) -> None:
    row = comparison_frame([record(seed=0, h=None), record(seed=1, h=0.5)]).iloc[0]
    assert math.isnan(row["H_mean"])
    assert math.isnan(row["H_std"])
    assert row["U_mean"] == 20
    alone = comparison_frame([record(seed=2, h=0.5)]).iloc[0]
    assert alone["H_mean"] == 50
    assert math.isnan(alone["H_std"])


UNLIKE: list[tuple[dict[str, Any], str]] = [
    ({"identity": {"settings/classifier/lr": 0.2}}, "classifier.lr"),
    ({"identity": {"versions/zslbench": "2"}}, "versions.zslbench"),
    ({"identity": {"versions/plugin common": "1 abd"}}, "versions.plugin common"),
    ({"identity": {"execution/threads": 2}}, "execution.threads"),
    ({"identity": {"execution/device": "cuda"}}, "execution.device"),
    ({"identity": {"selection/every": 5}}, "selection.every"),
    ({"identity": {"data/arrays/features": "b" * 64}}, "data.arrays.features"),
    ({"identity": {"components/classifier": "other"}}, "components.classifier"),
]


@pytest.mark.parametrize(("change", "name"), UNLIKE)
def test_unlike_runs_never_share_a_row(record: Any, change: dict[str, Any], name: str) -> None:
    """Not even where they have different seeds: their mean would be of two different things."""
    frame = comparison_frame([record(seed=0), record(seed=1, **change)])
    assert list(frame["seeds"]) == [1, 1]
    assert all(text.startswith(f"{name}=") for text in frame["differs in"])
    assert len(set(frame["differs in"])) == 2
    assert all(len(text) < 60 for text in frame["differs in"])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"variant": "small"}, "method"),
        ({"selection": "oracle"}, "selection"),
        ({"selection": "last"}, "selection"),
        ({"method": "n"}, "method"),
        ({"features": "vit"}, "features"),
        ({"semantics": "sentence"}, "semantics"),
    ],
)
def test_what_has_a_column_of_its_own_needs_no_other(
    record: Any, change: dict[str, Any], column: str
) -> None:
    frame = comparison_frame([record(), record(**change)])
    assert list(frame["seeds"]) == [1, 1]
    assert frame[column].nunique() == 2
    assert set(frame["differs in"]) == {""}
    table = comparison_table([record(), record(**change)])
    assert ("", "", "differs in") not in [one.header for one in table.columns]


def test_every_row_says_what_sets_it_apart(record: Any) -> None:
    """Also the row of the runs that lack what the others have."""
    other = record(identity={"settings/classifier/lr": 0.2, "settings/classifier/beta": 0.5})
    frame = comparison_frame([record(seed=0), record(seed=1), other])
    assert sorted(zip(frame["seeds"], frame["differs in"], strict=True)) == [
        (1, "classifier.beta=0.5, classifier.lr=0.2"),
        (2, "classifier.beta=absent, classifier.lr=0.1"),
    ]


def test_a_searched_setting_is_no_list_of_its_candidates(record: Any) -> None:
    grid = {"identity": {"search": {"classifier.lr": [0.1, 0.2]}}}
    frame = comparison_frame([record(seed=0, **grid), record(seed=1)])
    assert sorted(frame["differs in"]) == ["classifier.lr=0.1", "classifier.lr=searched"]
    wider = {"identity": {"search": {"classifier.lr": [0.1, 0.2, 0.3]}}}
    frame = comparison_frame([record(seed=0, **grid), record(seed=1, **wider)])
    assert len(set(frame["differs in"])) == 2 and all("0.2" in text for text in frame["differs in"])


def test_readers_see_what_is_unusual_and_once_what_is_usual(record: Any) -> None:
    def run(threads: int, lr: float) -> Any:
        return record(identity={"settings/classifier/lr": lr, "execution/threads": threads})

    runs = [run(1, 0.1), run(2, 0.1), run(1, 0.2)]
    table = comparison_table(runs)
    assert sorted(map(str, texts(table, "", "", "differs in"))) == [
        "classifier.lr=0.2",
        "execution.threads=2",
        "nothing unusual",
    ]
    (note,) = [text for text in table.notes if "otherwise" in text]
    assert "classifier.lr=0.1, execution.threads=1" in note
    assert all("lr=" in text and "threads=" in text for text in comparison_frame(runs)["differs in"])


def test_inputs_that_all_rows_share_need_no_column(record: Any) -> None:
    table = comparison_table([record(), record(features="vit")])
    headers = [one.header[2] for one in table.columns]
    assert "features" in headers and "semantics" not in headers and "semantics att" in table.title
    assert "features" in comparison_frame([record()]).columns


def test_methods_by_data_sets(record: Any) -> None:
    runs = [
        record(method=m, dataset=d, h=h)
        for m, d, h in (("b", "sun", 0.1), ("a", "cub", 0.2), ("a", "sun", 0.3))
    ]
    table = comparison_table(runs)
    assert texts(table, "", "", "method") == ["a", "b"]
    assert texts(table, "cub", "GZSL", "H") == ["20.0", None]
    assert texts(table, "sun", "GZSL", "H") == ["30.0", "10.0"]
    assert list(dict.fromkeys(column.header[0] for column in table.columns)) == ["", "cub", "sun"]


def test_the_order_of_the_runs_does_not_matter(record: Any) -> None:
    runs = [record(seed=s, method=m, acc=0.1 * s) for s in (2, 0, 1) for m in ("b", "a")]
    forward, backward = comparison_frame(runs), comparison_frame(runs[::-1])
    assert forward.equals(backward)


def test_what_was_chosen_on_test_images_stands_below(record: Any) -> None:
    modes = ("oracle-scripts", "oracle", "last", "val")
    runs = [record(selection=one, acc=0.5) for one in modes] + [record(method="a", acc=0.5)]
    shown = [(row.cells[0].text, row.cells[1].text) for row in comparison_table(runs).rows]
    found = [mode for method, mode in shown if method == "m"]
    assert shown[0] == ("a", "val") and found == ["val", "last", "oracle†", "oracle-scripts†"]


def test_groups_stand_together(record: Any) -> None:
    groups = {"b": "embedding", "a": "generative", "c": "embedding"}
    table = comparison_table([record(method=m, environment={"group": g}) for m, g in groups.items()])
    assert [(row.group, row.cells[0].text) for row in table.rows] == [
        ("embedding", "b"),
        ("embedding", "c"),
        ("generative", "a"),
    ]


def test_only_like_rows_are_ranked(record: Any) -> None:
    """The best of each selection, features and semantics; nothing that was chosen on test images."""
    runs = [
        record(method="a", acc=0.5),
        record(method="b", acc=0.6),
        record(method="c", acc=0.4),
        record(method="a", acc=0.9, selection="oracle"),
        record(method="b", acc=0.8, selection="oracle"),
        record(method="a", acc=0.7, selection="last"),
        record(method="a", acc=0.8, features="vit"),
    ]
    table = comparison_table(runs)
    found = {
        (name, selection, features): cell.emphasis
        for name, selection, features, cell in zip(
            texts(table, "", "", "method"),
            texts(table, "", "", "selection"),
            texts(table, "", "", "features"),
            cells(table, "cub", "CZSL", "Acc"),
            strict=True,
        )
    }
    assert {key: value for key, value in found.items() if value} == {
        ("b", "val", "res101"): "best",
        ("a", "val", "res101"): "second",
    }
    frame = comparison_frame(runs)
    ranked = frame[frame["Acc_rank"].notna()]
    assert ranked[["method", "Acc_rank"]].to_numpy().tolist() == [["a", "second"], ["b", "best"]]
    # H is the same in all of these runs: all are best and none is second.
    assert {one.emphasis for one in cells(table, "cub", "GZSL", "H")} == {"best", None}


def test_what_the_seeds_cannot_tell_from_the_best_is_tied(record: Any) -> None:
    """Seven seeds: b is always below a; c is now above and now below."""
    noise = [0.01, -0.02, 0.03, -0.01, 0.02, -0.03, 0.0]
    runs = [record(method="a", seed=s, acc=0.6) for s in range(7)]
    runs += [record(method="b", seed=s, acc=0.4 + noise[s] / 10) for s in range(7)]
    runs += [record(method="c", seed=s, acc=0.599 + noise[s]) for s in range(7)]
    frame = comparison_frame(runs).set_index("method")
    assert frame["Acc_tied"].to_dict() == {"a": False, "b": False, "c": True}
    table = comparison_table(runs)
    assert [one.tied for one in cells(table, "cub", "CZSL", "Acc")] == [False, False, True]
    assert any("sign-flip" in text for text in table.notes)
    few = comparison_table([one for one in runs if one.info.seed < 3])
    assert not any(one.tied for one in cells(few, "cub", "CZSL", "Acc"))
    assert any("3 seeds" in text for text in few.notes)


RESULTS = """method,group,citation,dataset,acc,u,s,h,source,semantics,finetuned,features,note
M,generative,A 2020,cub,31.0,20.0,30.0,24.0,Paper,att,no,,
"""


def test_published_figures_and_differences(record: Any) -> None:
    """By hand: Acc 28, 30 and 32 is 30 ± 2; the 95 % interval is 30 ± 4.303 · 2 / √3 = 30 ± 4.97."""
    results = PublishedResults.read(RESULTS, "source,kind,method\nPaper,paper,\n")
    runs = [record(seed=s, acc=acc, u=0.5 + s / 1000) for s, acc in enumerate((0.28, 0.30, 0.32))]
    table = comparison_table(runs, ("published", "difference", "interval"), results)
    assert [row.kind for row in table.rows] == ["", "published", "difference"]
    assert texts(table, "cub", "CZSL", "Acc") == ["30.0 ± 5.0", "31.0", "−1.0"]
    acc, u = (cells(table, "cub", *one)[2] for one in (("CZSL", "Acc"), ("GZSL", "U")))
    assert (acc.mark, u.text, u.mark) == (" ∈", "+30.1", " ∉")
    row = comparison_frame(runs, results).iloc[0]
    assert (row["Acc_published"], row["Acc_verdict"], row["U_verdict"]) == (31.0, "inside", "below")
    assert row["Acc_less_published"] == pytest.approx(-1)
    assert (row["Acc_low"], row["Acc_high"]) == pytest.approx((25.032, 34.968), abs=1e-3)
    assert [one.kind for one in comparison_table(runs, (), results).rows] == [""]
    # Nothing is published of another method, nor of a variant that no ablation prints.
    others = [record(method="n"), record(variant="small")]
    assert [one.kind for one in comparison_table(others, ("published", "difference"), results).rows] == [
        "",
        "",
    ]
    assert comparison_frame(others, results)["Acc_published"].isna().all()


def test_runs_from_before_a_metric_was_measured_have_an_empty_cell(record: Any) -> None:
    table = comparison_table([record(seed=0)], metrics=metrics_named("acc_top5,acc"))
    assert texts(table, "cub", "CZSL", "Acc_top5") == [None]
    assert "–" in render(table, "markdown")
    assert texts(table, "cub", "CZSL", "Acc") == ["50.0"]


def test_external_rows_are_never_ranked(record: Any) -> None:
    runs = [
        record(method="ours", h=0.3),
        record(method="weaker", h=0.2),
        record(method="theirs", h=0.9, selection="external"),
    ]
    ranks = comparison_frame(runs).set_index("method")["H_rank"].dropna()
    assert ranks.to_dict() == {"ours": "best", "weaker": "second"}
    shown = comparison_table(runs)
    assert "external" in [text for text in texts(shown, "", "", "selection") if text]
    assert any(note.startswith("external:") for note in shown.notes)


def test_other_scores_of_one_external_name_and_seed_never_replace_each_other(record: Any) -> None:
    def external(seed: int, digest: str, h: float) -> Any:
        scores = {"source": None, "gzsl": {"form": "scores", "sha256": digest * 64}}
        return record(method="theirs", seed=seed, selection="external", h=h, identity={"external": scores})

    alike = comparison_frame([external(0, "a", 0.5), external(1, "b", 0.7)])
    assert (alike["seeds"].tolist(), alike["H_mean"].tolist()) == ([2], [pytest.approx(60)])
    unlike = comparison_frame([external(0, "a", 0.5), external(0, "b", 0.7)])
    assert sorted(unlike["H_mean"]) == pytest.approx([50, 70])
    assert any("external.gzsl.sha256=bbbbbbbb" in text for text in unlike["differs in"])
