"""``zslbench bench`` runs the missing cells of a suite; ``zslbench suites`` lists suites."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli.completion import complete_datasets, complete_methods, complete_suites
from zslbench.cli.options import (
    SEEDS,
    SELECTIONS,
    dry_run_option,
    format_option,
    metrics_option,
    note,
    options_of,
    running_options,
)
from zslbench.errors import ZslbenchError
from zslbench.output import echo
from zslbench.report.tables.render import emit

if TYPE_CHECKING:
    from zslbench.experiment.suites.lines import Cell, Place
    from zslbench.experiment.suites.run import Bench


@click.command()
@click.argument("suite", shell_complete=complete_suites)
@click.option(
    "--method",
    "methods",
    multiple=True,
    shell_complete=complete_methods,
    help="Run only this method or line; repeatable.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    shell_complete=complete_datasets,
    help="Run only this data set, or with 'NAME/*' all splits in folder NAME; repeatable.",
)
@click.option("--seeds", type=SEEDS, help="Run only the first N of the suite's seeds.")
@click.option("--select", multiple=True, type=SELECTIONS, help="Run only this selection; repeatable.")
@click.option("--only-missing", is_flag=True, help="Skip cells that were started or failed before.")
@click.option("--retry-failed", is_flag=True, help="Run failed cells again.")
@click.option(
    "--any-version",
    is_flag=True,
    help="Also accept finished runs of other versions of the code; the table says how many.",
)
@click.option(
    "--show",
    metavar="WHAT,...",
    help="What the table shows in addition: oracle, published, difference (ours minus published), "
    "interval (± half of a 95 % interval instead of ± std).  [default: oracle,published]",
)
@metrics_option
@dry_run_option
@options_of("settings", "preset")
@running_options
@format_option
def bench(suite: str, dry_run: bool, show: str | None, metrics: str | None, fmt: str, **options: Any) -> None:
    """Run the missing cells of SUITE and show its table.

    SUITE is a packaged suite (zslbench suites lists them) or the path of a TOML file. Finished runs are
    reused, interrupted ones resume, and a run that fails does not stop the others.
    """
    from zslbench.cli.grid import watching
    from zslbench.evaluation.metrics import metrics_named
    from zslbench.experiment.suites.run import prepare
    from zslbench.plugin.discovery import registry
    from zslbench.report.figures import parse_choices
    from zslbench.report.suite import DEFAULT, SHOW, suite_table

    shown = DEFAULT if show is None else parse_choices(show, SHOW)  # before anything runs
    named = metrics_named(metrics)
    with watching() as watcher:
        prepared = prepare(suite, registry(), dry_run=dry_run, display=watcher, **options)
        if dry_run:
            emit_plan(prepared, fmt)
            return
        outcome = prepared.run(watcher)
    emit(suite_table(outcome, show=shown, metrics=named), fmt)
    if failed := prepared.failures(outcome):
        for text in failed:
            echo(f"failed: {text}", err=True)
        raise ZslbenchError(
            f"{len(failed)} of {len(prepared.cells)} cells failed; --retry-failed runs them again"
        )


@click.command()
@click.argument("name", required=False, metavar="[SUITE]", shell_complete=complete_suites)
@format_option
def suites(name: str | None, fmt: str) -> None:
    """List the packaged suites, or the lines of SUITE (a name, or the path of a TOML file)."""
    from zslbench.experiment.suites.definition import find_suite, suite_names

    if name is not None:
        one = find_suite(name)
        places = f"{', '.join(one.datasets)}; {', '.join(one.select)}"
        title = f"{one.name}: {one.title} ({places}; seeds {', '.join(map(str, one.seeds))})"
        rows: list[dict[str, Any]] = [
            {
                "line": row.label,
                "method": row.method,
                "variant": next(iter(row.variants), None),
                "reading": next(iter(row.readings), None),
            }
            for row in one.rows
        ]
    else:
        title = "suites"
        rows = [
            {
                "suite": one.name,
                "summary": one.summary,
                "lines": len(one.rows),
                "data sets": ", ".join(one.datasets),
                "selections": ", ".join(one.select),
                "seeds": len(one.seeds),
            }
            for one in map(find_suite, suite_names())
        ]
    emit(rows, fmt, title=title)


def emit_plan(bench: Bench, fmt: str) -> None:
    """Show what a suite would compute, what that costs, and what its executor would do."""
    from zslbench.cli.grid import states_text
    from zslbench.cli.progress import duration

    title = f"plan of {bench.resolved.suite.name}"
    emit(_each(bench) if fmt in ("csv", "json") else _by_place(bench), fmt, title=title)
    note(states_text(bench))
    if pending := bench.pending:
        costs = [cell.seconds for cell in pending if cell.seconds is not None]
        known = f"{len(costs)} in about {duration(sum(costs))} altogether" if costs else ""
        left = len(pending) - len(costs)
        unknown = f"{left} of unknown cost" if left else ""
        note(f"to compute: {', '.join(filter(None, (known, unknown)))}")
    echo(*bench.preview() or (), err=True)
    reasons = (cell.reason for cell in bench.cells if cell.reason)
    for reason in dict.fromkeys([*bench.resolved.remarks, *reasons]):
        note(reason)


def _each(bench: Bench) -> list[dict[str, Any]]:
    """A row per cell."""
    return [
        {
            "line": cell.line.label,
            **cell.facts(),
            "state": cell.status,
            "seconds": cell.seconds,
            "run": cell.run,
            "reason": cell.reason or None,
        }
        for cell in bench.cells
    ]


def _by_place(bench: Bench) -> list[dict[str, Any]]:
    """A row per line, column and selection: the states of its runs, and the cost of pending ones."""
    from zslbench.cli.progress import duration
    from zslbench.data.split_sets import columns_of
    from zslbench.experiment.suites.lines import PENDING

    suite = bench.resolved.suite
    column_of = columns_of(suite.datasets, suite.split_sets)
    rows: dict[Place, list[Cell]] = {}
    for cell in bench.cells:
        place = cell.line.label, column_of[cell.dataset], cell.selection.mode
        rows.setdefault(place, []).append(cell)
    found = []
    for (label, dataset, mode), cells in rows.items():
        costs = [cell.seconds for cell in cells if cell.status in PENDING]
        known = [cost for cost in costs if cost is not None]
        cost = None if not costs else duration(sum(known)) if len(known) == len(costs) else "unknown"
        states = Counter(cell.status for cell in cells)
        seeds = ", ".join(
            status if count == len(cells) and status in ("no plugin", "no data") else f"{count} {status}"
            for status, count in states.items()
        )
        found.append({"line": label, "data set": dataset, "selection": mode, "seeds": seeds, "cost": cost})
    return found
