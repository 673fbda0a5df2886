"""A figure as SVG for a page: colours of the page's mode, ids of its own, text that the page sets."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from markupsafe import Markup

from zslbench_report.html.theme import inks

if TYPE_CHECKING:
    from zslbench_report.plots.canvas import Figure

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_POINT = 96 / 72  # pixels
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
# matplotlib writes "font: 8px ..." or "font-family: ...", as its version has it.
_FONT = re.compile(r"(font: (?:[a-z0-9]+ )*[\d.]+px|font-family:) [^;]*")
_WHITE_SPACE = re.compile(r"\s+")


def inline(figure: Figure, key: str, label: str) -> Markup:
    """The figure as an ``svg`` element.

    Args:
        figure: drawn inside :func:`~.frame.drawing`, in :func:`~zslbench_report.html.theme.ink`.
        key: begins every id, so that two figures of a page share none; unique in the page.
        label: what the figure shows, for readers who cannot see it.
    """
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(data.getvalue())  # written by matplotlib just now
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # a style would be the whole page's
                parent.remove(child)
    _rename(root, key)
    colours = inks()
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.text = _bare(element.text) if element.tag != "text" else element.text
        element.tail = _bare(element.tail)
        if "style" in element.attrib:
            element.set("style", _styled(element.attrib["style"], colours))
        for name in ("d", "points", "transform", "x", "y"):
            if name in element.attrib:
                element.set(name, _shortened(element.attrib[name]))
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


def _rename(root: ET.Element, key: str) -> None:
    """Give ids that something refers to the key in front, and remove the others."""
    used = {match for element in root.iter() for match in _references(element)}
    names = {name: f"{key}-{place}" for place, name in enumerate(sorted(used))}
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in names:
            element.set("id", names[own])
        for name, value in list(element.attrib.items()):
            if "url(#" in value:
                element.set(name, re.sub(r"url\(#([^)]*)\)", lambda one: f"url(#{names[one[1]]})", value))
        target = element.attrib.pop(_HREF, None)
        if target is not None:
            element.set("href", f"#{names[target[1:]]}" if target.startswith("#") else target)


def _references(element: ET.Element) -> list[str]:
    found = [match for value in element.attrib.values() for match in re.findall(r"url\(#([^)]*)\)", value)]
    target = element.attrib.get(_HREF, "")
    return [*found, target[1:]] if target.startswith("#") else found


def _styled(style: str, colours: dict[str, str]) -> str:
    for stand_in, variable in colours.items():
        style = style.replace(stand_in, variable)
    return _FONT.sub(r"\1 var(--font)", style)


def _shortened(numbers: str) -> str:
    """Hundredths of a point are finer than any screen."""
    short = _NUMBER.sub(lambda one: f"{float(one[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return _WHITE_SPACE.sub(" ", short).strip()


def _bare(text: str | None) -> str | None:
    return None if text is None or not text.strip() else text
