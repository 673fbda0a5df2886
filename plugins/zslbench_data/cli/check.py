"""``zslbench data check``: everything that can be wrong with a data set, all at once."""

from __future__ import annotations

from pathlib import Path

import click

from zslbench.cli import data_root_option, format_option
from zslbench.errors import Interrupted


@click.command()
@click.argument("dataset")
@click.option("--features", help="Only this features file (default: all).")
@click.option("--regions", help="Only these region features: a name, or a path (default: all).")
@click.option(
    "--semantics", help="Only this class description: att, original_att or sentence (default: all)."
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@data_root_option
@format_option
@click.pass_context
def check(
    ctx: click.Context,
    dataset: str,
    features: str | None,
    regions: str | None,
    semantics: str | None,
    strict: bool,
    data_root: Path | None,
    fmt: str,
) -> None:
    """Look a data set over: counts, splits, values, duplicates, orders, regions, words, checksums.

    One row for everything that was looked at. The exit status is 1 where there are errors (with --strict also
    where there are warnings), else 0.
    """
    from zslbench.report import emit
    from zslbench_data.checking.check import check_dataset
    from zslbench_data.cli.display import Bars

    try:
        found = check_dataset(
            dataset, data_root, features=features, regions=regions, semantics=semantics, display=Bars()
        )
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    order = ("error", "warning", "ok")
    rows = sorted(found, key=lambda one: order.index(one.severity))
    emit([one.row() for one in rows], fmt, title=f"data set {dataset}")
    counts = {one: sum(row.severity == one for row in rows) for one in order}
    click.echo(f"{counts['error']} errors, {counts['warning']} warnings, {counts['ok']} ok", err=True)
    if counts["error"] or (strict and counts["warning"]):
        ctx.exit(1)
