"""``zslbench jobs`` shows what executors run, and cancels it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import confirm, format_option, note, refuse_options, store_option
from zslbench.errors import UnknownName, ZslbenchError, did_you_mean
from zslbench.output import echo

if TYPE_CHECKING:
    from zslbench.experiment import GroupState, PlannedCell, PlannedGroup, RunExecutor, Submission

_FINISHED = "finished"
_LINES = 5
"""How many lines of a log are shown."""


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Also list finished jobs.")
@store_option
@format_option
@click.pass_context
def jobs(context: click.Context, everything: bool, store: Path | None, fmt: str) -> None:
    """Show the runs handed to executors: where they wait, how far they have got, why they failed.

    By default only those that have not finished, of the latest submission of each command.
    """
    from zslbench.report import emit

    if context.invoked_subcommand is not None:
        refuse_options(context)
        return
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    finished = 0
    for submission in _submissions(store) if everything else _current(_submissions(store)):
        found = list(_rows(submission))
        finished += sum(row["state"] == _FINISHED for row in found)
        rows += [row for row in found if everything or row["state"] != _FINISHED]
        failures += _failures(submission)
    emit(rows, fmt, title="jobs")
    if finished and not everything:
        note(f"{finished} jobs have finished; --all lists them too")
    for line in failures:
        echo(line, err=True)


@jobs.command()
@click.argument("names", nargs=-1, metavar="[SUBMISSION]...")
@click.option("--yes", is_flag=True, help="Cancel all without asking.")
@store_option
def cancel(names: tuple[str, ...], yes: bool, store: Path | None) -> None:
    """Cancel each SUBMISSION, or all after asking. Runs that are being computed stop at a checkpoint.

    A submission of this machine whose command was killed is removed.
    """
    known = {one.name: one for one in _submissions(store)}
    for name in names:
        if name not in known:
            raise UnknownName(f"no submission '{name}', {did_you_mean(name, known)}")
    chosen = [known[name] for name in names] if names else _current(known.values())
    chosen = [one for one in chosen if not one.has_ended()]
    if not chosen:
        note("nothing to cancel")
        return
    if not names and not yes:
        echo(*(one.name for one in chosen), err=True)
        several = f"these {len(chosen)} submissions" if len(chosen) > 1 else "this submission"
        confirm(f"Cancel {several}?", "nothing was cancelled (--yes cancels without asking)")
    errors = []
    for one in chosen:
        try:
            done = _executor(one).cancel(one)
        except ZslbenchError as error:
            errors.append(str(error))
        else:
            note(done or f"{one.name}: nothing to cancel")
    if errors:
        raise ZslbenchError("; ".join(errors))


def _submissions(store: Path | None) -> list[Submission]:
    from zslbench.experiment import submissions
    from zslbench.store import Store

    return submissions(Store.default(store))


def _current(found: Iterable[Submission]) -> list[Submission]:
    """The latest submission of each command: it has taken over what was left of earlier ones."""
    latest: dict[str, Submission] = {}
    for one in found:
        latest.setdefault(one.key, one)
    return list(latest.values())


def _executor(submission: Submission) -> type[RunExecutor]:
    from zslbench.experiment import executor_class
    from zslbench.plugin import registry

    return executor_class(submission.executor, registry())


def _rows(submission: Submission) -> Iterator[dict[str, Any]]:
    """A row per group."""
    states = submission.states()
    queue = {} if submission.has_ended() else _executor(submission).queue(submission)
    for group in submission.groups:
        state = states.get(group.number)
        first = group.cells[0] if group.cells else None
        ended = state is not None and state.state == "ended"
        yield {
            "submission": submission.name,
            "group": group.number,
            "line": first.line if first else group.label,
            "data set": first and first.dataset,
            "selection": first and first.selection,
            "seeds": ", ".join(str(cell.seed) for cell in group.cells if cell.wanted) or None,
            "state": _state(group, state),
            "at": _progress(state),
            "where": (state.host if state else None)
            if ended
            else queue.get(group.number, state and state.host),
            "log": state and state.log,
        }


def _state(group: PlannedGroup, state: GroupState | None) -> str:
    if state is None:
        return "pending"
    if state.state != "ended":
        return "silent" if state.lost else state.state
    if not group.cells:
        return "failed" if state.reason else _FINISHED
    ends = Counter(cell["status"] for _, cell in _wanted(group, state))
    if set(ends) <= {"done", "found"}:
        return _FINISHED
    return ", ".join(f"{count} {status}" for status, count in ends.items())


def _wanted(group: PlannedGroup, state: GroupState) -> Iterator[tuple[PlannedCell, Mapping[str, Any]]]:
    """The cells the group was meant to compute that its worker has finished with, and how they ended."""
    for place, cell in state.cells.items():
        if (planned := group.cells[int(place)]).wanted:
            yield planned, cell


def _progress(state: GroupState | None) -> str | None:
    if state is None or state.state != "running" or state.stage is None:
        return None
    return f"{state.stage} {state.epoch}/{state.epochs}"


def _failures(submission: Submission) -> Iterator[str]:
    """Each failed cell with its error, and the last lines of the log."""
    from zslbench.experiment import last_lines

    states = submission.states()
    for group in submission.groups:
        if (state := states.get(group.number)) is None:
            continue
        failed = [(planned, cell) for planned, cell in _wanted(group, state) if cell["status"] == "failed"]
        lines = [f"failed: {one.label}: {cell['reason']}" for one, cell in failed]
        if not group.cells and state.state == "ended" and state.reason:
            lines = [f"failed: {submission.name}, {group.label}: {state.reason}"]
        yield from lines
        if lines and state.log:
            yield f"  the end of {state.log}: {last_lines(Path(state.log), _LINES)}"
