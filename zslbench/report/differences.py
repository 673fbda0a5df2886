"""How two runs differ, and whether their figures can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from zslbench.evaluation.metrics import criteria
from zslbench.plugin.presets import flatten
from zslbench.report.results import selection_label
from zslbench.store.record import RunRecord

SECTIONS = (
    *("run", "components", "settings", "search", "chosen"),
    *("selection", "data", "versions", "execution", "environment"),
)
_IDENTITY = ("components", "search", "selection", "versions", "execution")
"""Sections of the identity that are compared entry by entry."""
_RUN = ("method", "variant", "reading", "seed", "tasks", "format")
_ENVIRONMENT = ("python", "platform", "packages", "device", "cuda", "cpu_count", "git")
"""Entries of the environment that are compared; the others are in other sections or differ in every run."""


class Difference(NamedTuple):
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
    one, other = _sections(a), _sections(b)
    return tuple(
        Difference(section, name, one[section].get(name), other[section].get(name))
        for section in SECTIONS
        for name in dict.fromkeys([*one[section], *other[section]])
        if one[section].get(name) != other[section].get(name)
    )


def without_seed(record: RunRecord) -> dict[str, Any]:
    """The part of the identity that runs differing only in their seed share."""
    return {key: value for key, value in record.info.identity.items() if key != "seed"}


def _sections(record: RunRecord) -> dict[str, dict[str, Any]]:
    identity, environment = record.info.identity, record.environment
    chosen = [f"{one.key}_{what}" for what in ("epoch", "candidate") for one in reversed(criteria())]
    epochs = {name: record.metrics.get(name) for name in ("epochs", *chosen)}
    found: dict[str, Mapping[str, Any]] = {
        "run": {name: identity.get(name) for name in _RUN} | {"dataset": record.info.dataset},
        "settings": {**identity.get("settings", {}), "preset": environment.get("preset")},
        "chosen": {
            **(environment.get("chosen") or {}),
            **{name: value for name, value in epochs.items() if value is not None},
        },
        "data": {**identity.get("data", {}), "finetuned": record.data.get("finetuned")},
        "environment": {name: environment.get(name) for name in _ENVIRONMENT},
        **{name: identity.get(name, {}) for name in _IDENTITY},
    }
    # Entries that a later version adds to the identity must show up as well.
    known = {*_RUN, *SECTIONS}
    found["run"] = {**found["run"], **{key: one for key, one in identity.items() if key not in known}}
    return {name: flatten(section) for name, section in found.items()}


def refusals(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """Why the figures of two runs cannot be compared, a sentence each; empty: they can."""
    dataset = a.info.dataset
    if dataset != b.info.dataset:
        return (f"the runs are on different data sets, {dataset} and {b.info.dataset}",)
    one, other = (record.info.identity.get("data", {}) for record in (a, b))
    found = []
    if one.get("split") != other.get("split"):
        found.append(
            f"the runs have different splits of {dataset}, {one.get('split')} and {other.get('split')}"
        )
    if one.get("arrays", {}).get("labels") != other.get("arrays", {}).get("labels"):
        found.append(f"the runs have different labels for the images of {dataset}")
    return tuple(found)


def warnings(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """What to bear in mind when comparing the two runs, a sentence each."""
    found = []
    modes = [record.info.selection for record in (a, b)]
    if modes[0] != modes[1]:
        effect = "one of them was not selected on validation"
        if "oracle" in modes:
            effect = "results selected on test images are too high"
        found.append(f"selected differently ({' and '.join(map(selection_label, modes))}): {effect}")
    one, other = (record.info.identity.get("data", {}) for record in (a, b))
    for name in ("features", "semantics"):
        if one.get(name) != other.get(name):
            found.append(f"different {name} ({one.get(name)} and {other.get(name)})")
        elif one.get("arrays", {}).get(name) != other.get("arrays", {}).get(name):
            found.append(f"{name} of the same name but with different values: their files differ")
    if a.data.get("finetuned") != b.data.get("finetuned"):
        found.append("the backbone of one run was fine-tuned on this data set, or may have been")
    if one.get("validation") != other.get("validation"):
        found.append("different validation splits")
    if a.info.seed != b.info.seed and without_seed(a) != without_seed(b):
        found.append(f"different seeds ({a.info.seed} and {b.info.seed}): part of every difference is chance")
    return tuple(found)
