"""What became of each cell of a suite, in one small file each beside the runs.

``<store>/cells/<cell id>.json`` says which run a cell has, or which error it ended with. It is written whole
and by itself, so any number of processes may write at once; of two that write the same cell the last one's
stands. The files only say where to look: a run that is gone is missing, and without its file a cell's run is
found by its identity as soon as the data are read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from zslbench.errors import ZslbenchError
from zslbench.store.files import checked_json, parse_checked_json, write_whole
from zslbench.store.store import Store

FORMAT = 1
State = Literal["run", "failed", "no data"]
_log = logging.getLogger("zslbench")


@dataclass(frozen=True)
class Remembered:
    """What is known of a cell."""

    state: State
    """``run``: it has one; ``failed``; ``no data``: the data set was not there."""
    run: str | None = None
    """The run's id."""
    message: str = ""
    """The error, or what is missing."""
    data: str | None = None
    """Digest of the data that it failed on; None: they could not be read."""
    when: str = ""
    """When that was, UTC."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Method, data set, seed and so on, and the versions of all that took part; for people."""


class Ledger:
    """The remembered cells of a store.

    Args:
        store: the folder ``cells`` in it is made when something is first remembered.
    """

    def __init__(self, store: Store) -> None:
        self.folder = store.root / "cells"

    def find(self, cell: str) -> Remembered | None:
        """What is known of a cell; None: nothing. A damaged file is set aside with a warning."""
        path = self.folder / f"{cell}.json"
        try:
            content = parse_checked_json(path.read_bytes())
            if content.pop("format") != FORMAT or content.pop("cell") != cell:
                raise ValueError("it is another cell's, or of another format")
            found = Remembered(**content)
            if found.state not in get_args(State) or (found.state == "run") != isinstance(found.run, str):
                raise ValueError(f"state {found.state!r} with run {found.run!r}")
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s: cannot be read (%s); the cell is looked for by its run", path, error.strerror)
            return None
        except (ValueError, KeyError, TypeError) as error:
            _set_aside(path, error)
            return None
        return found

    def remember(self, cell: str, remembered: Remembered) -> None:
        """Put this in the place of what is known of a cell.

        Raises:
            ZslbenchError: it cannot be written.
        """
        when = remembered.when or datetime.now(UTC).isoformat(timespec="seconds")
        content = {"format": FORMAT, "cell": cell, **asdict(remembered), "when": when}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / f"{cell}.json", checked_json(content))
        except OSError as error:
            raise ZslbenchError(
                f"{self.folder}: cannot be written ({error.strerror or error}); make room or set "
                "permissions, or use another store (--store, ZSLBENCH_STORE)"
            ) from error


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.parent.with_name("damaged") / f"cell-{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.json"
    with contextlib.suppress(
        OSError
    ):  # of a store that this user may only read it stays, and is not believed
        aside.parent.mkdir(exist_ok=True)
        path.rename(aside)
    _log.warning("%s: damaged (%s) and set aside; the cell is looked for by its run", path, error)
