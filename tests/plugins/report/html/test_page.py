"""The page of the suite ``quick``: its numbers, its form, and that it is self-contained."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_reader import Node

from zslbench.report.one_run import run_details
from zslbench.store.record import RunRecord


def figures(record: RunRecord) -> dict[str, float]:
    """Acc, U, S, H of a run in percent, from its single predictions."""
    table = record.table("predictions")

    def mean(side: str, column: str) -> float:
        rows = table[table["side"] == side]
        return 100 * statistics.fmean(float(one[column].mean()) for _, one in rows.groupby("label"))

    acc, u, s = (
        mean("unseen", "czsl_correct"), mean("unseen", "gzsl_correct"), mean("seen", "gzsl_correct"),
    )  # fmt: skip
    return {"Acc": acc, "U": u, "S": s, "H": 2 * u * s / (u + s) if u + s else 0.0}


def mean_std(values: list[float]) -> str:
    return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"


def test_every_number_of_the_headline_follows_from_the_predictions(
    quick_page: Node, quick_store: Any
) -> None:
    _, outcome = quick_store
    table = quick_page.one("section", id="results").one("table")
    rows = table.rows()
    names = next(row for row in rows if row[:2] == ["method", "Acc"])
    assert names == ["method", "Acc", "U", "S", "H", "audit"]
    found: dict[tuple[str, str], list[str]] = {}
    line = ""
    for row in rows[rows.index(names) + 1 :]:
        if len(row) == len(names):
            line = line if row[0].startswith("oracle") else row[0]
            found[line, "oracle" if row[0].startswith("oracle") else "val"] = row[1:5]
    expected = {
        (label, selection): [
            mean_std([figures(record)[name] for record in entry.records.values()])
            for name in ("Acc", "U", "S", "H")
        ]
        for (label, _, selection), entry in outcome.entries.items()
        if entry.records
    }
    assert len(expected) == 8
    assert found == expected


def test_ausuc_is_the_area_under_the_drawn_curve(quick_page: Node, quick_store: Any) -> None:
    _, outcome = quick_store
    section = quick_page.one("section", id="curves")
    (panel,) = section.all("table")
    shown = {row[0]: row[1] for row in panel.rows()[1:]}

    def area(record: RunRecord) -> float:
        curve = record.table("curve").sort_values(["unseen", "seen"], ascending=[True, False])
        return 100 * float(np.trapezoid(curve["seen"], curve["unseen"]))

    expected = {
        label: mean_std([area(record) for record in entry.records.values()])
        for (label, _, selection), entry in outcome.entries.items()
        if selection == "val"
    }
    assert shown == expected
    label = section.one("svg", role="img").attributes["aria-label"]
    assert all(f"{name} {value}" in label for name, value in expected.items())


def test_worst_classes_come_first(quick_page: Node, quick_store: Any) -> None:
    _, outcome = quick_store
    tables = quick_page.one("section", id="classes").all("table")
    assert len(tables) == 4  # the fourth is of intervals
    unseen = tables[0].rows()
    means = [int(row[2]) for row in unseen[1:]]
    assert means == sorted(means)
    labels = [label for label, _, selection in outcome.entries if selection == "val"]
    assert unseen[0] == ["class", "test images", "mean", *labels]
    first = next(iter(outcome.entries.values())).records[0].table("classes").set_index("name")
    for row in unseen[1:]:
        assert first.loc[row[0], "side"] == "unseen"
        assert int(row[1]) == first.loc[row[0], "images"]
        expected = [
            100
            * statistics.fmean(
                float(record.table("classes").set_index("name").loc[row[0], "gzsl_accuracy"])
                for record in outcome.entries[label, "toy", "val"].records.values()
            )
            for label in labels
        ]
        assert [int(cell) for cell in row[3:]] == pytest.approx(expected, abs=0.51)


def test_one_run_has_intervals_over_classes(quick_page: Node, quick_store: Any) -> None:
    _, outcome = quick_store
    header, *rows = quick_page.one("section", id="classes").all("table")[-1].rows()
    assert header == ["method", "seed", "Acc", "U", "S", "H"]
    assert [row[0] for row in rows] == [line.label for line in outcome.lines]
    for row in rows:
        entry = outcome.entries[row[0], "toy", "val"]
        record = entry.records[int(row[1])]
        middle = sorted(float(one.metrics["h"]) for one in entry.records.values())[1]
        assert float(record.metrics["h"]) == middle
        shown = {
            one["name"]: one["value"] for one in run_details(record) if one["about"] == "95 % over classes"
        }
        for name, cell in zip(header[2:], row[2:], strict=True):
            value, low, high = map(float, re.findall(r"[\d.]+", cell))
            assert value == pytest.approx(figures(record)[name], abs=0.051)
            assert low < value < high
            assert [round(float(one), 1) for one in re.findall(r"\d+\.\d+", shown[name])] == [low, high]
            assert f"({20 if name == 'H' else 15 if name == 'S' else 5} classes" in shown[name]


def test_the_page_requests_nothing(quick_html: str, quick_page: Node) -> None:
    for node in quick_page.walk():
        assert node.tag not in (
            "link",
            "base",
            "iframe",
            "object",
            "embed",
            "audio",
            "video",
            "source",
            "form",
        )
        for name, value in node.attributes.items():
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset", "background", "data"):
                assert value.startswith(("#", "data:image/")), f"{node.tag} {name}={value[:80]}"
            assert not name.startswith("on"), f"{node.tag} {name}"
            if name != "xmlns":
                assert "//" not in value or value.startswith("data:"), f"{node.tag} {name}={value[:80]}"
            assert not re.search(r"url\((?!#)", value)
    style, script = quick_page.one("style").text, " ".join(one.text for one in quick_page.all("script"))
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"fetch|XMLHttp|WebSocket|sendBeacon|import\s*\(|\.src\b", script)


def test_ids_are_unique_and_references_have_targets(quick_page: Node) -> None:
    ids = [node.attributes["id"] for node in quick_page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in quick_page.walk():
        for name, value in node.attributes.items():
            if name in ("href", "xlink:href"):
                assert value[1:] in ids, value
            if name in ("aria-labelledby", "aria-controls", "for"):
                assert value in ids, value
            for target in re.findall(r"url\(#([^)]*)\)", value):
                assert target in ids, target


def test_charts_follow_the_mode_and_can_be_read_out(quick_html: str, quick_page: Node) -> None:
    charts = quick_page.all("svg", role="img")
    assert len(charts) > 15
    for chart in charts:
        assert chart.attributes["aria-label"] == chart.one("title").text != ""
        assert "viewbox" in chart.attributes
        assert "width" not in chart.attributes
    assert "#fe01" not in quick_html  # no stand-in is left
    drawn = "".join(
        node.attributes.get("style", "")
        for chart in charts
        for node in chart.walk()
        if node.tag in ("path", "use", "text")
    )
    assert not re.search(r"#[0-9a-f]{3,6}\b", drawn), "a colour that no mode can change"
    assert "DejaVu" not in drawn


def test_the_contents_list_the_sections(quick_page: Node) -> None:
    sections = [node.attributes["id"] for node in quick_page.one("main").all("section")]
    links = [node.attributes["href"][1:] for node in quick_page.one("nav").all("a")]
    assert sections == links
    assert {"results", "protocol", "audits", "curves", "classes", "confusion", "training"} <= set(sections)
    assert {"attention", "settings", "runs", "provenance"} <= set(sections)
    assert "tsne" not in sections and "missing" not in sections and "ablation" not in sections


def test_the_protocol_says_how_each_number_was_selected(quick_page: Node, quick_store: Any) -> None:
    _, outcome = quick_store
    section = quick_page.one("section", id="protocol")
    assert [one.text for one in section.all("dt")][:2] == ["val ranking", "oracle"]
    assert "4 of 15 seen classes" in section.text
    rows = section.one("table").rows()[1:]
    assert len(rows) == len(outcome.records) == 24
    for row, record in zip(rows, outcome.records, strict=True):
        assert row[2:4] == [record.info.selection, str(record.info.seed)]
        if record.info.selection == "val":
            assert row[7:] == ["validation H", f"{100 * record.metrics['val_h']:.1f}"]
            assert row[4] == str(record.metrics["epochs"] or "–")


def test_methods_link_to_their_audits(quick_page: Node) -> None:
    links = quick_page.one("section", id="results").all("a", class_="chip")
    assert len(links) == 4
    audits = quick_page.one("section", id="audits")
    for link in links:
        target = audits.one("details", id=link.attributes["href"][1:])
        assert link.text == "not audited"
        assert "zslbench audit" in target.text


def test_settings_show_only_what_differs(quick_page: Node) -> None:
    section = quick_page.one("section", id="settings")
    table = section.all("table", class_="settings")[0].rows()
    assert table[0] == ["setting", "eszsl", "tf-vaegan", "sc-egg [paper]", "sc-egg [authors]"]
    rows = {row[0]: row[1:] for row in table[1:]}
    assert rows["reading"] == ["–", "–", "paper", "authors"]
    assert rows["classifier"] == ["eszsl", "softmax", "softmax", "softmax"]
    assert "generator.per_class" not in rows  # 50 everywhere
    for values in rows.values():
        assert len({value for value in values if value != "–"}) > 1


def test_hashes_of_the_data_are_shown_once(quick_page: Node, quick_store: Any) -> None:
    _, outcome = quick_store
    text = quick_page.one("section", id="provenance").text
    for one in outcome.records[0].data["arrays"]:
        assert text.count(one["sha256"]) == 1
    assert "all runs" in text
    rows = [row for table in quick_page.one("section", id="provenance").all("table") for row in table.rows()]
    for pair in outcome.records[-1].info.identity["versions"].items():
        assert [*pair] in rows


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(quick_html: str, quick_store: Any, tmp_path: Path) -> None:
    store, _ = quick_store
    file = tmp_path / "r.html"
    made = subprocess.run(
        [sys.executable, "-m", "zslbench", "report", "quick", "--without", "tsne", "-o", str(file)],
        env={**os.environ, "ZSLBENCH_STORE": str(store.root), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == str(file)
    assert file.read_text(encoding="utf-8") == quick_html
    assert len(quick_html) < 3_000_000
