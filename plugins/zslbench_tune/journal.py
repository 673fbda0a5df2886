"""Opens the journal of a study: one file, one study, any number of processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError, ZslbenchError
from zslbench_tune.optuna import (
    JournalFileBackend,
    JournalFileSymlinkLock,
    JournalStorage,
    OptunaStudy,
    optuna,
)

STUDY = "zslbench"
"""Optuna's name of the study in its journal."""

IDENTITY = "identity"
"""The study's attribute that says what is searched."""

_SHOWN = 3


def open_journal(journal: Path, identity: Mapping[str, Any]) -> OptunaStudy:
    """Open the study in a journal, or begin it. The caller keeps other processes out meanwhile.

    Raises:
        SettingsError: the file is no journal, or its study is of something else: says what differs.
        ZslbenchError: it cannot be read or written.
    """
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        _check(journal)
        _repair(journal)
        storage = JournalStorage(JournalFileBackend(str(journal)))
        study = optuna.create_study(
            storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True
        )
    except OSError as error:
        raise ZslbenchError(f"journal {journal}: cannot be used ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise SettingsError(f"journal {journal}: is no journal of a search, or damaged ({error})") from None
    text = json.dumps(identity, sort_keys=True)
    known = study.user_attrs.get(IDENTITY)
    if known is None:
        study.set_user_attr(IDENTITY, text)
    elif known != text:
        differences = list(_differences(json.loads(known), json.loads(text)))
        shown = "; ".join(differences[:_SHOWN]) + ("; ..." if len(differences) > _SHOWN else "")
        raise SettingsError(
            f"journal {journal} belongs to another search ({shown}): name another file, or none at all"
        )
    return study


def _check(journal: Path) -> None:
    """Whether the file begins as a journal does: Optuna would write to any."""
    if journal.exists() and journal.stat().st_size:
        with journal.open("rb") as file:
            first = json.loads(file.readline())
        if "op_code" not in first:
            raise ValueError("its first line is not Optuna's")


def _repair(journal: Path) -> None:
    """Take off a last line that its writer was killed over: Optuna cannot read past it."""
    if not journal.exists() or journal.stat().st_size == 0:
        return
    with journal.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
    lock = JournalFileSymlinkLock(str(journal))  # its writer may be alive: wait for it
    lock.acquire()
    try:
        with journal.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    flat = [dict(_flat(one)) for one in (there, here)]
    for key in sorted(flat[0].keys() | flat[1].keys()):
        old, new = (one.get(key, "absent") for one in flat)
        if old != new:
            yield f"{key} {old} there, {new} here"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", one
