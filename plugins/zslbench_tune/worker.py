"""``python -m zslbench_tune.worker FOLDER --group N --log FILE``: a worker that an executor runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from zslbench.cli import TerminalDisplay
from zslbench.errors import ZslbenchError
from zslbench.experiment import GroupReport, ReportingDisplay, Submission, stop_requests
from zslbench.output import echo
from zslbench_tune.search import Sampling, resolve_search
from zslbench_tune.study import open_study


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--group", type=int, required=True)
@click.option("--log")
def work(folder: Path, group: int, log: str | None) -> None:
    """Compute trials until the study has enough."""
    submission = Submission.open(folder)
    os.chdir(submission.working_folder)
    arguments: dict[str, Any] = submission.arguments
    sampling = Sampling(**arguments.pop("sampling"))
    display = TerminalDisplay()
    with stop_requests(display.say) as stopped, GroupReport(submission.folder, group, log) as report:
        shown = ReportingDisplay(display, report)
        search = resolve_search(shown, sampling=sampling, **arguments)
        search.stop_requested = stopped
        with open_study(search) as study:
            study.compute()


if __name__ == "__main__":
    try:
        work(standalone_mode=False)
    except ZslbenchError as error:
        echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
