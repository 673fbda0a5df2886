"""Colours of a report in light and dark mode, as CSS custom properties, and their placeholders in charts.

Charts are drawn once, in placeholder colours that nothing else uses; these then become ``var(--name)``, so
that the page alone decides how a chart looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# The seven method colours are as far apart as a search could place them, for full colour vision and for
# protan, deutan and tritan readers (simulated by Machado et al. 2009), at 3:1 or more against the surface.
LIGHT: Mapping[str, str] = {
    "bg": "#f7f7f5", "surface": "#ffffff", "fg": "#1b1f24", "muted": "#565f6b", "line": "#d9dce1",
    "soft": "#eef0f3", "accent": "#0b5cad", "warn": "#8a4b00", "bad": "#a3232f", "good": "#1d6b3a",
    "m0": "#4d75db", "m1": "#b68a33", "m2": "#cb4686", "m3": "#1b3f00", "m4": "#2737b6", "m5": "#676804",
    "m6": "#632564",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "bg": "#12151a", "surface": "#1a1e25", "fg": "#e7eaef", "muted": "#a3adba", "line": "#343b46",
    "soft": "#242a33", "accent": "#7db8f5", "warn": "#f0b35c", "bad": "#ff9a9a", "good": "#7fd6a0",
    "m0": "#bdd2fe", "m1": "#fac76b", "m2": "#e187ac", "m3": "#467d1b", "m4": "#6383fa", "m5": "#9c9e1c",
    "m6": "#a55fa5",
}  # fmt: skip

# Shading of cells: red, green and blue, mixed in with an opacity of at most ``SHADE``.
SHADES: Mapping[str, tuple[str, str]] = {
    "heat": ("60 125 200", "70 140 225"),
    "miss": ("215 105 35", "225 115 45"),
}
SHADE = 0.5

# Classes of a t-SNE: Petroff's ten (arXiv:2107.02270), lighter on a dark ground.
CLASSES: tuple[tuple[str, str], ...] = (
    ("#3f90da", "#5aa5e8"), ("#e09400", "#ffa90e"), ("#bd1f01", "#f0553a"), ("#7d8f8d", "#a9b8b6"),
    ("#832db6", "#b66fe0"), ("#a96b59", "#c98b78"), ("#e76300", "#ff8130"), ("#9a8d4d", "#c9bc82"),
    ("#5c5f6b", "#8d92a0"), ("#4fa9ad", "#92dadd"),
)  # fmt: skip

METHODS = 7
_MARKERS = "osD^vPX"
_DASHES: tuple[tuple[float, ...], ...] = ((), (5.0, 2.0), (1.2, 1.6), (6.0, 2.0, 1.2, 2.0))


@dataclass(frozen=True)
class Tone:
    """How a method is drawn: by colour, and for readers who cannot tell colours apart, marker and dash."""

    colour: str
    """Name of its custom property."""
    marker: str
    dash: tuple[float, ...]
    """Lengths of dash and gap in points; empty: solid."""

    @property
    def ink(self) -> str:
        """The placeholder that charts draw with."""
        return ink(self.colour)


def tone(place: int) -> Tone:
    """The tone of the n-th method: seven colours, then the same with another dash and marker."""
    again = place // METHODS
    marker = _MARKERS[(place + 3 * again) % len(_MARKERS)]
    return Tone(f"m{place % METHODS}", marker, _DASHES[again % len(_DASHES)])


_NAMES = (*LIGHT, *(f"k{place}" for place in range(len(CLASSES))))


def ink(name: str) -> str:
    """The placeholder of a custom property.

    >>> ink("bg")
    '#fe0100'
    """
    return f"#fe01{_NAMES.index(name):02x}"


def page_colours(text: str) -> str:
    """The text with custom properties instead of their placeholders.

    >>> page_colours("fill: #fe0100")
    'fill: var(--bg)'
    """
    return re.sub("#fe01([0-9a-f]{2})", lambda found: f"var(--{_NAMES[int(found[1], 16)]})", text)


def variables(dark: bool) -> str:
    """The CSS declarations of all custom properties in one mode."""
    colours = dict(DARK if dark else LIGHT)
    colours |= {f"k{place}": pair[dark] for place, pair in enumerate(CLASSES)}
    colours |= {name: pair[dark] for name, pair in SHADES.items()}
    return "".join(f"--{name}:{value};" for name, value in colours.items())
