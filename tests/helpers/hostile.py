"""Names that someone might give a data set, a class, a metric, a file, and that are markup or control to some
reader of ours; and what every output must be free of."""

from __future__ import annotations

import re

NAMES = {
    "rich markup": "[/oops] [bold red]x[/] :tiger:",
    "colour": "\x1b[31mred\x1b[0m",
    "title of the terminal": "\x1b]0;owned\x07",
    "cursor": "\x1b[2J\x1b[1;1H\x08\x7f",
    "eight-bit escape": "\x9b31m\x85\x90",
    "nul": "nul\0end",
    "lines": "one\ntwo\r\nthree\u2028four",
    "tab": "a\tb",
    "bidi": "a\u202eb\u2066c\u200fd",
    "invisible": "a\u200bb\ufeffc\U000e0041d",
    "surrogate": "half\udc80\ud83d",
    "no character": "a\ufffeb\uffff",
    "html": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\"><b onclick='x'>&lt;&#60;",
    "cdata": "]]><!-- <![CDATA[",
    "latex": r"\input{/etc/passwd} $\frac{ % & # _ ^ ~ {",
    "mathtext": r"$\frac{$ $x$",
    "markdown": "a|b `code` *c* __d__ [e](http://f) ![g](h) <i> ~~j~~ # k",
    "formula": "=cmd|'/c calc'!A1",
    "sum": "+1+1",
    "difference": "-2+3",
    "at": "@SUM(1,1)",
    "quotes": "\"double\" 'single' ,;",
    "percent": "%s %d {0} {x} %(y)s",
    "shell": "$(touch /tmp/x) `id` ; rm -rf ~ && \\",
    "template": "{{ 7 * 7 }} {% raw %} ${x}",
    "path": "../../etc/passwd",
    "empty": "",
    "blank": "  ",
    "long": "long " * 4000,
    "one long word": "w" * 20_000,
}

_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_RICH = re.compile(r"\x1b\[(\?25[lh]|[0-9]*[AKGJ]|2K|H)|\r")
_HOSTILE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def obeyed(text: str, *, terminal: bool = False) -> list[str]:
    """What in a text a terminal or a reader would obey; on a terminal, rich's own codes are none of it."""
    if terminal:
        text = _RICH.sub("", _STYLES.sub("", text))
    return sorted(set(_HOSTILE.findall(text)))
