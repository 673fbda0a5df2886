"""``zslbench runs`` lists the runs of the store; its subcommands remove, export and import them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import (
    confirm,
    filter_options,
    format_option,
    note,
    note_empty,
    refuse_options,
    remark,
    store_option,
)
from zslbench.errors import ZslbenchError
from zslbench.output import echo

if TYPE_CHECKING:
    from zslbench.report import Filters
    from zslbench.store import RunRecord, Store

Row = dict[str, Any]

_FILE = click.Path(dir_okay=False, path_type=Path)
_LISTED = 20
"""How many runs ``rm`` lists before it asks."""


@click.group(invoke_without_command=True)
@filter_options
@click.option("--ids", is_flag=True, help="Print only the ids, one per line, for use in other commands.")
@store_option
@format_option
@click.pass_context
def runs(context: click.Context, ids: bool, store: Path | None, fmt: str, filters: Filters) -> None:
    """List finished and unfinished runs, or remove, export and import them."""
    from zslbench.evaluation import TEST
    from zslbench.report import emit
    from zslbench.store import Store

    if context.invoked_subcommand is not None:
        refuse_options(context)
        return
    where = Store.default(store)
    listed = _rows(where, filters)
    if not listed:
        note_empty(where, filters)
    if ids:
        if listed:
            echo(*(row["run"] for row in listed))
        return
    if fmt not in ("csv", "json"):
        usual = {"candidates": TEST, "differs in": ""}
        shared = {name for name, text in usual.items() if all(row[name] == text for row in listed)}
        listed = [{name: row[name] for name in row if name not in shared} for row in listed]
    emit(listed, fmt, decimals=1)


def _rows(store: Store, filters: Filters) -> list[Row]:
    """A row for each run that matches, finished ones first."""
    from zslbench.evaluation import TEST, headline_metrics
    from zslbench.report import candidates_label, method_label

    def row(
        run: str, about: Sequence[Any], differs: str, figures: Sequence[Any], state: str, when: Any
    ) -> Row:
        facts = dict(zip(("method", "dataset", "seed", "selection", "candidates"), about, strict=True))
        values = {metric.name: value for metric, value in zip(headline_metrics(), figures, strict=True)}
        end = {"state": state, "when": when.isoformat(timespec="seconds")}
        return {"run": run, **facts, "differs in": differs, **values, **end}

    rows = []
    begun = store.unfinished()  # first, so that a run that finishes meanwhile is still listed
    records = store.records()
    matching = filters.finished(records)
    differences = _differing_settings(matching)
    for one in matching:
        info = one.info
        about: list[Any] = [method_label(one), info.dataset, info.seed, info.selection, candidates_label(one)]
        figures = [metric.of(one.metrics) for metric in headline_metrics()]
        rows.append(row(info.id, about, differences[info.id], figures, "finished", one.finished))
    # One that has finished is run again with --force, or another process finished it meanwhile.
    finished = {one.info.id for one in records}
    for left in filters.unfinished(one for one in begun if one.id not in finished):
        known = left.info
        about = [known.get("label") or known.get("method"), *map(known.get, ("dataset", "seed", "selection"))]
        state = "running" if left.running else "interrupted"
        none: list[Any] = [None] * len(headline_metrics())
        rows.append(row(left.id, [*about, known.get("candidates", TEST)], "", none, state, left.when))
    return rows


def _differing_settings(records: Sequence[RunRecord]) -> dict[str, str]:
    """By id, what sets a run apart from those that would look the same in a list, without what most share."""
    from zslbench.report import (
        candidates_label,
        differences_text,
        method_label,
        runs_apart,
        usual_facts,
    )

    alike: dict[tuple[str, ...], list[RunRecord]] = {}
    for one in records:
        key = (method_label(one), one.info.dataset, one.info.selection, candidates_label(one))
        alike.setdefault(key, []).append(one)
    found: dict[str, str] = {}
    for members in alike.values():
        groups = runs_apart(members)
        usual = usual_facts([facts for facts, _ in groups])
        for facts, same in groups:
            text = differences_text({name: one for name, one in facts.items() if usual.get(name) != one})
            found |= {record.info.id: text for record in same}
    return found


@runs.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@filter_options
@click.option("--yes", is_flag=True, help="Remove without asking.")
@store_option
def rm(names: tuple[str, ...], yes: bool, store: Path | None, filters: Filters) -> None:
    """Remove runs and their checkpoints: each RUN (an id, or its first characters), or all that match.

    Lists them and asks first. Runs that are being computed are not removed.
    """
    from zslbench.report import emit
    from zslbench.store import RunInUse, Store

    where = Store.default(store)
    if bool(names) == bool(filters):
        raise click.UsageError(
            "name runs, or choose them with --filter, --method, --dataset or --select (not both)"
        )
    if names:
        chosen = dict.fromkeys(where.resolve_id(name) for name in names)
        if running := [run for run in chosen if where.is_running(run)]:
            raise RunInUse(
                f"nothing was removed; stop these runs first, they are being computed: {', '.join(running)}"
            )
        known = {row["run"]: row for row in _rows(where, filters)}
        rows = [known.get(run, {"run": run, "method": None, "state": "damaged"}) for run in chosen]
    else:
        found = _rows(where, filters)
        rows = [row for row in found if not where.is_running(row["run"])]
        if left := len(found) - len(rows):
            note(f"left out because they are being computed: {left}")
    if not rows:
        note("no run to remove")
        return
    columns = ["run", "method", "dataset", "seed", "selection", "state", "when"]
    columns += ["differs in"] if any(row.get("differs in") for row in rows) else []
    emit(
        [{name: row.get(name) for name in columns} for row in rows[:_LISTED]],
        "terminal",
        title="runs to remove",
    )
    if len(rows) > _LISTED:
        note(f"and {len(rows) - _LISTED} more")
    count = f"{len(rows)} run{'s' * (len(rows) > 1)}"
    if not yes:
        confirm(f"Remove {count} from the store?", "nothing was removed (--yes removes without asking)")
    failed = []
    for row in rows:
        try:
            where.remove(row["run"])
        except RunInUse as error:  # it began meanwhile
            failed.append(str(error))
    remark(f"removed {len(rows) - len(failed)} of {count}")
    if failed:
        raise RunInUse("; ".join(failed))


@runs.command()
@click.argument("archive", type=_FILE)
@click.argument("names", nargs=-1, metavar="[RUN]...")
@filter_options
@click.option(
    "--without-tables",
    "figures",
    is_flag=True,
    help="Leave out tables and networks: only records and metrics, about 2 kB per run.",
)
@store_option
def export(
    archive: Path, names: tuple[str, ...], store: Path | None, filters: Filters, figures: bool
) -> None:
    """Write finished runs to ARCHIVE, a new ZIP file: each RUN, the runs that match, or all."""
    from zslbench.store import Store
    from zslbench_runs.archive import export_runs

    where = Store.default(store)
    if names and filters:
        raise click.UsageError(
            "name runs, or choose them with --filter, --method, --dataset or --select (not both)"
        )
    chosen = {run.info.id: run for run in map(where.resolve, names)} if names else None
    records = list(chosen.values()) if chosen else filters.finished(where.records())
    if not records:
        raise ZslbenchError("the store has no matching finished run")
    size = export_runs(records, archive, figures=figures)
    remark(f"wrote {len(records)} run{'s' * (len(records) > 1)} to {archive} ({size:,} bytes)")


@runs.command("import")
@click.argument("archive", type=_FILE)
@store_option
@format_option
def import_(archive: Path, store: Path | None, fmt: str) -> None:
    """Add the runs in ARCHIVE, written by 'zslbench runs export', to the store.

    Every file is checked before the first run is added. Runs that the store already has are not changed; if
    the archive has different results for some of them, they are listed and the exit code is 1.
    """
    from zslbench.report import emit
    from zslbench.store import Store
    from zslbench_runs.archive import import_runs

    done = import_runs(archive, Store.default(store))
    outcomes = [("added", one) for one in done.added] + [("here already", one) for one in done.equal]
    outcomes += [("differs", one) for one, _ in done.differing]
    emit([_imported(state, one) for state, one in outcomes], fmt)
    if done.differing:
        raise ZslbenchError(f"{_differences(done.differing)}; the store keeps its own")


def _imported(state: str, record: RunRecord) -> Row:
    from zslbench.report import method_label

    info = record.info
    about = {"dataset": info.dataset, "seed": info.seed, "selection": info.selection}
    return {"run": info.id, "method": method_label(record), **about, "state": state}


def _differences(differing: Sequence[tuple[RunRecord, Any]]) -> str:
    """The runs with different results in the archive, and their figures."""
    from zslbench.evaluation import METRICS

    texts = []
    for record, theirs in differing:
        pairs = [(one, one.of(record.metrics), one.of(theirs)) for one in METRICS.values()]
        shown = [
            f"{one.name} {ours:.{one.digits}f} here, {other:.{one.digits}f} there"
            for one, ours, other in pairs
            if ours != other and (ours == ours or other == other)
        ]
        text = "; ".join(shown[:3]) or "in its tables"
        texts.append(f"run {record.info.id} has other results in the archive ({text})")
    more = len(texts) - 5
    return "; ".join(texts[:5]) + (f"; and {more} more" if more > 0 else "")
