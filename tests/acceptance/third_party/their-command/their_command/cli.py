"""The click commands; imported when one of them is used."""

import click

from zslbench.cli import format_option, store_option


@click.command()
@click.argument("method", required=False)
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Runs to show.")
@store_option
@format_option
def best_runs(method, top, store, fmt):
    """Show the best runs in the store, or those of METHOD."""
    from their_command.best import best
    from zslbench.report.tables.render import emit

    emit(best(method, store=store)[:top], fmt, title="best runs")


@click.group()
def group():
    """A group of commands."""


@group.command()
def fail():
    """Fail with an error that is not the user's."""
    raise ZeroDivisionError("division by zero")
