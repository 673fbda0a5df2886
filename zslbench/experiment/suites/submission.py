"""A submission: the groups of runs that the workers of an executor compute, as one folder of the store.

Layout::

    <store>/jobs/<name>/
      plan.json       the suite, the options and the groups; written whole before a worker starts
      claims          which groups have been handed out; byte k is locked by the worker that computes group k
      <k>.json        what the worker of group k is doing, for people; <k>.ended.json once it has ended
      logs/           output of the workers

Workers are ordinary processes on the store, which settles what counts: a run is finished when it is in the
store. So a lock that does not hold (on a network disk that locks within one machine only) costs time, and
no result.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zslbench.errors import ZslbenchError
from zslbench.experiment.options import RunOptions
from zslbench.experiment.suites.cells import CellRecord, Ledger
from zslbench.experiment.suites.definition import Suite, restored
from zslbench.experiment.suites.group_state import GroupState, names_in, read_state, write_state
from zslbench.plugin.boundary import one_line
from zslbench.store.files import (
    checked_json,
    explained,
    make_folder,
    parse_checked_json,
    write_atomically,
)
from zslbench.store.identity import run_id
from zslbench.store.store import Store

PLAN_FORMAT = 1
_log = logging.getLogger("zslbench")


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a group."""

    line: str
    dataset: str
    selection: str
    seed: int
    id: str
    """:attr:`Cell.id`, by which the worker knows that it computes what was planned."""
    run: str | None
    """The id that its run was expected to have."""
    wanted: bool = True
    """Whether to compute it; otherwise it only has its place in the group."""

    @property
    def label(self) -> str:
        """For readers: ``"sc-egg on toy, val, seed 0"``."""
        return f"{self.line} on {self.dataset}, {self.selection}, seed {self.seed}"


@dataclass(frozen=True)
class PlannedGroup:
    """Cells that are trained together, or a single one; none in a submission of another kind of worker."""

    number: int
    cells: tuple[PlannedCell, ...]
    seconds: float | None = None
    """Estimated cost of those that are wanted; None: unknown."""

    @property
    def label(self) -> str:
        """For readers: ``"sc-egg on toy, val, seeds 0, 1"``."""
        if not self.cells:
            return f"worker {self.number}"
        first = self.cells[0]
        lines = ", ".join(dict.fromkeys(one.line for one in self.cells))
        seeds = ", ".join(str(one.seed) for one in self.cells if one.wanted)
        return f"{lines} on {first.dataset}, {first.selection}, seed{'s' * (', ' in seeds)} {seeds}"


class Submission:
    """A submission; nothing is on the disk before :meth:`write`. One that cannot be written is a
    ZslbenchError."""

    def __init__(self, store: Store, name: str, content: Mapping[str, Any]) -> None:
        self.store, self.name, self._content = store, name, content
        self.folder = store.root / "jobs" / name
        self.logs = self.folder / "logs"
        self.key: str = content["key"]
        """The same for the same command, whatever is pending."""
        self.executor: str = content["executor"]
        self.created = datetime.fromisoformat(content["created"])
        self.across_lines: bool = content["across lines"]
        self.force: bool = content["force"]
        self.working_folder = Path(content["working folder"])
        """What relative paths of the options are relative to."""
        self.groups = tuple(
            PlannedGroup(number, tuple(PlannedCell(*cell) for cell in cells), seconds)
            for number, (cells, seconds) in enumerate(content["groups"])
        )
        self._ended: dict[int, GroupState] = {}

    @classmethod
    def new(
        cls,
        store: Store,
        suite: Suite,
        options: RunOptions,
        groups: Sequence[PlannedGroup],
        *,
        across_lines: bool = False,
        force: bool = False,
    ) -> Submission:
        """The submission of these groups of a suite.

        Args:
            options: as workers have them.
            across_lines, force: as for :class:`Bench`.
        """
        given = {name: getattr(options, name) for name in RunOptions.__dataclass_fields__}
        given |= {"data_root": _as_text(given["data_root"]), "store": str(store.root)}
        asked = {"suite": suite.dump(), "options": given, "across lines": across_lines, "force": force}
        return cls._new(store, suite.name, options.executor, asked, groups)

    @classmethod
    def of_workers(
        cls,
        store: Store,
        name: str,
        options: RunOptions,
        module: str,
        arguments: Mapping[str, Any],
        count: int,
    ) -> Submission:
        """The submission of workers that compute something else than cells: ``count`` groups, one for each.

        Args:
            module: run with the command line of a worker, ``python -m <module> FOLDER --group N --log FILE``.
                It tells with :class:`Report` how far it is.
            arguments: what its workers need to know, as JSON data.
        """
        asked = {
            "worker": [module], "arguments": arguments, "executor_options": options.executor_options,
            "workers": count, "across lines": False, "force": False,
        }  # fmt: skip
        groups = [PlannedGroup(number, ()) for number in range(count)]
        return cls._new(store, name, options.executor, asked, groups)

    @classmethod
    def _new(
        cls, store: Store, name: str, executor: str, asked: Mapping[str, Any], groups: Sequence[PlannedGroup]
    ) -> Submission:
        asked = json.loads(json.dumps(asked, default=str))  # noqa: TID251 (just written)
        created = datetime.now(UTC)
        slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "suite"
        content = {
            **asked,
            "format": PLAN_FORMAT,
            "key": run_id(asked),
            "executor": executor,
            "created": created.isoformat(timespec="seconds"),
            "working folder": str(Path.cwd()),
            "groups": [[[list(vars(cell).values()) for cell in one.cells], one.seconds] for one in groups],
        }
        return cls(store, f"{slug}-{created:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}", content)

    @classmethod
    def open(cls, folder: Path) -> Submission:
        """The submission in this folder.

        Raises:
            ZslbenchError: it cannot be read, is damaged, or is of another version of zslbench.
        """
        plan = folder / "plan.json"
        try:
            content = parse_checked_json(plan.read_bytes())
            if content["format"] != PLAN_FORMAT:
                raise ValueError(f"its format is {content['format']}, not {PLAN_FORMAT}")
            return cls(Store(folder.absolute().parent.parent), folder.name, content)
        except OSError as error:
            raise ZslbenchError(f"{plan}: cannot be read ({error.strerror or error})") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ZslbenchError(f"{plan}: damaged ({one_line(error)}); submit it again") from None

    @property
    def suite(self) -> Suite:
        """The suite that its cells are of."""
        return restored(self._content["suite"])

    @property
    def options(self) -> RunOptions:
        """The options of its workers, which compute in their own process."""
        given = self._content["options"]
        return RunOptions(**given | {"executor": "local", "workers": None, "gpus": None})

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of :meth:`of_workers`."""
        return dict(self._content["arguments"])

    def write(self) -> None:
        """Make its folder."""
        with explained(self.store.root, "write the run store"):
            make_folder(self.logs)
            write_atomically(self.folder / "plan.json", checked_json(self._content))

    def command(self, *groups: int, log: Path | None = None) -> list[str]:
        """The command line of a worker for these groups; without any it takes what is left, one by one.

        Args:
            log: where its output goes, for those who look at its state.
        """
        worker = self._content.get("worker", ["zslbench", "work"])
        words = [sys.executable, "-P", "-m", *worker, str(self.folder)]
        words += [word for one in groups for word in ("--group", str(one))]
        return words if log is None else [*words, "--log", str(log)]

    def states(self) -> dict[int, GroupState]:
        """What is known of each group that has begun."""
        found = dict(self._ended)
        for name in names_in(self.folder):
            number, _, rest = name.partition(".")
            if not number.isdecimal() or rest not in ("json", "ended.json") or int(number) in self._ended:
                continue
            state = read_state(self.folder / name, int(number))
            if state is None:
                continue
            if rest == "ended.json":
                self._ended[state.number] = found[state.number] = state
            else:
                found.setdefault(state.number, state)
        return found

    def has_ended(self) -> bool:
        """Whether each of its groups has."""
        states = self.states()
        return all(one.number in states and states[one.number].state == "ended" for one in self.groups)

    def fail(self, group: int, message: str) -> None:
        """Let a group end whose worker died for good: its cells fail, except those that are finished."""
        ledger = Ledger(self.store)
        cells: dict[str, dict[str, Any]] = {}
        for place, cell in enumerate(self.groups[group].cells):
            if not cell.wanted:
                continue
            known = ledger.find(cell.id)
            if known is not None and known.run is not None and self.store.find(known.run) is not None:
                cells[str(place)] = {"status": "done", "run": known.run, "reason": ""}
                continue
            facts = {"line": cell.line, "dataset": cell.dataset, "selection": cell.selection}
            ledger.write(cell.id, CellRecord("failed", message=message, facts=facts | {"seed": cell.seed}))
            cells[str(place)] = {"status": "failed", "run": None, "reason": message}
        before = self.states().get(group, GroupState(group))
        write_state(self.folder, replace(before, state="ended", stage=None, cells=cells, reason=message))

    def earlier(self) -> list[Submission]:
        """Earlier submissions of the same command in this store, the latest first."""
        return [one for one in submissions(self.store) if one.key == self.key and one.name != self.name]


def submissions(store: Store) -> list[Submission]:
    """The submissions in a store, the latest first; with a warning for each damaged one."""
    found = []
    for name in names_in(store.root / "jobs"):
        if not (store.root / "jobs" / name / "plan.json").exists():  # another process is just making it
            continue
        try:
            found.append(Submission.open(store.root / "jobs" / name))
        except ZslbenchError as error:
            _log.warning("%s", error)
    return sorted(found, key=lambda one: (one.created, one.name), reverse=True)


def last_lines(log: Path, count: int = 3) -> str:
    """The last lines of a log, joined; empty: there is nothing in it."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
        return " / ".join([line for line in lines if line][-count:])
    return ""


def _as_text(path: str | Path | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().absolute())
