"""The one place that imports matplotlib: figures without global state, one look, files written whole."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.errors import MissingExtra, SettingsError
from zslbench.report.results import label
from zslbench.store.files import write_whole
from zslbench.store.record import RunRecord

try:
    from matplotlib import colormaps, rc_context, style
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
except ImportError:
    raise MissingExtra(
        "plots need matplotlib, which is not installed: pip install 'zslbench[plot]'"
    ) from None

__all__ = [
    "SUFFIXES",
    "Axes",
    "Entry",
    "Figure",
    "blank",
    "colorbar",
    "colours",
    "in_folder",
    "legend",
    "look",
    "plot_file",
    "save",
    "title_of",
]

SUFFIXES = (".png", ".svg")

# Letters stay letters in an SVG, and the same figure is the same bytes.
_LOOK = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "zslbench",
    "figure.dpi": 100.0,
}
_DPI = 150


@contextlib.contextmanager
def look(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """matplotlib's own defaults with our few changes, whatever the user's settings; they come back after.

    Args:
        changes: further settings of matplotlib.
    """
    with rc_context(), style.context(["default", {**_LOOK, **(changes or {})}]):
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, tied to no window system."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="compressed")
    FigureCanvasAgg(figure)
    return figure


def colours(name: str, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape 3"]:
    """RGB in [0, 1] of values in [0, 1] by one of matplotlib's colour maps."""
    return np.asarray(colormaps[name](values)[..., :3], dtype=values.dtype)


def colorbar(figure: Figure, axes: np.ndarray, name: str, label: str, ends: tuple[str, str]) -> None:
    """A scale beside all panels, from 0 to 1, with words at its ends."""
    shape: dict[str, Any] = {"fraction": 0.01, "pad": 0.01, "aspect": 30}
    bar = figure.colorbar(ScalarMappable(cmap=name), ax=axes, ticks=[0, 1], **shape)
    bar.ax.set_yticklabels(ends)
    bar.set_label(label, fontsize=7)


@dataclass(frozen=True)
class Entry:
    """One line of a legend: a marker, a colour, or, with neither, a heading."""

    text: str
    marker: str | None = None
    colour: str | None = None


def legend(figure: Figure, entries: Sequence[Entry]) -> None:
    """A legend to the right of all panels."""
    handles: list[Line2D | Patch] = []
    for one in entries:
        if one.marker is not None:
            handles.append(
                Line2D([], [], marker=one.marker, color="#404040", linestyle="none", markersize=6, mew=1.3)
            )
        elif one.colour is not None:
            handles.append(Patch(color=one.colour))
        else:
            handles.append(Line2D([], [], linestyle="none"))
    texts = [one.text for one in entries]
    made = figure.legend(
        handles, texts, loc="outside right upper", fontsize=8, frameon=False, alignment="left"
    )
    for one, text in zip(entries, made.get_texts(), strict=True):
        if one.marker is None and one.colour is None:
            text.set_fontweight("bold")


def plot_file(path: Path) -> Path:
    """``path``, if a figure can be written there; asked before anything is computed.

    Raises:
        SettingsError: it ends in neither ``.png`` nor ``.svg``, or its folder is not there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{path}: a figure's file ends in {' or '.join(SUFFIXES)}")
    return in_folder(path)


def in_folder(path: Path) -> Path:
    """``path``, if its folder is there; asked before anything is computed.

    Raises:
        SettingsError: it is not.
    """
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path}: there is no folder {path.parent} to write it to")
    return path


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG by the file's suffix, replacing what was there.

    Raises:
        SettingsError: the suffix is neither, or the folder is not there.
        OSError: it cannot be written; nothing was changed.
    """
    kind = plot_file(path).suffix.lower().removeprefix(".")
    data = io.BytesIO()
    with look():
        # Without a date: the same figure is the same file.
        dated = {"Date": None} if kind == "svg" else None
        figure.savefig(data, format=kind, dpi=_DPI, metadata=dated, bbox_inches="tight", pad_inches=0.08)
    write_whole(path, data.getvalue())


def title_of(record: RunRecord) -> str:
    """What every figure says of its run: method, data set, seed, id, and whether its data are simulated."""
    info = record.info
    words = [label(record), info.dataset, f"seed {info.seed}", f"run {info.id}"]
    if record.data.get("extra", {}).get("simulated"):
        words.append("simulated data")
    return " · ".join(words)
