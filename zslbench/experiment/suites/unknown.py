"""Names in a suite that nothing has, each told with the nearest that there is."""

from __future__ import annotations

from collections.abc import Callable, Collection

from zslbench.errors import SettingsError, did_you_mean
from zslbench.experiment.published import PublishedResults
from zslbench.experiment.published.ablations import published_ablation
from zslbench.experiment.suites.catalogue import Suite
from zslbench.experiment.suites.definition import Row, Wanted
from zslbench.plugin.declarations import Method


def by_name(preset: str) -> bool:
    """Whether it is one of a line's own method, and neither another's nor a file."""
    return ":" not in preset and not preset.endswith(".toml")


def unused(said: Wanted, settings: Collection[str], presets: Collection[str]) -> list[str]:
    """What is said for all lines although none of them has it, a line of text each.

    Args:
        said: of the suite, of a data set in it, or of a command line.
        settings: those that any line has.
        presets: those that any line's method has.
    """
    told = [
        f"no line has setting '{one}', {did_you_mean(one, settings)}"
        for one in said.settings
        if one not in settings
    ]
    named = [one for one in said.preset if by_name(one) and one not in presets]
    return told + [f"no line has preset '{one}', {did_you_mean(one, presets)}" for one in named]


def refuse_unprinted(suite: Suite, declared: Callable[[Row], Method | None]) -> None:
    """Check the source and the names of methods that the suite wants to be compared with.

    Args:
        suite: the suite.
        declared: the method that a row is of; its own ablation is published as well.

    Raises:
        SettingsError: the published results have no such source, or no such method.
    """
    results, source = PublishedResults.load(), suite.definition.published_source
    if source is not None and source not in results.sources:
        methods = filter(None, map(declared, suite.rows))
        known = {
            *results.sources,
            *(one.source for method in methods for one in published_ablation(method).values()),
        }
        if source not in known:
            hint = did_you_mean(source, known)
            raise SettingsError(f"suite {suite.where}: nothing published has source '{source}', {hint}")
    for row in suite.rows:
        if isinstance(row.published, str) and not results.all(row.published):
            hint = did_you_mean(row.published, results.methods)
            raise SettingsError(
                f"suite {suite.where}: line '{row.label}': nothing is published of '{row.published}', {hint}"
            )
