"""How two runs differ, and whether their figures can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zslbench.evaluation.metrics import criteria
from zslbench.report.results import ORACLE_MARK
from zslbench.store.record import RunRecord

SECTIONS = (
    "run",
    "components",
    "settings",
    "search",
    "chosen",
    "selection",
    "data",
    "versions",
    "execution",
    "environment",
)
_ENVIRONMENT = ("python", "platform", "packages", "device", "cuda", "cpu_count", "git")
"""Entries of the environment that are compared; the others are in other sections or differ in every run."""


@dataclass(frozen=True)
class Difference:
    """One entry that differs between two runs."""

    section: str
    """One of ``SECTIONS``."""
    name: str
    """For example ``generator.lr``; nested names are joined by dots."""
    a: Any
    """None: the run has no such entry."""
    b: Any


def differences(a: RunRecord, b: RunRecord) -> tuple[Difference, ...]:
    """All entries that differ between two runs, by section and name.

    All sections except ``chosen`` and ``environment`` are part of the runs' identities.
    """
    one, other = _facts(a), _facts(b)
    return tuple(
        Difference(section, name, one[section].get(name), other[section].get(name))
        for section in SECTIONS
        for name in dict.fromkeys([*one[section], *other[section]])
        if one[section].get(name) != other[section].get(name)
    )


def without_seed(record: RunRecord) -> dict[str, Any]:
    """The part of the identity that runs differing only in their seed share."""
    return {key: value for key, value in record.info.identity.items() if key != "seed"}


def refusals(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """Why the figures of two runs cannot be compared, a sentence each; empty: they can."""
    return tuple(_refusals(a, b))


def warnings(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """What to bear in mind when comparing the two runs, a sentence each."""
    return tuple(_warnings(a, b))


def _facts(record: RunRecord) -> dict[str, dict[str, Any]]:
    identity, environment = record.info.identity, record.environment
    named = ("method", "variant", "reading", "seed", "tasks", "format")
    found: dict[str, dict[str, Any]] = {
        "run": {
            **{name: identity.get(name) for name in named},
            "dataset": record.info.dataset,
        },
        "settings": flat(identity.get("settings", {})) | {"preset": environment.get("preset")},
        "chosen": flat(environment.get("chosen") or {}) | _epochs(record),
        "data": flat(identity.get("data", {})) | {"finetuned": record.data.get("finetuned")},
        "environment": flat({key: environment.get(key) for key in _ENVIRONMENT}),
    }
    for section in ("components", "search", "selection", "versions", "execution"):
        found[section] = flat(identity.get(section, {}))
    # Entries that a later version adds to the identity must show up as well.
    known = {*named, *SECTIONS}
    found["run"] |= flat({key: value for key, value in identity.items() if key not in known})
    return found


def _epochs(record: RunRecord) -> dict[str, Any]:
    chosen = [f"{one.key}_{what}" for what in ("epoch", "candidate") for one in reversed(criteria())]
    names = ("epochs", *chosen)
    return {name: record.metrics[name] for name in names if record.metrics.get(name) is not None}


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"generator": {"lr": 0.1}}`` as ``{"generator.lr": 0.1}``."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _refusals(a: RunRecord, b: RunRecord) -> Iterator[str]:
    if a.info.dataset != b.info.dataset:
        yield f"the runs are on different data sets, {a.info.dataset} and {b.info.dataset}"
        return
    data = [record.info.identity.get("data", {}) for record in (a, b)]
    splits = [one.get("split") for one in data]
    if splits[0] != splits[1]:
        yield f"the runs have different splits of {a.info.dataset}, {splits[0]} and {splits[1]}"
    labels = [one.get("arrays", {}).get("labels") for one in data]
    if labels[0] != labels[1]:
        yield f"the runs have different labels for the images of {a.info.dataset}"


def _warnings(a: RunRecord, b: RunRecord) -> Iterator[str]:
    modes = [record.info.selection for record in (a, b)]
    if modes[0] != modes[1]:
        shown = " and ".join(f"{mode}{ORACLE_MARK if mode == 'oracle' else ''}" for mode in modes)
        yield f"selected differently ({shown}): " + (
            "figures chosen on test images are too high"
            if "oracle" in modes
            else "one of them was not selected on validation"
        )
    data = [record.info.identity.get("data", {}) for record in (a, b)]
    for name in ("features", "semantics"):
        if data[0].get(name) != data[1].get(name):
            yield f"different {name} ({data[0].get(name)} and {data[1].get(name)})"
        elif len({one.get("arrays", {}).get(name) for one in data}) > 1:
            yield f"{name} of the same name but with different values: their files differ"
    tuned = [record.data.get("finetuned") for record in (a, b)]
    if tuned[0] != tuned[1]:
        yield "the backbone of one run was fine-tuned on this data set, or may have been"
    if data[0].get("validation") != data[1].get("validation"):
        yield "different validation splits"
    if a.info.seed != b.info.seed and without_seed(a) != without_seed(b):
        yield f"different seeds ({a.info.seed} and {b.info.seed}): part of every difference is chance"
