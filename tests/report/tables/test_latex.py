r"""Tables for LaTeX: read by their structure everywhere, and set by pdfLaTeX where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from zslbench.report.tables.latex import _ESCAPED, escaped
from zslbench.report.tables.model import Cell, Column, Row, Table, one_line
from zslbench.report.tables.render import render

ENGINE = shutil.which("pdflatex")


def rows_of(text: str) -> list[list[str]]:
    """The cells of each row; a ``multicolumn`` counts as the columns that it spans."""
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    found = []
    for line in body.splitlines():
        if not line or line.startswith((r"\cmidrule", r"\midrule")):
            continue
        assert line.endswith(r" \\"), line
        cells = []
        for cell in re.split(r"(?<!\\) ?& ?", line.removesuffix(r" \\")):
            spans = re.match(r"\\multicolumn\{(\d+)\}", cell)
            cells += [cell, *[""] * (int(spans[1]) - 1)] if spans else [cell]
        found.append(cells)
    return found


def well_formed(text: str) -> None:
    """Environments and braces are closed in their order, and every row has all columns."""
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    depth = 0
    for sign in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lrc]+)\}", text)
    assert {len(row) for row in rows_of(text)} == {len(columns)}
    for first, last in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", text):
        assert 1 <= int(first) < int(last) <= len(columns)
    assert [text.count(rf"\{rule}") for rule in ("toprule", "bottomrule")] == [1, 1]


def test_the_whole_table(table: Table) -> None:
    text = render(table, "latex")
    well_formed(text)
    assert text.splitlines()[0] == r"\begin{table}[htbp] % needs the packages booktabs and graphicx"
    assert r"\documentclass" not in text
    rows = rows_of(text)
    assert rows[0] == ["", r"\multicolumn{3}{c}{cub}", "", "", "sun"]
    assert rows[1] == ["", "CZSL", r"\multicolumn{2}{c}{GZSL}", "", "GZSL"]
    assert rows[2] == ["method", "Acc", "U", "H", "H"]
    assert rows[3][0] == r"\multicolumn{5}{l}{\textit{embedding}}"
    # The unescaped & of the first name is told from those between cells by its backslash.
    assert rows[4] == [
        r"a\_b \& co",
        r"\textbf{57.3 $\pm$ 0.3}",
        r"8.0 $\pm$ 1.5~(2)",
        r"\underline{50.0}$^{\approx}$",
        "no data",
    ]
    assert rows[5][:2] == [r"\quad published", r"60.1\rlap{$^\ddagger$}\phantom{~$\pm$ 0.3}"]
    assert r"\cmidrule(lr){2-4}" in text
    assert text.count(r"\midrule") == 2  # below the head, and between the groups
    assert r"\textbf{" not in rows[7][1]


def test_without_title_and_notes_it_is_a_bare_tabular(table: Table) -> None:
    text = render(replace(table, title="", notes=()), "latex")
    well_formed(text)
    assert text.startswith(r"\begin{tabular}{lrrrr} % needs the package booktabs")
    assert text.endswith("\\end{tabular}\n")


SIGNS = "".join(sign for sign in map(chr, _ESCAPED) if sign != "\u2060")


def _set(body: str, folder: Path) -> str:
    """The log of a document with this body; fails where the engine reports an error."""
    document = (
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    (folder / "document.tex").write_text(document, "utf-8")
    done = subprocess.run(
        [str(ENGINE), "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    return log


@pytest.mark.skipif(ENGINE is None, reason="pdflatex is not installed")
def test_it_is_set(table: Table, tmp_path: Path) -> None:
    """As a file that a document inputs: twice a float, once bare, with every sign in a cell of its own."""
    signs = Table(
        (Column(("sign",), "sign", numeric=False), Column(("again",), "again", numeric=False)),
        tuple(Row((Cell(sign), Cell(f"{sign}--{sign}`", emphasis="best"))) for sign in SIGNS),
        f"Signs {SIGNS}",
        (f"note {SIGNS}",),
    )
    columns = tuple(Column((f"data {i // 4}", "GZSL", f"figure {i}"), f"k{i}") for i in range(24))
    wide = Table(columns, (Row(tuple(Cell(57.3, spread=0.3) for _ in columns)),), "Wide")
    names = []
    for place, one in enumerate((table, signs, wide, replace(table, title="", notes=()))):
        name = f"table{place}.tex"
        (tmp_path / name).write_text(render(one, "latex"), "utf-8")
        names.append(name)
    log = _set("\n".join(rf"\input{{{name}}}" for name in names), tmp_path)
    assert "Overfull \\hbox" not in log.partition("table2.tex")[2]  # shrunk to the width of the text
    assert (tmp_path / "document.pdf").stat().st_size > 10_000


@given(st.lists(st.text(alphabet=SIGNS + "ab- é"), min_size=1, max_size=4), st.text(alphabet=SIGNS + "a"))
@settings(max_examples=60)
def test_any_text_leaves_the_structure_alone(texts: list[str], title: str) -> None:
    columns = (Column(("a",), "a", numeric=False), Column((title or "x",), "b"))
    rows = tuple(Row((Cell(one), Cell(one, emphasis="best"))) for one in texts)
    text = render(Table(columns, rows, title), "latex")
    well_formed(text)
    assert len(rows_of(text)) == len(texts) + 1


@given(st.text(alphabet=SIGNS + "ab1- é"))
@settings(max_examples=100)
def test_escaping_can_be_undone(text: str) -> None:
    """Longest commands first, as TeX reads them: every sign comes back."""
    back = {value: chr(sign) for sign, value in _ESCAPED.items() if isinstance(value, str)}
    back["{}"] = ""
    pattern = "|".join(re.escape(one) for one in sorted(back, key=len, reverse=True))
    original = one_line(text).replace("\u2060", "")
    assert re.sub(pattern, lambda found: back[found[0]], escaped(text)).strip() == original
