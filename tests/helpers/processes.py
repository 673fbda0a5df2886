"""Processes that tests start and kill, and lines at which their children end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

Start = Callable[..., subprocess.Popen[str]]


@contextlib.contextmanager
def started_processes(script: Path) -> Iterator[Start]:
    """Starts ``script`` with arguments and with pipes; kills at the end what is still running."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()


def end_at_line(number: int, counts: Callable[[str], bool] | None = None) -> None:
    """End this process without clean-up at its ``number``-th line of zslbench code.

    Args:
        counts: whether the lines of a file count; None: those of zslbench.
    """
    left = number
    counts = counts or (lambda file: f"{os.sep}zslbench{os.sep}" in file)
    os.fsync = lambda handle: None  # slow; a killed process, unlike a power cut, loses nothing without it

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not counts(frame.f_code.co_filename):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os._exit(9)
        return trace

    sys.settrace(trace)


def press_ctrl_c() -> None:
    """Ctrl-C, as it reaches this process."""
    signal.raise_signal(signal.SIGINT)
