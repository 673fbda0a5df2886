"""The printed figures of a method's own ablation, which ``zslbench ablate`` sets beside what it computes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from zslbench.declarations import Method
from zslbench.errors import PluginError

_KEYS = ("variant", "dataset")
_FIGURES = ("acc", "u", "s", "h")
_TEXTS = ("source", "note")


@dataclass(frozen=True)
class Printed:
    """What is printed of one variant on one data set."""

    figures: Mapping[str, float]
    """By column of a table (Acc, U, S, H), in percent; NaN where none is printed."""
    source: str
    note: str


def published(method: Method) -> Mapping[tuple[str, str], Printed]:
    """The printed figures by variant and data set (in lower case); empty: the method declares none.

    Raises:
        PluginError: the file that the method declares is not there, or not what ``Method.published`` says.
    """
    if method.published is None:
        return {}
    package, _, name = method.published.partition(":")
    where = f"method '{method.name}': published figures {method.published}"
    try:
        text = files(package).joinpath(name).read_text("utf-8")
    except (ImportError, OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{where}: cannot be read ({error})") from error
    reader = csv.DictReader(io.StringIO(text))
    lacking = [one for one in (*_KEYS, *_FIGURES, *_TEXTS) if one not in (reader.fieldnames or ())]
    if lacking:
        raise PluginError(f"{where}: no column {', '.join(lacking)}")
    found: dict[tuple[str, str], Printed] = {}
    for row in reader:
        variant, dataset = ((row[name] or "").strip() for name in _KEYS)
        key = (variant, dataset.lower())
        line = f"{where}, line {reader.line_num}"
        if key in found:
            raise PluginError(f"{line}: variant '{key[0]}' on {key[1]} is there twice")
        try:
            figures = {name.capitalize(): float((row[name] or "").strip() or math.nan) for name in _FIGURES}
        except ValueError as error:
            raise PluginError(f"{line}: {error}") from None
        if any(value < 0 or value > 100 for value in figures.values()):
            raise PluginError(f"{line}: a figure is no percentage")
        source, note = ((row[name] or "").strip() for name in _TEXTS)
        found[key] = Printed(figures, source, note)
    return found
