"""Parts of a report: colours, charts, tables, confusions."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from page_reader import Node, read

from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench_report.html.charts import chart_style, new_chart, thinned
from zslbench_report.html.classes import most_confused, shares
from zslbench_report.html.page import TEMPLATES
from zslbench_report.html.results import headings
from zslbench_report.html.svg import as_svg
from zslbench_report.theme import CLASSES, DARK, LIGHT, METHODS, SHADE, SHADES, ink, tone

# Machado et al. (2009), severity 1, for linear RGB.
VISIONS = {
    "full": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(linear(one) @ [0.2126, 0.7152, 0.0722]) for one in (a, b))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    cones = np.cbrt(
        np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
        @ cones
    )


def mixed(over: str, share: float, below: str) -> str:
    upper = np.array([int(one) for one in over.split()])
    lower = np.array([int(below[at : at + 2], 16) for at in (1, 3, 5)])
    return "#" + "".join(f"{round(one):02x}" for one in share * upper + (1 - share) * lower)


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible_on_every_background(mode: dict[str, str]) -> None:
    dark = mode is DARK
    for text in ("fg", "muted", "accent", "warn", "bad", "good"):
        for ground in ("bg", "surface", "soft"):
            assert contrast(mode[text], mode[ground]) >= 4.5, (text, ground)
    for name, pair in SHADES.items():
        assert contrast(mode["fg"], mixed(pair[dark], SHADE, mode["surface"])) >= 4.5, name


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
def test_method_colours_differ_for_every_kind_of_colour_vision(mode: dict[str, str]) -> None:
    colours = [mode[f"m{place}"] for place in range(METHODS)]
    for colour in colours:
        assert contrast(colour, mode["surface"]) >= 3.0, colour
    for name, vision in VISIONS.items():
        seen = [oklab(vision @ linear(colour)) for colour in colours]
        least = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
        assert least >= 0.10, (name, least)


def test_class_colours_contrast_with_the_surface() -> None:
    for light, dark in CLASSES:
        assert contrast(light, LIGHT["surface"]) >= 2.4
        assert contrast(dark, DARK["surface"]) >= 3.0


def test_28_methods_have_28_styles() -> None:
    tones = [tone(place) for place in range(28)]
    assert len(set(tones)) == 28
    assert len({one.colour for one in tones[:METHODS]}) == METHODS
    assert len({one.marker for one in tones[:METHODS]}) == METHODS


def test_charts_share_no_id_and_labels_are_verbatim() -> None:
    made = []
    for key in ("a-1", "a-2"):
        with chart_style():
            figure, axes = new_chart(4.0, 3.0)
            axes.plot([0, 1], [0, 1], marker="o", color=ink("m0"))
            axes.text(0.5, 0.5, r"$\frac{<b> & $ x_1")
            made.append(str(as_svg(figure, key, 'two "lines" & <more>')))
    ids = [set(re.findall(r'\bid="([^"]*)"', one)) for one in made]
    assert ids[0] and not ids[0] & ids[1]
    for one, own in zip(made, ids, strict=True):
        used = set(re.findall(r"url\(#([^)]*)\)", one)) | set(re.findall(r'href="#([^"]*)"', one))
        assert used == own
        assert r"$\frac{&lt;b&gt; &amp; $ x_1" in one
        assert "var(--m0)" in one and "#fe01" not in one
        assert 'aria-label="two &quot;lines&quot; &amp; &lt;more&gt;"' in one
    assert made[0].replace("a-1", "a-2") == made[1]


@given(
    arrays(float, st.integers(1, 60), elements=st.floats(0, 100)),
    st.floats(0.1, 30),
)
def test_a_thinned_line_has_both_ends_and_deviates_less_than_the_step(y: np.ndarray, step: float) -> None:
    x = np.arange(len(y), dtype=float)
    kept_x, kept_y = thinned(x, y, step)
    assert (kept_x[0], kept_x[-1], kept_y[-1]) == (0, len(y) - 1, y[-1])
    assert set(kept_x) <= set(x)
    for place in range(len(y)):
        last = int(np.searchsorted(kept_x, place, side="right")) - 1
        if place not in kept_x:
            assert abs(kept_y[last] - y[place]) < step and place - kept_x[last] < step


def test_confused_classes_by_counting() -> None:
    first = pd.DataFrame({"label": [3, 3, 3, 5, 5, 9], "to": [3, 5, 5, 5, 3, 1]})
    second = pd.DataFrame({"label": [3, 9], "to": [9, 9]})
    matrix = shares([first, second], "to", [3, 5, 9])
    assert matrix == pytest.approx(np.array([[1 / 4, 2 / 4, 1 / 4], [1 / 2, 1 / 2, 0], [0, 0, 1 / 2]]))
    assert most_confused(matrix, 2) == [0, 1]
    assert sorted(most_confused(matrix, 3)) == [0, 1, 2]
    assert most_confused(np.eye(3), 3) == []


def test_cells_without_a_figure_have_no_sort_key() -> None:
    columns = (Column(("", "method"), "m", numeric=False), Column(("cub", "H"), "h"))
    rows = (
        Row((Cell("b"), Cell(9.5))),
        Row((Cell("a"), Cell(words="no plugin"))),
        Row((Cell("c"), Cell())),
        Row((Cell("published"), Cell(60.1)), kind="published"),
    )
    table, audit = (
        Table(columns, rows),
        {"anchor": "audit-0", "audit": {"state": "passed"}, "state": "passed"},
    )
    shown = {"table": table, "headings": headings(table), "levels": [], "notes": []}
    html = TEMPLATES.get_template("sections/results.html.j2").render(
        shown=shown, charts=[], audits={"b": audit, "published": audit}
    )
    head, *body = read(html).all("tr")
    assert [cell.text for cell in head.all("th")] == ["method", "H", "audit"]
    cells = [[cell for cell in row.children if isinstance(cell, Node)] for row in body]
    sort = [[cell.attributes.get("data-sort") for cell in row[:2]] for row in cells]
    assert sort == [["b", "9.5"], ["a", None], ["c", None], ["published", "60.1"]]
    assert [cell.text for cell in (row[2] for row in cells)] == ["passed", "", "", ""]


@given(arrays(float, (6, 6), elements=st.floats(0, 1)), st.integers(2, 6))
def test_the_strongest_pair_is_among_the_most_confused(matrix: np.ndarray, most: int) -> None:
    both = {
        (row, column): matrix[row, column] + matrix[column, row]
        for row, column in itertools.combinations(range(6), 2)
    }
    chosen = most_confused(matrix, most)
    assert len(chosen) == len(set(chosen)) <= most
    if (strongest := max(both.values())) > 0:
        assert any(value == strongest and {*pair} <= {*chosen} for pair, value in both.items())
