"""Reads the vectors of a few words from large files of word vectors, as a stream.

Formats, recognised by their content:

* text: one line per word, the word and its numbers separated by blanks (GloVe); with a first line ``count
  dimension`` it is word2vec's text format;
* word2vec's binary format: a line ``count dimension``, then for each word its bytes, a blank, ``dimension``
  little-endian float32, and perhaps a line end.

Either may be compressed with gzip, or be the only such file of a zip archive (or the one that the caller
names).
"""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from zslbench.data import require_file
from zslbench.errors import DataError

_LONGEST = 1 << 16
"""Largest plausible length of a line or word, in bytes."""
_DEEPEST = 1 << 14
"""Largest plausible dimension."""

_Record: TypeAlias = "tuple[bytes, Callable[[], np.ndarray | None]]"
"""A word, and a function that reads its vector; None: the record is not of this word."""


@dataclass(frozen=True)
class Found:
    """The vectors of those requested words that the file has."""

    form: str
    """``text``, ``word2vec text`` or ``word2vec binary``."""
    dimension: int
    vectors: dict[str, Float[np.ndarray, " dimension"]]


class _Invalid(Exception):
    """A fault of a file of word vectors."""


def read_words(path: Path, wanted: Collection[str], *, member: str | None = None) -> Found:
    """The vectors of these words. If a word occurs twice, its first vector counts.

    Args:
        member: the file in a zip archive; None: its only ``.txt``, ``.vec`` or ``.bin``.

    Raises:
        MissingData: there is no such file.
        DataError: the file is damaged or has an unknown format.
    """
    require_file(path)
    try:
        with _opened(path, member) as file:
            form, dimension, records = _records(file)
            sought = {one.encode(): one for one in wanted}
            vectors: dict[str, np.ndarray] = {}
            while len(vectors) < len(sought) and (record := next(records, None)):
                word = sought.get(record[0])
                if word is None or word in vectors:
                    continue
                if (vector := record[1]()) is not None:
                    if not np.isfinite(vector).all():
                        raise _Invalid(f"the vector of '{word}' is not finite")
                    vectors[word] = np.array(vector, dtype=np.float32)
            return Found(form, dimension, vectors)
    except _Invalid as fault:
        raise DataError(path, [str(fault)]) from None
    except Exception as error:  # archive readers may raise anything
        raise DataError(path, [f"the file is damaged ({error})"], "Get a fresh copy") from None


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[io.BufferedReader]:
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        head = raw.peek(4)
        source: Any = raw
        if head[:4] == b"PK\x03\x04":
            pack = stack.enter_context(zipfile.ZipFile(raw))
            source = stack.enter_context(pack.open(_member(pack, member)))
        elif head[:2] == b"\x1f\x8b":
            source = stack.enter_context(gzip.GzipFile(fileobj=raw))
        yield io.BufferedReader(source, 1 << 20)


def _member(pack: zipfile.ZipFile, member: str | None) -> str:
    names = [one for one in pack.namelist() if not one.startswith("__MACOSX")]
    if member is not None:
        fitting = [one for one in names if one == member or one.endswith(f"/{member}")]
    else:
        fitting = [one for one in names if one.lower().endswith((".txt", ".vec", ".bin"))]
    if len(fitting) != 1:
        what = member or "files of word vectors (.txt, .vec, .bin)"
        raise _Invalid(f"holds {len(fitting)} {what}, not one: {', '.join(names[:10])}")
    return fitting[0]


def _records(file: io.BufferedReader) -> tuple[str, int, Iterator[_Record]]:
    """Form and dimension of a file, and its words."""
    first = file.readline(_LONGEST)
    numbers = first.split()
    if len(numbers) == 2 and all(one.isdigit() for one in numbers):
        count, dimension = map(int, numbers)
        if not 0 < dimension <= _DEEPEST:
            raise _Invalid(f"claims a dimension of {dimension}")
        if _is_text(file, dimension):
            return "word2vec text", dimension, _text(file, [], dimension)
        return "word2vec binary", dimension, _binary(file, count, dimension)
    dimension = len(numbers) - 1
    if not 1 < dimension <= _DEEPEST or not _are_floats(numbers[1:]):
        raise _Invalid("is not a file of word vectors: its first line is not a word and its numbers")
    return "text", dimension, _text(file, [first], dimension)


def _is_text(file: io.BufferedReader, dimension: int) -> bool:
    """Whether the first record is a line of text; looks ahead without reading."""
    line = file.peek(1)[: dimension * 4 + 1024].partition(b"\n")[0]
    fields = line.split()[1:]
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(fields) >= 2 and _are_floats(fields[:-1])  # the last number may be cut off


def _are_floats(fields: list[bytes]) -> bool:
    try:
        return all(np.isfinite(float(one)) for one in fields)
    except ValueError:
        return False


def _text(file: io.BufferedReader, lines: list[bytes], dimension: int) -> Iterator[_Record]:
    """The words of ``lines``, which were read already, and of the rest of the file."""

    def parsed() -> np.ndarray | None:
        word, *fields = line.split()
        if len(fields) > dimension:
            return None  # some words of GloVe 840B contain blanks: this is another word's line
        if len(fields) < dimension:
            fault = f"line {number} ('{word.decode()}') has {len(fields)} numbers, not {dimension}"
            raise _Invalid(fault)
        try:
            return np.array([float(one) for one in fields], dtype=np.float32)
        except ValueError:
            fault = f"the vector of '{word.decode()}' contains something other than numbers"
            raise _Invalid(fault) from None

    rest = iter(lambda: file.readline(_LONGEST), b"")
    for number, line in enumerate(itertools.chain(lines, rest), 1 if lines else 2):
        if len(line) >= _LONGEST:
            raise _Invalid(f"line {number} is longer than {_LONGEST} bytes")
        yield line[: line.find(b" ")], parsed


def _binary(file: io.BufferedReader, count: int, dimension: int) -> Iterator[_Record]:
    width, block, start = 4 * dimension, b"", 0
    for number in range(1, count + 1):
        end = block.find(b" ", start)
        while end < 0 or len(block) < end + 1 + width:
            more = file.read(max(1 << 20, width))
            if not more or len(block) - start > _LONGEST + width + (1 << 20):
                raise _Invalid(f"is cut off or corrupt at word {number} of {count}")
            block, start = block[start:] + more, 0
            end = block.find(b" ")
        vector = partial(np.frombuffer, block, "<f4", dimension, end + 1)
        yield block[start:end].lstrip(b"\n"), vector
        start = end + 1 + width
