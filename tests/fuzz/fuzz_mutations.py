"""Damage to files: of bytes, of text, and of what a checksum would tell."""

from __future__ import annotations

import random
import struct
import zlib

_BYTES = [b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff\xff\x7f", b"\xff" * 4, b"\x00\x00\x00\x80"]
_BYTES += [struct.pack("<q", value) for value in (-1, 0, 2**31, 2**62, -(2**63))]
_TEXT = [
    *(
        "1e-999999999",
        "1e999999999",
        "9" * 5000,
        "-1",
        "0",
        "nan",
        "inf",
        "-0.0",
        "true",
        "null",
        "''",
        '""',
        "1_0",
    ),
    *(
        "[" * 20_000,
        "{" * 20_000,
        "[[" * 500 + "]]" * 500,
        "a." * 5000 + "a=1",
        "a" * 100_000,
        "\x00",
        "\x1b[31m",
    ),
    *(
        "\u202e",
        "\ufeff",
        "\u0661\u0662",
        "é",
        "=cmd()",
        "$\\frac{",
        "../../x",
        "/dev/zero",
        "NaN",
        "Infinity",
    ),
    *(
        "[/oops]",
        "[]",
        "{}",
        "1e",
        ",",
        ",,,",
        ";",
        "\t",
        "\r",
        "\n\n",
        '"',
        "'",
        "\\",
        "#",
        "=",
        "2026-11-29",
    ),
]


def damaged(whole: bytes, chance: random.Random, *, text: bool) -> bytes:
    """A copy with one to three faults; ``text``: of what people type."""
    made = whole
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        made = (_text if text and chance.random() < 0.7 else _binary)(made, chance)
    return made


def _binary(whole: bytes, chance: random.Random) -> bytes:
    if not whole:
        return whole + chance.randbytes(8)
    start, size = chance.randrange(len(whole)), chance.choice([1, 1, 2, 8, 64, 1000])
    end = min(start + size, len(whole))
    kind = chance.randrange(10)
    if kind == 0:
        return whole[:start]
    if kind == 1:
        return whole[:start] + whole[end:]
    if kind == 2:
        return whole[:end] + whole[start:]
    if kind == 3:
        return whole[:start] + chance.randbytes(size) + whole[start:]
    if kind == 4:  # two blocks change places
        other = chance.randrange(len(whole))
        low, high = sorted((start, other))
        step = min(size, high - low, len(whole) - high)
        a, b = whole[low : low + step], whole[high : high + step]
        return whole[:low] + b + whole[low + step : high] + a + whole[high + step :]
    if kind == 5:
        return whole[:start] + bytes(end - start) + whole[end:]
    raw = bytearray(whole)
    if kind == 6:
        raw[start] ^= 1 << chance.randrange(8)
    else:
        what = chance.choice([*_BYTES, chance.randbytes(1)])
        raw[start : start + len(what)] = what
    return bytes(raw)


def _text(whole: bytes, chance: random.Random) -> bytes:
    lines = whole.decode("utf-8", "replace").splitlines(keepends=True) or [""]
    at, what = chance.randrange(len(lines)), chance.choice(_TEXT)
    kind = chance.randrange(7)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[chance.randrange(len(lines))])
    elif kind == 2:
        lines.insert(at, what + "\n")
    elif kind == 3:  # a word of the line becomes something else
        words = lines[at].replace(",", " , ").replace(":", " : ").split(" ")
        words[chance.randrange(len(words))] = what
        lines[at] = "".join(words)
    elif kind == 4:
        place = chance.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + what + lines[at][place:]
    elif kind == 5 and "=" in lines[at]:
        lines[at] = f"{lines[at].partition('=')[0]}= {what}\n"
    else:
        lines[at] = lines[at].swapcase()
    return "".join(lines).encode("utf-8", "surrogatepass")


def recompressed(plain: bytes) -> bytes:
    """A plain MATLAB 5 file with each element compressed, so that no checksum tells of damage done before."""
    out, at = plain[:128], 128
    while at + 8 <= len(plain):
        end = at + 8 + int.from_bytes(plain[at + 4 : at + 8], "little")
        body = zlib.compress(plain[at:end])
        out += struct.pack("<2I", 15, len(body)) + body
        at = end
    return out
