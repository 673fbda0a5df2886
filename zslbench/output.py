"""What reaches standard output and standard error, where names and messages are data and nothing else.

This is the only module that writes there as text, :mod:`zslbench.report.console` the only one that does with
rich; the linter refuses others.
"""

from __future__ import annotations

import re
import unicodedata

import click

_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_JOINERS = "\u200c\u200d"
"""Invisible, but part of words in Persian and of emoji."""


def visible(text: str) -> str:
    r"""The text on one line, with nothing in it that a terminal, a page or a file would obey.

    Line breaks and tabs become a blank; other control characters, marks that reverse the direction of text,
    halves of surrogate pairs and what XML does not allow become escapes.

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
    """Write lines to standard output, or with ``err`` to standard error; without any, an empty line."""
    for line in lines or ("",):
        click.echo(visible(line), err=err)


def write(text: str) -> None:
    """Write a text whose format has made its data harmless, such as a table or json, to standard output."""
    click.echo(text, nl=False)
