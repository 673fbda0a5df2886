"""A chart as inline SVG: the page's colours, unique ids, text that remains text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from markupsafe import Markup

from zslbench.output import visible
from zslbench_report.theme import page_colours

if TYPE_CHECKING:
    from zslbench_report.plots.canvas import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_POINT = 96 / 72  # pixels
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+|(?<=^#).+")
# matplotlib writes "font: 8px ..." or "font-family: ...", depending on its version.
_FONT = re.compile(r"(font: (?:[a-z0-9]+ )*[\d.]+px|font-family:) [^;]*")


def as_svg(figure: Figure, key: str, label: str) -> Markup:
    """The figure, drawn in placeholder colours, as an ``svg`` element.

    Every id begins with ``key``, so that no two figures share one; ``label`` says what the figure shows to
    readers who cannot see it.
    """
    from zslbench_report.plots.canvas import drawn

    label = visible(label)
    data = drawn(figure, "svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(data)  # just written by matplotlib
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # a style would apply to the whole page
                parent.remove(child)
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = sorted({name for value in values for name in _REFERENCE.findall(value)})
    ids = {name: f"{key}-{place}" for place, name in enumerate(used)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.text = element.text if element.tag == "text" else _without_space(element.text)
        element.tail = _without_space(element.tail)
        attributes = dict(element.attrib)
        element.attrib.clear()
        if (own := attributes.pop("id", None)) in ids:
            element.set("id", ids[own])
        for name, value in attributes.items():
            element.set(name.removeprefix(_XLINK), _attribute(value, ids))
    width = float(root.attrib["width"].removesuffix("pt"))
    for name in ("version", "width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"max-width:{width * _POINT:.0f}px")
    title = ET.Element("title")
    title.text = label
    root.insert(0, title)
    return Markup(ET.tostring(root, encoding="unicode"))


def _attribute(value: str, ids: dict[str, str]) -> str:
    """With the page's ids, colours and font; numbers to hundredths of a point, finer than any screen."""
    value = _REFERENCE.sub(lambda found: ids[found[0]], value)
    value = _FONT.sub(r"\1 var(--font)", page_colours(value))
    value = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
    return " ".join(value.split())


def _without_space(text: str | None) -> str | None:
    return text if text and text.strip() else None
