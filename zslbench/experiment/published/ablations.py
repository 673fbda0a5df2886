"""The printed figures of a method's own ablation, which ``zslbench ablate`` sets beside what it computes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.resources import files

from zslbench.errors import PluginError
from zslbench.experiment.published.numbers import FIGURES
from zslbench.experiment.published.row import PublishedRow, row as printed_row
from zslbench.plugin.declarations import Method

_KEYS = ("variant", "dataset")
_FIGURES = tuple(name.lower() for name in FIGURES)
_TEXTS = ("source", "note")


def published_ablation(method: Method) -> Mapping[tuple[str, str], PublishedRow]:
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
    found: dict[tuple[str, str], PublishedRow] = {}
    for entry in reader:
        variant, dataset = ((entry[name] or "").strip() for name in _KEYS)
        key = (variant, dataset.lower())
        line = f"{where}, line {reader.line_num}"
        if key in found:
            raise PluginError(f"{line}: variant '{key[0]}' on {key[1]} is there twice")
        try:
            source, note = ((entry[name] or "").strip() for name in _TEXTS)
            found[key] = printed_row(
                {name: (entry[name.lower()] or "").strip() for name in FIGURES},
                method=method.name,
                group=method.group,
                citation=method.paper,
                dataset=dataset.lower(),
                source=source,
                note=note,
                origin="own paper",
                variant=variant,
            )
        except ValueError as error:
            raise PluginError(f"{line}: {error}") from None
    return found
