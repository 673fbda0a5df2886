"""Tables for LaTeX, ready for ``\\input``: booktabs, joined headers, bold best and underlined second."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from zslbench.report.tables.model import MISSING, Cell, Table, header_spans, one_line, table_notes

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
        "§": r"$^{\S}$",
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
    """Text that LaTeX sets literally. Letters beyond Latin scripts need an engine that has them."""
    # Two hyphens would be joined to a dash, a hyphen and a dash to a longer one.
    return re.sub("(?<=[-–—])(?=[-–—])", "\u2060", one_line(text)).translate(_ESCAPED)


def _behind(text: str) -> str:
    """Text that follows a number; its leading blank is preserved."""
    return ("~" if text.startswith(" ") else "") + escaped(text)


def latex(table: Table) -> str:
    """A ``tabular``; with a title or notes it floats as a ``table`` that is at most as wide as the text."""
    table = table.for_readers()
    body = list(_tabular(table))
    if not table.title and not table.notes:
        body[0] += " % needs the package booktabs"
        return "\n".join(body) + "\n"
    body[-1] += "%"
    lines = [r"\begin{table}[htbp] % needs the packages booktabs and graphicx", r"\centering"]
    if table.title:
        lines += [rf"\caption{{{escaped(table.title)}}}", r"\smallskip"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%", *body, "}"]
    if said := table_notes(table, "bold", "underlined"):
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{escaped(text)}\par" for text in said]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tabular(table: Table) -> Iterator[str]:
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    yield rf"\begin{{tabular}}{{{columns}}}"
    yield r"\toprule"
    levels = header_spans(table.columns)
    for depth, level in enumerate(levels):
        if depth < len(levels) - 1 and not any(span.text for span in level):
            continue
        wide = [span for span in level if span.count > 1]
        yield _line(
            rf"\multicolumn{{{span.count}}}{{c}}{{{escaped(span.text)}}}"
            if span in wide
            else escaped(span.text)
            for span in level
        )
        if wide:
            yield " ".join(rf"\cmidrule(lr){{{one.first + 1}-{one.first + one.count}}}" for one in wide)
    yield r"\midrule"
    # For each column the widest spread of its numbers, e.g. " ± 0.3"; empty: none has one.
    behind = ([cell.behind for cell in row.cells] for row in table.rows)
    spreads = [max(column, key=len) for column in zip(*behind, strict=True)]
    for number, (group, rows) in enumerate(table.grouped()):
        if number:
            yield r"\midrule"
        if group:
            yield rf"\multicolumn{{{len(columns)}}}{{l}}{{\textit{{{escaped(group)}}}}} \\"
        for row in rows:
            indent = r"\quad " if row.kind else ""
            yield indent + _line(map(_cell, row.cells, spreads))
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _line(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _cell(cell: Cell, column_spread: str) -> str:
    """A cell; in a column with spreads, numbers without one keep its room, so that means align."""
    marks = _behind(cell.marks)
    around = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}.get(cell.emphasis or "", "%s")
    shown = around.replace("%s", escaped(MISSING if cell.text is None else cell.text))
    if not column_spread or (cell.text is not None and not cell.number):
        return shown + marks
    if marks and (not cell.behind or len(cell.marks) < 2):
        marks = rf"\rlap{{{marks}}}"
    return shown + marks + ("" if cell.behind else rf"\phantom{{{_behind(column_spread)}}}")
