"""Tables for LaTeX, ready for ``\\input``: booktabs, joined headers, bold best and underlined second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zslbench.report.tables.model import Cell, Row, Table
from zslbench.report.tables.text import core, notes, one_line, spans, tail

_WIDE = 85
"""Characters of a line beyond which a table is shrunk to the width of the text."""

_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        "\u2060": "{}",
        "[": "{[}",  # at the start of a row it would be the optional argument of the row before
        "]": "{]}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "§": r"\S{}",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "—": "---",
        "…": r"\ldots{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "≈": r"$^{\approx}$",
        "∈": r"$\in$",
        "∉": r"$\notin$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "Δ": r"$\Delta$",
        "α": r"$\alpha$",
        "γ": r"$\gamma$",
        "λ": r"$\lambda$",
        "σ": r"$\sigma$",
    }
)


def escaped(text: str) -> str:
    """Plain text that LaTeX sets as it is. Letters beyond Latin scripts need an engine that has them."""
    parted = re.sub("-(?=-)", "-\u2060", one_line(text))  # two hyphens would be joined to a dash
    return parted.translate(_ESCAPED)


def latex(table: Table, missing: str) -> str:
    """A ``tabular``; with a title or notes it floats as a ``table`` that is at most as wide as the text."""
    table = table.for_readers()
    body = list(_tabular(table, missing))
    if not table.title and not table.notes:
        body[0] += " % needs the package booktabs"
        return "\n".join(body) + "\n"
    wide = _characters(table) > _WIDE
    needs = "packages booktabs and graphicx" if wide else "package booktabs"
    lines = [rf"\begin{{table}}[htbp] % needs the {needs}", r"\centering"]
    if table.title:
        lines.append(rf"\caption{{{escaped(table.title)}}}")
    if wide:
        lines.append(r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%")
        body[-1] += "%"
    lines += [*body, *(["}"] if wide else [])]
    if said := notes(table, "bold", "underlined"):
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{escaped(text)}\par" for text in said]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tabular(table: Table, missing: str) -> Iterator[str]:
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    yield rf"\begin{{tabular}}{{{columns}}}"
    yield r"\toprule"
    levels = spans(table.columns)
    for depth, level in enumerate(levels):
        if depth < len(levels) - 1 and not any(span.text for span in level):
            continue
        cells = [
            rf"\multicolumn{{{span.count}}}{{c}}{{{escaped(span.text)}}}"
            if span.count > 1
            else escaped(span.text)
            for span in level
        ]
        yield _line(cells)
        rules = [
            rf"\cmidrule(lr){{{one.first + 1}-{one.first + one.count}}}" for one in level if one.count > 1
        ]
        if rules:
            yield " ".join(rules)
    yield r"\midrule"
    for number, (group, rows) in enumerate(table.grouped()):
        if number:
            yield r"\midrule"
        if group:
            yield rf"\multicolumn{{{len(columns)}}}{{l}}{{\textit{{{escaped(group)}}}}} \\"
        for row in rows:
            yield _row(row, missing)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _row(row: Row, missing: str) -> str:
    cells = [_cell(cell, missing) for cell in row.cells]
    if row.kind and cells:
        cells[0] = rf"\quad {cells[0]}"
    return _line(cells)


def _line(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _cell(cell: Cell, missing: str) -> str:
    text = escaped(core(cell, missing))
    around = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}.get(cell.emphasis or "", "%s")
    return around.replace("%s", text) + escaped(tail(cell))


def _characters(table: Table) -> int:
    """About how many characters the widest line has."""
    total = 0
    for place, column in enumerate(table.columns):
        texts = [core(row.cells[place]) + tail(row.cells[place]) for row in table.rows]
        total += 2 + max(map(len, [*column.header[-1:], *texts]), default=0)
    return total
