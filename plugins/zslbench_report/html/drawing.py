"""What all charts share: their style and axes, and their form as inline SVG.

Charts are drawn in the stand-in colours of :func:`~zslbench_report.html.theme.ink`, which become the page's
custom properties here, so that a chart follows the page's mode.
"""

from __future__ import annotations

import contextlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from zslbench_report.html.theme import ink, inks
from zslbench_report.plots.canvas import Axes, Figure, new_figure, plot_style

WIDTH = 4.4
"""Inches: fits a phone at four fifths of its size, and two fit next to each other on a desktop."""

# Names come from data sets and plugins: a "$" in them starts no formula.
_STYLE: dict[str, Any] = {
    "font.size": 8.5,
    "text.parse_math": False,
    "axes.edgecolor": ink("line"),
    "axes.labelcolor": ink("muted"),
    "axes.titlecolor": ink("fg"),
    "axes.titlesize": 8.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "grid.color": ink("soft"),
    "grid.linewidth": 0.8,
    "text.color": ink("fg"),
    "xtick.color": ink("line"),
    "xtick.labelcolor": ink("muted"),
    "ytick.color": ink("line"),
    "ytick.labelcolor": ink("muted"),
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "path.simplify_threshold": 0.3,
}

FAINT = 0.35
"""Opacity of the other seeds behind the median one."""


@contextlib.contextmanager
def chart_style() -> Iterator[None]:
    """The style of a report's charts."""
    with plot_style(_STYLE):
        yield


def new_chart(
    width: float,
    height: float,
    *,
    left: float = 0.5,
    right: float = 0.12,
    top: float = 0.12,
    bottom: float = 0.38,
) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; sizes and margins in inches."""
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    figure.patch.set_alpha(0.0)
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )
    axes.patch.set_alpha(0.0)
    return figure, axes


def new_row_chart(labels: Sequence[str], step: float) -> tuple[Figure, Axes]:
    """A chart with one row per label, the first on top; the label is above its row, so that any name fits.

    Args:
        step: height of a row in inches. A row covers one unit of y.
    """
    height = step * len(labels)
    figure, axes = new_chart(WIDTH, height + 0.45, left=0.12, top=0.05, bottom=0.4)
    axes.set_ylim(height / step, 0.0)
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    for place, label in enumerate(labels):
        axes.text(
            0.0,
            place + 0.28,
            shortened(label, 58),
            transform=axes.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize=8.5,
        )
    return figure, axes


def percent_limits(low: float, high: float) -> tuple[float, float]:
    """Limits of an axis for percentages between ``low`` and ``high``, with a margin, within 0 and 100."""
    margin = max(3.0, 0.25 * (high - low))
    return max(0.0, low - margin), min(100.0, high + margin)


def shortened(text: str, length: int) -> str:
    """The text in one line of at most ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def thinned(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], step: float
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """A line without the points closer than ``step`` to the last one kept; both ends stay."""
    kept = [0]
    for place in range(1, len(x) - 1):
        if max(abs(x[place] - x[kept[-1]]), abs(y[place] - y[kept[-1]])) >= step:
            kept.append(place)
    if len(x) > 1:
        kept.append(len(x) - 1)
    return x[kept], y[kept]


# --- SVG -----------------------------------------------------------------------------------------

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_POINT = 96 / 72  # pixels
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
# matplotlib writes "font: 8px ..." or "font-family: ...", depending on its version.
_FONT = re.compile(r"(font: (?:[a-z0-9]+ )*[\d.]+px|font-family:) [^;]*")
_WHITE_SPACE = re.compile(r"\s+")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def as_svg(figure: Figure, key: str, label: str) -> Markup:
    """The figure as an ``svg`` element: the page's colours, ids of its own, text that stays text.

    Args:
        figure: drawn within :func:`chart_style`, in stand-in colours.
        key: prefix of every id, unique within the page, so that no two figures share an id.
        label: what the figure shows, for readers who cannot see it.
    """
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(data.getvalue())  # just written by matplotlib
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # a style would apply to the whole page
                parent.remove(child)
    _rename_ids(root, key)
    colours = inks()
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.text = _without_space(element.text) if element.tag != "text" else element.text
        element.tail = _without_space(element.tail)
        if "style" in element.attrib:
            element.set("style", _page_style(element.attrib["style"], colours))
        for name in ("d", "points", "transform", "x", "y"):
            if name in element.attrib:
                element.set(name, _rounded(element.attrib[name]))
    for name in ("version", "height"):
        root.attrib.pop(name, None)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"max-width:{width * _POINT:.0f}px")
    title = ET.Element("title")
    title.text = label
    root.insert(0, title)
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=True))


def _rename_ids(root: ET.Element, key: str) -> None:
    """Prefix the ids that something refers to, and remove the others."""
    used = {target for element in root.iter() for target in _references(element)}
    names = {name: f"{key}-{place}" for place, name in enumerate(sorted(used))}
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in names:
            element.set("id", names[own])
        for name, value in list(element.attrib.items()):
            if "url(#" in value:
                element.set(name, _REFERENCE.sub(lambda match: f"url(#{names[match[1]]})", value))
        target = element.attrib.pop(_HREF, None)
        if target is not None:
            element.set("href", f"#{names[target[1:]]}" if target.startswith("#") else target)


def _references(element: ET.Element) -> list[str]:
    found = [target for value in element.attrib.values() for target in _REFERENCE.findall(value)]
    target = element.attrib.get(_HREF, "")
    return [*found, target[1:]] if target.startswith("#") else found


def _page_style(style: str, colours: dict[str, str]) -> str:
    for stand_in, variable in colours.items():
        style = style.replace(stand_in, variable)
    return _FONT.sub(r"\1 var(--font)", style)


def _rounded(numbers: str) -> str:
    """Numbers to hundredths of a point, finer than any screen."""
    short = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return _WHITE_SPACE.sub(" ", short).strip()


def _without_space(text: str | None) -> str | None:
    return None if text is None or not text.strip() else text
