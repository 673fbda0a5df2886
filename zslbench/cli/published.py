"""``zslbench published``: results from the literature, with sources and disputed values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zslbench.cli.options import format_option, note
from zslbench.errors import PluginError, UnknownName, did_you_mean
from zslbench.report.tables.render import emit

if TYPE_CHECKING:
    from zslbench.experiment.published import PublishedResults, PublishedRow


@click.command()
@click.argument("method", required=False)
@click.option("--dataset", help="Only this data set.")
@click.option("--source", metavar="TEXT", help="Only sources whose name contains TEXT.")
@format_option
def published(method: str | None, dataset: str | None, source: str | None, fmt: str) -> None:
    """List published results with their sources, and mark values of H that cannot be right.

    METHOD is a method's name in any spelling (sc-egg, SC-EGG); the ablation of its paper is listed too if a
    plugin provides it. Of several rows for one method and data set, comparisons show the first unless they
    name a source.
    """
    from zslbench.experiment.published import PublishedResults
    from zslbench.report.published import published_table

    known = PublishedResults.load()
    rows = _rows(known, method)
    if dataset is not None:
        datasets = _matching("data set", dataset, {one.dataset for one in rows}, whole=True)
        rows = [one for one in rows if one.dataset in datasets]
    if source is not None:
        sources = _matching("source", source, {one.source for one in rows}, whole=False)
        rows = [one for one in rows if one.source in sources]
    emit(published_table(rows, "Published per-class accuracy in %", notes=method is not None), fmt)
    if method is None and fmt not in ("csv", "json") and any(one.note for one in rows):
        note("rows have notes: zslbench published METHOD shows them, and so do --format csv and json")


def _rows(known: PublishedResults, method: str | None) -> list[PublishedRow]:
    """The rows of one method or of all, by method and data set, the first choice first; then its ablation."""
    from zslbench.experiment.published import normal

    ablations = _ablations()
    names = {normal(name): name for name in (*known.names("method"), *ablations)}
    if method is not None and normal(method) not in names:
        near = did_you_mean(method.lower(), {name.lower() for name in names.values()})
        raise UnknownName(f"no published results for '{method}', {near}")
    by_name = {normal(name): rows for name, rows in ablations.items()}
    rows: list[PublishedRow] = []
    for name in names if method is None else [normal(method)]:
        rows += [row for dataset in known.names("dataset") for row in known.all(name, dataset)]
        rows += by_name.get(name, ())
    return rows


def _ablations() -> dict[str, list[PublishedRow]]:
    """The published ablations that methods declare, by the method's name."""
    from zslbench.experiment.published import published_ablation
    from zslbench.plugin.discovery import registry

    found = {}
    for one in registry().methods():
        try:
            found[one.name] = list(published_ablation(one.declaration).values())
        except PluginError as error:  # the others can be listed without it
            note(str(error))
    return {name: rows for name, rows in found.items() if rows}


def _matching(what: str, wanted: str, names: set[str], *, whole: bool) -> set[str]:
    """The names that are this text in any spelling, or that have it in them."""
    from zslbench.experiment.published import normal

    text = normal(wanted)
    found = {one for one in names if (normal(one) == text if whole else text in normal(one))}
    if not found:
        raise UnknownName(f"no row for {what} '{wanted}', {did_you_mean(wanted, names)}")
    return found
