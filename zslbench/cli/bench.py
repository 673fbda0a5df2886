"""``zslbench bench`` runs the missing cells of a suite; ``zslbench suites`` lists suites."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli.options import SELECTIONS, format_option, note, options_of, running_options
from zslbench.errors import ZslbenchError
from zslbench.report.tables.render import emit

if TYPE_CHECKING:
    from zslbench.experiment.suites.plan import SuitePlan


@click.command()
@click.argument("suite")
@click.option("--method", "methods", multiple=True, help="Run only this method or row; repeatable.")
@click.option("--dataset", "datasets", multiple=True, help="Run only this data set; repeatable.")
@click.option("--seeds", type=click.IntRange(min=1), help="Run only the first N of the suite's seeds.")
@click.option("--select", multiple=True, type=SELECTIONS, help="Run only this selection; repeatable.")
@click.option("--only-missing", is_flag=True, help="Skip cells that were started or failed before.")
@click.option("--retry-failed", is_flag=True, help="Run failed cells again.")
@click.option(
    "--show",
    metavar="WHAT,...",
    help="What the table shows in addition: oracle, published, difference (ours minus published), "
    "interval (± a 95 % interval instead of ± std).  [default: oracle,published]",
)
@click.option("--dry-run", is_flag=True, help="Show what would run and the estimated time.")
@options_of("settings", "preset")
@running_options
@format_option
def bench(suite: str, dry_run: bool, show: str | None, fmt: str, **options: Any) -> None:
    """Run the missing cells of SUITE and show its table.

    SUITE is a packaged suite (zslbench suites lists them) or the path of a TOML file. Finished runs are
    reused, interrupted ones resume, and a run that fails does not stop the others.
    """
    from zslbench.cli.grid import watching
    from zslbench.experiment.suites.run import prepare
    from zslbench.plugin.discovery import registry
    from zslbench.report.figures import parse_choices
    from zslbench.report.suite import DEFAULT, SHOW, suite_table

    shown = DEFAULT if show is None else parse_choices(show, SHOW)  # before anything runs
    with watching() as watcher:
        prepared = prepare(suite, registry(), display=watcher, **options)
        if dry_run:
            _emit_plan(prepared.plan, fmt)
            return
        outcome = prepared.run(watcher)
    emit(suite_table(outcome, show=shown), fmt)
    if failed := prepared.failures(outcome):
        for text in failed:
            click.echo(f"failed: {text}", err=True)
        raise ZslbenchError(
            f"{len(failed)} of {len(prepared.plan.cells)} cells failed; --retry-failed runs them again"
        )


@click.command()
@click.argument("name", required=False, metavar="[SUITE]")
@format_option
def suites(name: str | None, fmt: str) -> None:
    """List the packaged suites, or the rows of SUITE (a name, or the path of a TOML file)."""
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


def _emit_plan(plan: SuitePlan, fmt: str) -> None:
    from zslbench.cli.grid import cells
    from zslbench.cli.progress import duration

    title = f"plan of {plan.resolved.suite.name}"
    emit(_each(plan) if fmt in ("csv", "json") else _gathered(plan), fmt, title=title)
    there = Counter(step.status for step in plan.cells)
    note(f"{cells(len(plan.cells))}: " + ", ".join(f"{count} {status}" for status, count in there.items()))
    if plan.pending:
        known = len(plan.pending) - plan.unknown
        unknown = f"{plan.unknown} of unknown cost" if plan.unknown else ""
        cost = f"{known} of about {duration(plan.seconds)} together" if known else ""
        note(f"to compute: {', '.join(text for text in (cost, unknown) if text)}")
    reasons = (step.reason for step in plan.cells if step.reason)
    for reason in dict.fromkeys([*plan.resolved.remarks, *reasons]):
        note(reason)


def _each(plan: SuitePlan) -> list[dict[str, Any]]:
    """A row per cell."""
    return [
        {
            "line": step.cell.line.label,
            **step.cell.facts(),
            "state": step.status,
            "seconds": step.seconds,
            "run": step.run,
            "reason": step.reason or None,
        }
        for step in plan.cells
    ]


def _gathered(plan: SuitePlan) -> list[dict[str, Any]]:
    """A row per line, data set and selection: states of its seeds, and the cost of pending ones."""
    from zslbench.cli.progress import duration

    rows: dict[tuple[str, str, str], list[Any]] = {}
    for step in plan.cells:
        key = (step.cell.line.label, step.cell.dataset, step.cell.selection.mode)
        rows.setdefault(key, []).append(step)
    found = []
    for (label, dataset, mode), steps in rows.items():
        pending = [step for step in steps if step in plan.pending]
        costs = [step.seconds for step in pending]
        cost = None if not pending else "unknown" if None in costs else duration(sum(costs))
        states = Counter(step.status for step in steps)
        seeds = ", ".join(
            status if count == len(steps) and status in ("no plugin", "no data") else f"{count} {status}"
            for status, count in states.items()
        )
        found.append({"line": label, "data set": dataset, "selection": mode, "seeds": seeds, "cost": cost})
    return found
