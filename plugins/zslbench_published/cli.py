"""``zslbench published``: results in the literature, with their sources and disputed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zslbench.cli import format_option, note
from zslbench.errors import PluginError, UnknownName, did_you_mean

if TYPE_CHECKING:
    from zslbench.experiment import PublishedRow


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
    from zslbench.report import emit, published_table

    rows = _published_rows()
    for what, wanted in (("method", method), ("data set", dataset), ("source", source)):
        if wanted is not None:
            rows = _matching(rows, what, wanted)
    emit(published_table(rows, "Published per-class accuracy in %", notes=method is not None), fmt)
    if method is None and fmt not in ("csv", "json") and any(row.note for row in rows):
        note("rows have notes: zslbench published METHOD shows them, and so do --format csv and json")


def _published_rows() -> list[PublishedRow]:
    """All rows by method and data set, the first choice first; after those of a method, its own ablation."""
    from zslbench.experiment import PublishedResults, normal, published_ablation
    from zslbench.plugin import registry

    known = PublishedResults.load()
    names = {normal(name): None for name in known.names("method")}
    rows = [row for name in names for dataset in known.names("dataset") for row in known.all(name, dataset)]
    for method in registry().methods():
        try:
            rows += published_ablation(method.declaration).values()
        except PluginError as error:  # the others can be listed without it
            note(str(error))
    order = list(dict.fromkeys(normal(row.method) for row in rows))
    return sorted(rows, key=lambda row: order.index(normal(row.method)))


def _matching(rows: Sequence[PublishedRow], what: str, wanted: str) -> list[PublishedRow]:
    """The rows with this method or data set in any spelling, or with this text in their source."""
    from zslbench.experiment import normal
    from zslbench.plugin import registry

    names = {str(getattr(row, what.replace(" ", ""))) for row in rows}
    part = what == "source"
    found = {
        one for one in names if (normal(wanted) in normal(one) if part else normal(wanted) == normal(one))
    }
    if (
        not found
        and what == "method"
        and normal(wanted) in {normal(one.name) for one in registry().methods()}
    ):
        raise UnknownName(f"no published results for method '{wanted}': none of the quoted sources has any")
    if not found:
        hint = did_you_mean(wanted.lower(), {one.lower() for one in names})
        raise UnknownName(f"no published results for {what} '{wanted}', {hint}")
    return [row for row in rows if getattr(row, what.replace(" ", "")) in found]
