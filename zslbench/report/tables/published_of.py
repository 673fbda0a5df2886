"""What is published of a suite's lines: of methods, and of the variants of a method's own ablation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from zslbench.errors import PluginError, UnknownName
from zslbench.experiment.published.results import PublishedResults
from zslbench.experiment.published.rows import PublishedRow
from zslbench.experiment.suites.resolving import Line
from zslbench.experiment.suites.results import SuiteOutcome


def published_lookup(
    outcome: SuiteOutcome, results: PublishedResults
) -> Callable[[Line, str, str], PublishedRow | None]:
    """A function of a line, a data set and class semantics that finds the published row."""

    def find(line: Line, dataset: str, semantics: str) -> PublishedRow | None:
        if line.published_variant is not None:
            return ablation(line.method).get((line.published_variant, dataset.lower()))
        if line.published is None:
            return None
        return results.find(line.published, dataset, outcome.published_source, semantics=semantics)

    return find


@functools.cache
def ablation(method: str) -> Mapping[tuple[str, str], PublishedRow]:
    """The printed ablation of a method by variant and data set; empty: there is none, or no plugin."""
    from zslbench.experiment.published.results import published_ablation
    from zslbench.plugin.discovery import registry

    try:
        return published_ablation(registry().method(method).declaration)
    except (UnknownName, PluginError):
        return {}
