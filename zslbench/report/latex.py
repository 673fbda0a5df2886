"""Tables for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

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
        "[": "{[}",  # at the start of a row it would be the optional argument of the row before
        "]": "{]}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "—": "---",
        "…": r"\ldots{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "Δ": r"$\Delta$",
        "γ": r"$\gamma$",
        "λ": r"$\lambda$",
        "σ": r"$\sigma$",
    }
)


def tabular(
    headers: Sequence[tuple[str, ...]],
    cells: Sequence[Sequence[str]],
    right: Sequence[bool],
    caption: str | None = None,
) -> str:
    """A booktabs table; the document needs the package booktabs.

    Args:
        headers: the levels of each column's header, plain text; equal neighbours are joined.
        cells: plain text, row by row.
        right: which columns are aligned right.
        caption: plain text; with one the table floats.
    """
    labels = [tuple(level.translate(_ESCAPED) for level in header) for header in headers]
    several = any(len(label) > 1 for label in labels)
    columns = pd.MultiIndex.from_tuples(labels) if several else pd.Index([label[0] for label in labels])
    body = [[cell.translate(_ESCAPED) for cell in row] for row in cells]
    style = pd.DataFrame(body, columns=columns, dtype=object).style.hide(axis="index")
    return str(
        style.to_latex(
            hrules=True,
            multicol_align="c",
            column_format="".join("r" if one else "l" for one in right),
            caption=caption.translate(_ESCAPED) if caption else None,
            position="htbp" if caption else None,
            position_float="centering" if caption else None,
        )
    )
