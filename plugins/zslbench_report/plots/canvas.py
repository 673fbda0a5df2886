"""The only module that imports matplotlib: figures without global state, in one style, written atomically."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.errors import MissingExtra, SettingsError
from zslbench.output import visible_lines
from zslbench.report import is_simulated, method_label
from zslbench.store import RunRecord, write_atomically

try:
    from matplotlib import colormaps, rc_context, style
    from matplotlib.axes import Axes as Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable as ScalarMappable
    from matplotlib.figure import Figure as Figure
    from matplotlib.lines import Line2D as Line2D
    from matplotlib.patches import Patch as Patch
    from matplotlib.text import Text
except ImportError:
    raise MissingExtra(
        "plots need matplotlib, which is not installed: pip install 'zslbench[plot]'"
    ) from None

SUFFIXES = (".png", ".svg")

# Text stays text in an SVG, and equal figures give equal bytes.
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "zslbench",
    "figure.dpi": 100.0,
}
_DPI = 150
_LONGEST = 200
"""Characters of a line."""


@contextlib.contextmanager
def plot_style(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """matplotlib's defaults with our changes and these, whatever the user configured; restored afterwards."""
    with rc_context(), style.context(["default", {**_STYLE, **(changes or {})}]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, without a window."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="compressed")
    FigureCanvasAgg(figure)
    return figure


def colormapped(name: str, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape 3"]:
    """RGB in [0, 1] of values in [0, 1], by one of matplotlib's colour maps."""
    return np.asarray(colormaps[name](values)[..., :3], dtype=values.dtype)


def check_plot_file(path: Path) -> None:
    """Refuse, by SettingsError, a file name that is neither PNG nor SVG, before anything is computed."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{path}: the file name of a figure must end in {' or '.join(SUFFIXES)}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the file's suffix, replacing an existing file.

    Raises:
        SettingsError: the suffix is neither.
        OSError: writing failed; an existing file is unchanged.
    """
    check_plot_file(path)
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else None  # equal figures are equal files
    with plot_style():
        data = drawn(figure, kind, dpi=_DPI, metadata=metadata, bbox_inches="tight", pad_inches=0.08)
    write_atomically(path, data)


def drawn(figure: Figure, kind: str, **options: Any) -> bytes:
    """The bytes of a PNG or SVG. Text is data: it is never read as a formula, and long lines are cut."""
    for text in figure.findobj(Text):
        lines = visible_lines(text.get_text()).split("\n")
        text.set_text("\n".join(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}…" for one in lines))
        text.set_parse_math(False)
    data = io.BytesIO()
    figure.savefig(data, format=kind, **options)
    return data.getvalue()


def run_title(record: RunRecord) -> str:
    """The title of every figure: method, data set, seed, run id, and whether the data are simulated."""
    info = record.info
    words = [method_label(record), info.dataset, f"seed {info.seed}", f"run {info.id}"]
    return " · ".join([*words, *["simulated data"] * is_simulated(record)])
