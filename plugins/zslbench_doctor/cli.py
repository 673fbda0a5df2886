"""``zslbench doctor``: prints what a bug report needs, and what to do about each fault."""

from __future__ import annotations

from pathlib import Path

import click

from zslbench.cli import data_root_option, format_option, store_option
from zslbench.errors import ZslbenchError
from zslbench.output import echo


@click.command()
@data_root_option
@store_option
@format_option
def doctor(data_root: Path | None, store: Path | None, fmt: str) -> None:
    """Check versions, torch, GPUs, data root, store and plugins, and say how to fix what is wrong.

    The exit code is 1 if there is a fault. The output can be pasted into a bug report: the home folder is
    shown as ~, and environment variables by name only.
    """
    from zslbench.report import emit
    from zslbench_doctor.checks import examine, without_home

    found = examine(data_root, store)
    rows = [{name: without_home(text) for name, text in vars(one).items()} for one in found]
    if fmt in ("csv", "json"):
        emit(rows, fmt)
    else:
        for row in rows:
            row["status"] = "fault" if row.pop("fault") else "ok"
        emit([{name: row[name] for name in ("about", "name", "value", "status")} for row in rows], fmt)
    faults = [one for one in found if one.fault]
    for one in faults:
        echo(without_home(f"{one.name}: {'; '.join(filter(None, (one.fault, one.advice)))}"), err=True)
    if faults:
        raise ZslbenchError(f"{len(faults)} fault{'s' * (len(faults) > 1)} found")
