"""The run store: every finished run is one folder, written atomically and never changed.

Layout::

    <store>/
      runs/<id>/            a finished run
        run.json              identity, metrics, environment, data, notes; sha256 of itself and of each file
        <table>.parquet       epochs, predictions, classes, curve, ...
        networks.safetensors  fitted tensors, if the run saved them
      reruns/<id>/<n>/      the same run, computed again (zslbench.store.generations)
      unfinished/<id>/      checkpoints and info.json of a run that is being computed or was interrupted
      unfinished/<id>.lock  held by the process that computes it (zslbench.store.workspace)
      tmp/<id>.<host>.<random>/new/  a run being written; renamed to its place when it is on the disk
                            (zslbench.store.workspace)
      damaged/              damaged folders of runs that were computed again

No file is shared between runs and nothing is replaced, so any number of processes may read and write at once.
If two finish the same run, the first rename wins and the other process uses that result. Commands that write
remove, at most once a minute, what is no longer needed: leftovers of killed processes, by the rule in
:mod:`zslbench.store.workspace`, and older generations, by the rule in :mod:`zslbench.store.generations`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zslbench.errors import DataError, UnknownName, ZslbenchError, did_you_mean
from zslbench.store.files import explained, make_folder, sync_folder, write_atomically, write_synced
from zslbench.store.generations import Generations, RunExistsError
from zslbench.store.mounts import lock_warning
from zslbench.store.record import RunContent, RunRecord, files_of
from zslbench.store.workspace import INFO_FILE, Unfinished, Workspaces, remove_dead, scratch

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SWEEP = 60.0
"""Seconds between two sweeps for leftovers of killed processes, whichever process does them."""
_LAST_SWEEP = ".swept"
"""An empty file in the store, written when a sweep begins."""
_SHOWN = 8
_WRITE = "write the run store"
_log = logging.getLogger("zslbench")


class RunRemoved(ZslbenchError):
    """A run that was just written is gone: another process removed it."""


class RunInUse(ZslbenchError):
    """A process is computing the run."""


class Store:
    """Finished and unfinished runs in the folder ``root``, which the first write creates.

    A store that cannot be read or written is a ZslbenchError.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().absolute()
        self._generations = Generations(self.root)
        self.runs = self._generations.runs
        self._tmp = self.root / "tmp"
        self._workspaces = Workspaces(self.root / "unfinished")
        self._written: set[str] = set()

    @classmethod
    def default(cls, option: str | Path | None = None) -> Store:
        """The store at ``option``, else at ``ZSLBENCH_STORE``, else ``store`` in the user's data folder."""
        if given := option or os.environ.get("ZSLBENCH_STORE"):
            return cls(given)
        from platformdirs import user_data_path

        return cls(user_data_path("zslbench", appauthor=False) / "store")

    # --- reading ---------------------------------------------------------------------------------

    def find(self, run: str) -> RunRecord | None:
        """The finished run with this id. None: there is none, or it is damaged (with a warning)."""
        return self._look_up(run) if _ID.fullmatch(run) else None

    def has(self, run: str) -> bool:
        """Whether there is an undamaged finished run with this id. Faster than :meth:`find`, which also
        checks the content of its ``run.json``."""
        return bool(_ID.fullmatch(run)) and (self._generations.is_whole(run) or self.find(run) is not None)

    def ids(self) -> frozenset[str]:
        """Ids of finished runs, damaged ones included."""
        return frozenset(self._names())

    def begun(self) -> frozenset[str]:
        """Ids of unfinished runs; some may have ended a moment ago."""
        return frozenset(self._workspaces.names())

    def records(self) -> list[RunRecord]:
        """Every finished run by time of finishing, then id; with a warning for each damaged one."""
        found = [self._look_up(name) for name in self._names()]
        return sorted((one for one in found if one is not None), key=lambda one: (one.finished, one.info.id))

    def resolve(self, prefix: str) -> RunRecord:
        """The finished run whose id begins with ``prefix``.

        Raises:
            UnknownName: no run or several runs do; lists candidates.
            DataError: the run is damaged.
        """
        found = self._generations.newest(self._match_prefix(prefix, self._names()))
        if found is None:  # removed a moment ago
            raise UnknownName(f"no run '{prefix}' in {self.root}")
        return found

    def resolve_id(self, prefix: str) -> str:
        """The id of the run, finished, damaged or unfinished, that begins with ``prefix``; UnknownName as for
        :meth:`resolve`."""
        return self._match_prefix(
            prefix, sorted({*self._names(), *(one.id for one in self._workspaces.unfinished())})
        )

    def unfinished(self) -> list[Unfinished]:
        """Runs that began and have not finished, the latest change last."""
        return sorted(self._workspaces.unfinished(), key=lambda one: (one.when, one.id))

    def is_running(self, run: str) -> bool:
        """Whether a process is computing this run."""
        return self._workspaces.is_held(run)

    def has_begun(self, run: str) -> bool:
        """Whether there is an unfinished run with this id."""
        return (self._workspaces.parent / run).is_dir()

    # --- writing ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make sure, before anything is computed, that runs can be written; remove what is no longer needed.
        Warn if other machines would not see its locks.

        Raises:
            ZslbenchError: they cannot, and the store has no runs to read either.
        """
        if warning := lock_warning(self.root):
            _log.warning("%s", warning)
        try:
            with explained(self.root, _WRITE):
                make_folder(self.runs)
                make_folder(self._tmp)
                with scratch(self._tmp, "prepare") as own:
                    write_synced(own / "room", bytes(1 << 16))
                    self._clean(own)
        except ZslbenchError:
            with contextlib.suppress(ZslbenchError):
                if self._names():
                    return
            raise

    def write(self, content: RunContent, replace: bool = False) -> RunRecord:
        """Store a finished run, whole, and remove its workspace.

        Args:
            replace: replace a run with the same id; otherwise an existing one is returned, since the same id
                means the same result.

        Raises:
            ZslbenchError: it cannot be written (disk full, not writable); the store is unchanged.
            RunRemoved: it was written, and another process removed it at once.
            ValueError, TypeError: part of ``content`` cannot be stored.
        """
        run = _checked(content.info.id)
        with explained(self.root, _WRITE), contextlib.suppress(RunExistsError):
            make_folder(self._tmp)
            if not replace and self.find(run) is not None:
                raise RunExistsError
            with scratch(self._tmp, run) as own:
                new = own / "new"
                new.mkdir()
                for name, data in files_of(content, datetime.now(UTC)).items():
                    write_synced(new / name, data)
                sync_folder(new)
                self._generations.publish(new, run, replace)
                self._written.add(run)
                self._clean(own, run)
        found = self._generations.newest(run)
        if found is None:  # written without the lock: two processes computed it
            raise RunRemoved(
                f"run {run} was removed by another process as soon as it was written; compute it again"
            )
        return found

    def remove(self, run: str) -> bool:
        """Remove a run and its checkpoints; whether there was anything to remove.

        Raises:
            RunInUse: a process is computing it; nothing was removed.
            ZslbenchError: it cannot be removed.
        """
        _checked(run)
        with explained(self.root, _WRITE):
            make_folder(self._tmp)
            make_folder(self._workspaces.parent)
            begun = self.has_begun(run)
            if (lock := self._workspaces.acquire(run)) is None:
                raise RunInUse(f"run {run} is being computed; stop it before you remove it")
            done = False
            try:
                with scratch(self._tmp, run) as own:
                    finished = self._generations.remove(run, own)
                done = True
            finally:
                self._workspaces.release(run, lock, remove=done)
        return finished or begun

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder of this process on the store's disk, for runs from elsewhere; removed at the end."""
        with contextlib.ExitStack() as held:
            with explained(self.root, _WRITE):
                make_folder(self._tmp)
                own = held.enter_context(scratch(self._tmp, "incoming"))
            yield own

    def add(self, folder: Path, run: str, replace: bool = False) -> bool:
        """Move a finished run, whole and on the disk, from :meth:`incoming` to its place. False: the store
        already has a run with this id, and keeps it."""
        with explained(self.root, _WRITE):
            try:
                self._generations.publish(folder, _checked(run), replace)
            except RunExistsError:
                return False
        return True

    @contextlib.contextmanager
    def workspace(self, run: str) -> Iterator[Path]:
        """The folder for an unfinished run's checkpoints, with those of an interrupted process.

        It is removed when the run was written or the context ends normally, and remains after an exception.
        If another process holds it, this one gets an empty folder instead.
        """
        _checked(run)
        self._written.discard(run)
        with explained(self.root, _WRITE):
            make_folder(self._workspaces.parent)
            make_folder(self._tmp)
            lock = self._workspaces.acquire(run)
        if lock is None:
            _log.warning("another process is also computing run %s; computing it here separately", run)
            with contextlib.ExitStack() as held:
                with explained(self.root, _WRITE):
                    own = held.enter_context(scratch(self._tmp, run))
                yield own
            return
        done = False
        try:
            with explained(self.root, _WRITE):
                (self._workspaces.parent / run).mkdir(exist_ok=True)
            yield self._workspaces.parent / run
            done = True
        finally:
            self._workspaces.release(run, lock, remove=done or run in self._written)

    def describe(self, folder: Path, info: Mapping[str, Any]) -> None:
        """Describe a workspace's run, for :meth:`unfinished`; values that JSON cannot hold become text.

        Only ``group`` of ``info`` is used here: the ids of the runs that need the workspace.
        """
        with explained(self.root, _WRITE):
            write_atomically(
                folder / INFO_FILE, json.dumps(dict(info), indent=1, default=str).encode("ascii")
            )

    # --- helpers -------------------------------------------------------------------------------------

    def _clean(self, own: Path, written: str | None = None) -> None:
        """Remove leftovers of killed processes and older generations; anything that cannot be removed stays.

        Args:
            own: a scratch folder of this process.
            written: the run that was just written.
        """
        with contextlib.suppress(OSError):
            if written is not None:
                self._generations.clean(written, own, at_once=True)
            if written is None or self._sweep_is_due(own):
                with contextlib.suppress(Timeout), FileLock(self.root / ".sweeping", timeout=0):
                    (self.root / _LAST_SWEEP).touch()
                    self._sweep(own)

    def _sweep_is_due(self, own: Path) -> bool:
        # A sweep looks at every unfinished run: with hundreds of workers, one for each run would be too many.
        try:
            swept = (self.root / _LAST_SWEEP).stat().st_mtime
        except FileNotFoundError:
            return True
        return own.stat().st_mtime - swept >= SWEEP  # both from the clock of the file system

    def _sweep(self, own: Path) -> None:
        remove_dead(self._tmp)
        self._generations.clean_all(own)
        for run in self._workspaces.names():
            if all(map(self._is_finished, self._workspaces.needed_for(run))):
                self._workspaces.move_if_free(run, own)

    def _is_finished(self, run: str) -> bool:
        try:
            return self._generations.newest(run) is not None
        except DataError:
            return False

    def _look_up(self, run: str) -> RunRecord | None:
        try:
            return self._generations.newest(run)
        except DataError as error:
            self._generations.warn(error)
            return None

    def _names(self) -> list[str]:
        with explained(self.root, "read the run store"):
            return self._generations.names()

    def _match_prefix(self, prefix: str, names: list[str]) -> str:
        fits = [prefix] if prefix in names else [name for name in names if prefix and name.startswith(prefix)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            shown = ", ".join(map(self._describe, fits[:_SHOWN]))
            more = f" and {len(fits) - _SHOWN} more" if len(fits) > _SHOWN else ""
            raise UnknownName(f"run '{prefix}' is ambiguous, type more of the id: {shown}{more}")
        hint = did_you_mean(prefix, names)
        if hint.startswith("known: ") and len(names) > _SHOWN:
            hint = f"the store has {len(names)} runs; 'zslbench runs' lists them"
        raise UnknownName(f"no run '{prefix}' in {self.root}, {hint}")

    def _describe(self, run: str) -> str:
        try:
            found = self._generations.newest(run)
        except DataError:
            return f"{run} (damaged)"
        if found is None:
            return f"{run} (unfinished)"
        info = found.info
        method = f"{info.method}/{info.variant}" if info.variant else info.method
        return f"{run} ({method} on {info.dataset}, seed {info.seed})"


def _checked(run: str) -> str:
    if not _ID.fullmatch(run):
        raise ValueError(f"run id {run!r}: use at most 64 letters, digits, '-' and '_'")
    return run
