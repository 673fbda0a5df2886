"""How two runs differ, and whether their figures can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from zslbench.evaluation.metrics import criteria
from zslbench.evaluation.selection import uses_test_images
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


def refusals(dataset: str, found: Iterable[Difference]) -> tuple[str, ...]:
    """Why the figures of two runs with these differences cannot be compared, a sentence each.

    Args:
        dataset: that of the first run.
    """
    unlike = {(one.section, one.name): one for one in found}
    if one := unlike.get(("run", "dataset")):
        return (f"the runs are on different data sets, {one.a} and {one.b}",)
    texts = []
    if one := unlike.get(("data", "split")):
        texts.append(f"the runs have different splits of {dataset}, {one.a} and {one.b}")
    if ("data", "arrays.labels") in unlike:
        texts.append(f"the runs have different labels for the images of {dataset}")
    return tuple(texts)


def warnings(found: Iterable[Difference], *, only_seed: bool) -> tuple[str, ...]:
    """What to bear in mind when comparing two runs with these differences, a sentence each.

    Args:
        only_seed: whether nothing that figures depend on differs but the seed.
    """
    unlike = {(one.section, one.name): one for one in found}
    texts = []
    if one := unlike.get(("selection", "mode")):
        effect = "one of them was not selected on validation"
        if uses_test_images(one.a) or uses_test_images(one.b):
            effect = "results selected on test images are too high"
        modes = f"{selection_label(one.a)} and {selection_label(one.b)}"
        texts.append(f"selected differently ({modes}): {effect}")
    if one := unlike.get(("run", "transductive")):
        known = " and ".join(", ".join(side) if side else "nothing" for side in (one.a, one.b))
        texts.append(f"fitted with different knowledge of the test images ({known}): more is an advantage")
    for name in ("features", "semantics"):
        if one := unlike.get(("data", name)):
            texts.append(f"different {name} ({one.a} and {one.b})")
        elif ("data", f"arrays.{name}") in unlike:
            texts.append(f"{name} of the same name but with different values: their files differ")
    if ("data", "finetuned") in unlike:
        texts.append("the backbone of one run was fine-tuned on this data set, or may have been")
    if ("data", "validation") in unlike:
        texts.append("different validation splits")
    if (one := unlike.get(("run", "seed"))) and not only_seed:
        texts.append(f"different seeds ({one.a} and {one.b}): part of every difference is chance")
    return tuple(texts)
