"""The plain words of an attribute's name.

The rules, in this order (each with an example from the official names):

1. lower case: ``Jet engine`` gives ``jet engine``;
2. what stands in parentheses goes: ``has_size::small_(5_-_9_in)`` gives ``has_size::small_``, and
   ``wood (not part of a tree)`` gives ``wood``;
3. a leading ``has_`` goes, and ``::``, ``_``, ``-``, ``/``, ``+``, ``.`` and ``,`` become blanks:
   ``has_bill_shape::all-purpose`` gives ``bill shape all purpose``, ``rock/stone`` gives ``rock stone``;
4. some words are put as word vectors know them (``REPLACED``): the American spelling (``grey``: ``gray``), a
   commoner word (``spatulate``: ``broad``), compounds that are written as one word (``upperparts``: ``upper
   parts``, AWA's ``longleg``: ``long leg``) and aPY's abbreviations (``furn. leg``: ``furniture leg``);
5. words are what blanks separate, each as often as it stands there.

The vectors that circulate in the field (sums of Google News word2vec, as DAZLE made them) follow nearly the
same rules. They differ in two names of SUN: they keep ``(not part of a tree)``, and ``man-made`` as one word,
which has no vector there, so that attribute's row is zero.
"""

from __future__ import annotations

import re

_PARENTHESES = re.compile(r"\([^()]*\)")
_BLANK = re.compile(r"[\s_\-/+.,:]+")

REPLACED = {
    "grey": "gray",
    "spatulate": "broad",
    "upperparts": "upper parts",
    "far away": "faraway",
    "toughskin": "tough skin",
    "longleg": "long leg",
    "longneck": "long neck",
    "chewteeth": "chew teeth",
    "meatteeth": "meat teeth",
    "buckteeth": "buck teeth",
    "strainteeth": "strain teeth",
    "newworld": "new world",
    "oldworld": "old world",
    "nestspot": "nest spot",
    "quadrapedal": "quadrupedal",
    "flys": "flies",
    "vert": "vertical",
    "horiz": "horizontal",
    "cyl": "cylinder",
    "furn": "furniture",
    "row wind": "row window",
}
"""Words, or words in a row, and what is looked up for them."""

_REPLACED = re.compile(r"\b(" + "|".join(sorted(REPLACED, key=len, reverse=True)) + r")\b")


def plain_words(name: str) -> tuple[str, ...]:
    """The words whose vectors describe an attribute.

    >>> plain_words("has_bill_shape::curved_(up_or_down)")
    ('bill', 'shape', 'curved')
    >>> plain_words("has_upperparts_color::grey")
    ('upper', 'parts', 'color', 'gray')
    """
    text = name.lower()
    while (shorter := _PARENTHESES.sub(" ", text)) != text:  # the innermost first
        text = shorter
    text = _BLANK.sub(" ", text.strip().removeprefix("has_")).strip()
    return tuple(_REPLACED.sub(lambda match: REPLACED[match[1]], text).split())
