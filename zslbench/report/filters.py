"""Filters for runs: conditions such as ``method=sc-egg`` or ``H>50``.

All conditions must hold, except that several with ``=`` on one key are alternatives. A run that lacks a
condition's key does not match it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from zslbench.data.locations import dataset_key, folder_key
from zslbench.data.split_sets import ALL_SPLITS, in_split_set, is_split_set
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import METRICS
from zslbench.plugin.declarations import KINDS
from zslbench.plugin.presets import flatten, toml_or_word
from zslbench.report.results import SELECTIONS, candidates_label
from zslbench.store.parsing import LARGEST

if TYPE_CHECKING:
    from zslbench.store.record import RunRecord
    from zslbench.store.workspace import Unfinished

FINISHED = "finished"
STATES = (FINISHED, "running", "interrupted")
_TEXTS = ("method", "dataset", "variant", "reading", "selection", "candidates", "state")
_KEYS = (*_TEXTS, "seed", "date", *(one.name for one in METRICS.values()))
_METRICS = {name.lower(): one.name for one in METRICS.values() for name in (one.key, one.name)}
_SHOWN = {one.name: one.digits for one in METRICS.values()}
"""Decimals of metrics in tables. A condition with more decimals compares all of its own."""
_CONDITION = re.compile(r"\s*([\w.-]+)\s*(==?|!=|<=|>=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NOTATION = (
    "KEY=VALUE, !=, <, <=, >, >= or ~ (contains); keys: method, dataset, variant, reading, selection, "
    "candidates, seed, state, date (UTC), metrics in percent (H>50), settings (generator.lr=1e-4)"
)


@dataclass(frozen=True)
class Condition:
    """One condition on a run."""

    key: str
    sign: str
    """``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` or ``~``."""
    value: Any
    """Text, a number or None; for ``date``, the start of the period and the moment after its end."""

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition such as ``"seed<3"``.

        Raises:
            SettingsError: it is not written as a condition, or its value does not suit the key.
            UnknownName: there is no such key.
        """
        found = _CONDITION.fullmatch(text)
        if not found:
            raise SettingsError(f"--filter {text}: write a condition as {NOTATION}")
        key, sign, value = found[1], found[2].replace("==", "="), found[3]
        key = _METRICS.get(key.lower(), "selection" if key == "select" else key)
        if key not in _KEYS and key.partition(".")[0] not in KINDS:
            raise UnknownName(f"--filter {text}: no key '{key}', {did_you_mean(key, _KEYS)}")
        try:
            return cls(key, sign, _value(key, sign, value))
        except ValueError as error:
            raise SettingsError(f"--filter {text}: {error}") from None

    def holds(self, fact: Any) -> bool:
        """Whether a run with this value matches; ``...``: the run has no value."""
        if fact is ...:
            return False
        if self.key == "date":
            start, end = self.value
            inside = start <= fact < end
            answers = {"=": inside, "!=": not inside, "<": fact < start, "<=": fact < end}
            return bool((answers | {">": fact >= end, ">=": fact >= start})[self.sign])
        if self.sign == "~":
            return fact is not None and str(self.value).lower() in str(fact).lower()
        if self.key in _SHOWN:
            typed = Decimal(str(self.value)).as_tuple().exponent
            fact = round(fact, max(_SHOWN[self.key], -int(typed)))
        if self.sign in _COMPARE:
            number = isinstance(fact, int | float) and not isinstance(fact, bool)
            return number and _COMPARE[self.sign](fact, self.value)
        if self.key == "dataset" and fact is not None and is_split_set(self.value):
            return in_split_set(self.value, str(fact)) == (self.sign == "=")
        equal = bool(fact == self.value) and isinstance(fact, bool) == isinstance(self.value, bool)
        return equal == (self.sign == "=")


class Filters:
    """Conditions on runs, finished and unfinished."""

    def __init__(self, conditions: Iterable[Condition] = ()) -> None:
        self.conditions = tuple(conditions)

    def __bool__(self) -> bool:
        return bool(self.conditions)

    @property
    def split_sets(self) -> tuple[str, ...]:
        """The names of several splits, such as ``hmdb51/*``, that the runs are on."""
        names = (one.value for one in self.conditions if (one.key, one.sign) == ("dataset", "="))
        return tuple(dict.fromkeys(folder_key(name) for name in names if is_split_set(name)))

    def whole_folders(self, records: Iterable[RunRecord]) -> list[str]:
        """A note for each folder of splits that a condition names like a single data set."""
        ran = {one.info.dataset for one in records}
        named = [one.value for one in self.conditions if (one.key, one.sign) == ("dataset", "=")]
        return [
            f"'{name}' is a folder of splits; write --dataset '{name}{ALL_SPLITS}'"
            for name in dict.fromkeys(named)
            if not is_split_set(name) and any(in_split_set(f"{name}{ALL_SPLITS}", one) for one in ran)
        ]

    def finished(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """The runs that match.

        Raises:
            UnknownName: no run has a setting of this name.
        """
        facts = [_facts(one) for one in records]
        known = {key for one in facts for key in one if key not in _KEYS}
        for one in self.conditions:
            if records and one.key not in (*_KEYS, *known):
                hint = did_you_mean(one.key, sorted(known))
                raise UnknownName(f"no run has a setting '{one.key}', {hint}")
        return [record for record, of in zip(records, facts, strict=True) if self._match(of)]

    def unfinished(self, runs: Iterable[Unfinished]) -> list[Unfinished]:
        """The unfinished runs that match; nothing is known of their settings, and they have no metrics."""

        def facts(one: Unfinished) -> dict[str, Any]:
            state = "running" if one.running else "interrupted"
            return {"candidates": TEST} | one.info | {"state": state, "date": one.when}

        return [one for one in runs if self._match(facts(one))]

    def _match(self, facts: Mapping[str, Any]) -> bool:
        alternatives: dict[str, list[bool]] = {}
        for one in self.conditions:
            holds = one.holds(facts.get(one.key, ...))
            if one.sign == "=":
                alternatives.setdefault(one.key, []).append(holds)
            elif not holds:
                return False
        return all(map(any, alternatives.values()))


_NAMED = ("method", "dataset", "variant", "reading", "selection", "seed")


def _facts(record: RunRecord) -> dict[str, Any]:
    """The values of a run by key; a setting that validation searched has the chosen value."""
    info = record.info
    figures = {one.name: one.of(record.metrics) for one in METRICS.values()}
    return {
        **flatten(info.identity.get("settings", {})),
        **(record.environment.get("chosen") or {}),
        **{name: getattr(info, name) for name in _NAMED},
        **{name: value for name, value in figures.items() if not math.isnan(value)},
        "candidates": candidates_label(record),
        "state": FINISHED,
        "date": record.finished,
    }


def _value(key: str, sign: str, text: str) -> Any:
    """The value that a condition compares with; ValueError: it does not suit the key or the sign."""
    if key == "date":
        if sign == "~":
            raise ValueError("compare a date with =, !=, <, <=, > or >=")
        return _period(text)
    if key in _TEXTS:
        if sign in _COMPARE:
            raise ValueError(f"compare {key} with =, != or ~")
        known = {"selection": SELECTIONS, "state": STATES}.get(key, ())
        if known and sign != "~" and text not in known:
            raise ValueError(f"no {key} '{text}', {did_you_mean(text, known)}")
        if not text:
            raise ValueError("the value is missing")
        if key in ("variant", "reading") and text == "none" and sign != "~":
            return None
        return dataset_key(text) if key == "dataset" else text
    if sign == "~":
        return text
    value = None if text == "none" else toml_or_word(text)
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
    if not number and (sign in _COMPARE or key == "seed" or key in _METRICS.values()):
        raise ValueError(f"'{text}' is not a number")
    return value


def _period(text: str) -> tuple[datetime, datetime]:
    """The start and end of a day, minute or second; UTC unless a zone is given."""
    try:
        start = datetime.fromisoformat(text)
        start = start.replace(tzinfo=UTC) if start.tzinfo is None else start
        seconds = 24 * 3600 if len(text) <= 10 else 60 if text[:19].count(":") < 2 else 1
        return start, start + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is not a date; write 2026-11-30 or 2026-11-30T14:05") from None
