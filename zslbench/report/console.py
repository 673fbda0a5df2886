"""rich, showing all text literally: no markup in brackets, no emoji codes, no control characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
import rich.progress
from rich.segment import Segment

from zslbench.output import visible_lines


class Console(rich.console.Console):
    """The only class of console that zslbench writes with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Render as rich does, but let only rich's own control codes reach the terminal."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible_lines(text), style, control)


class TextColumn(rich.progress.TextColumn):
    """Text next to a bar: a format string for ``task``, in a style."""

    def __init__(self, text_format: str, style: str = "none", **options: Any) -> None:
        super().__init__(text_format, style=style, markup=False, **options)
