"""Writes to standard output and standard error, where names and messages must not act as control codes.

Only this module writes plain text there, and only :mod:`zslbench.report.console` writes with rich; the linter
rejects other writes.
"""

from __future__ import annotations

import re
import unicodedata

import click

_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_JOINERS = "\u200c\u200d"
"""Invisible, but needed in Persian words and in emoji."""


QUIET = "zslbench.quiet"
"""The key that ``--quiet`` sets in the ``meta`` of click's context."""


def quiet() -> bool:
    """Whether the current command was given ``--quiet``: it shows only results, warnings and errors."""
    context = click.get_current_context(silent=True)
    return context is not None and QUIET in context.meta


def visible(text: str) -> str:
    r"""The text on one line, without characters that control a terminal or are invalid in a file or page.

    Line breaks and tabs become a space; other control characters, marks that reverse the direction of text,
    lone surrogates and characters that XML does not allow become escapes.

    >>> visible("a\nb\x1b[31m")
    'a b\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, _BREAKS.sub(" ", text)))


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in _JOINERS
    no_character = ord(character) & 0xFFFE == 0xFFFE
    return character.encode("unicode_escape").decode() if hidden or no_character else character


def visible_lines(text: str) -> str:
    """The text with each of its lines :func:`visible`."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def echo(*lines: str, err: bool = False) -> None:
    """Write lines to standard output, or with ``err`` to standard error; without arguments, an empty line."""
    for line in lines or ("",):
        click.echo(visible(line), err=err)


def write(text: str) -> None:
    """Write text to standard output whose format already escapes its data, such as a table or JSON."""
    click.echo(text, nl=False)
