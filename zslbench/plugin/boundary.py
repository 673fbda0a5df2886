"""The boundary around plugins' code: its prints go to standard error, and it cannot end the process."""

from __future__ import annotations

import contextlib
import dis
import io
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from zslbench.errors import Interrupted, PluginError, PluginFailure, ZslbenchError, memory_shortage
from zslbench.output import echo
from zslbench.pipes import Pipe
from zslbench.plugin.declarations import KINDS

PACKAGES: dict[str, str] = {}
"""The names of loaded plugins, by top-level package."""

_CORE = "zslbench"


@contextlib.contextmanager
def plugin_code(what: str) -> Iterator[None]:
    """Run plugins' code: what it prints goes to standard error, and it cannot end the process.

    Args:
        what: names what runs, for the message.

    Raises:
        PluginError: the code called ``sys.exit`` or raised another exception that would end the process.
    """
    with printing_to_stderr():
        try:
            yield
        except BaseException as error:
            ordinary = isinstance(error, Exception)
            if is_stop(error) and ordinary and not isinstance(error, Interrupted):
                raise KeyboardInterrupt from error  # the plugin turned the stop into an ordinary error
            if ordinary or is_stop(error):
                raise
            text = f"{what}: a plugin raised {one_line(error)}; plugins must not end the process"
            raise PluginError(text) from error


@contextlib.contextmanager
def located(**place: object) -> Iterator[None]:
    """Say where an unexpected error arose: ``plugin``, ``generator``, ``stage``, ``epoch``, ``step``.

    Nested contexts add to the place; of several components the innermost is named. Errors that are not a
    plugin's fault pass through: those of zslbench, missing memory, and errors of the operating system in the
    core's code.

    Raises:
        PluginFailure: in place of the unexpected error, its cause.
    """
    try:
        yield
    except PluginFailure as failure:
        if "plugin" in failure.place:
            place = {name: one for name, one in place.items() if name not in ("plugin", *KINDS)}
        merged = place | failure.place
        ordered = {name: merged[name] for name in _PLACES if name in merged}
        raise PluginFailure(ordered, failure.what) from failure.__cause__
    except ZslbenchError:
        raise
    except Exception as error:
        core_fault = isinstance(error, OSError) and not _passed_a_plugin(error)
        if memory_shortage(error) or core_fault or getattr(error, _OUTSIDE, False):
            raise
        raise PluginFailure(place, one_line(error)) from error


@contextlib.contextmanager
def outside_components() -> Iterator[None]:
    """For what reports progress while a component runs: an error here is not the component's."""
    try:
        yield
    except Exception as error:
        setattr(error, _OUTSIDE, True)
        raise


_OUTSIDE = "_outside_components"
_PLACES = ("plugin", *KINDS, "stage", "epoch", "step")


def _passed_a_plugin(error: BaseException) -> bool:
    frames = traceback.walk_tb(error.__traceback__)
    return any(_package(frame) in PACKAGES.keys() - {_CORE} for frame, _ in frames)


def is_stop(error: BaseException) -> bool:
    """Whether zslbench was stopped (Ctrl-C, a signal, ``Interrupted``), rather than a plugin raising an
    exception that would end the process."""
    if error.__context__ is not None and is_stop(error.__context__):
        return True  # raised while handling the stop
    place = error.__traceback__
    if place is None or isinstance(error, Exception):
        return isinstance(error, Interrupted)
    while place.tb_next is not None:
        place = place.tb_next
    if _package(place.tb_frame) == _CORE:
        return True
    # Signals are handled between instructions; a plugin that raises KeyboardInterrupt has an instruction for
    # it, and so has a handler of signals that another program installed.
    code = place.tb_frame.f_code.co_code
    raised = dis.opname[code[max(place.tb_lasti, 0)]] == "RAISE_VARARGS"
    return isinstance(error, KeyboardInterrupt) and not (raised and _package(place.tb_frame) in PACKAGES)


def one_line(error: BaseException) -> str:
    """``"ValueError: message"`` on one line, for an error raised by a plugin."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a broken plugin's exception may not even be printable
        text = ""
    text = text if len(text) <= 300 else text[:299] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# --- what plugins print --------------------------------------------------------------------------


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Within the context, what Python code prints goes to standard error, after the name of the plugin."""
    if isinstance(sys.stdout, _Printed):  # already redirected; threads that train together nest in any order
        yield
        return
    with contextlib.redirect_stdout(_Printed()) as printed:
        try:
            yield
        finally:
            printed.close()


def claim_stdout() -> None:
    """Reserve standard output for what the main thread prints outside of :func:`printing_to_stderr`.

    Other threads, C code and child processes, which no Python object can redirect, print to standard error.
    """
    sys.stdout.flush()
    own = Pipe(1, required=True)
    os.dup2(2, 1)
    sys.stdout = _Claimed(
        io.BufferedWriter(own),
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=own.isatty(),
    )


def release_stdout() -> None:
    """At the end of the command: whatever plugins still print at exit goes to standard error."""
    sys.stdout.flush()  # here a full disk can still be reported
    sys.stdout = _Printed()


_LONGEST = 10_000
"""Characters after which an unfinished line is written."""


class _Printed(io.TextIOBase):
    """Standard output for plugins: whole lines go to standard error, after the name of the plugin.

    Of a line that carriage returns rewrite, such as a progress bar, only the last state is written.
    """

    def __init__(self) -> None:
        self._begun: dict[int, io.StringIO] = {}
        """Unfinished lines by thread."""
        self._writing: set[int] = set()
        """Threads whose lines are being written."""
        self._error: Any = sys.stderr._error if isinstance(sys.stderr, _Printed) else sys.stderr

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        if thread in self._writing:  # a plugin has redirected standard error to standard output
            self._error.write(text)
            return len(text)
        *lines, rest = text.split("\n")
        if lines:
            self._show(self._pending() + lines[0], *lines[1:])
        if "\r" in rest:
            rest = _last_state(self._pending() + rest)
        if rest:
            begun = self._begun.setdefault(thread, io.StringIO())
            begun.write(rest)
            if begun.tell() > _LONGEST:
                self._show(self._pending())
        return len(text)

    def flush(self) -> None:
        """Write this thread's unfinished line, such as a prompt, unless it is rewritten again and again."""
        if threading.get_ident() in self._writing:
            self._error.flush()
        elif text := self._pending():
            if "\r" in text:
                self.write(text)
            else:
                self._show(text)

    def close(self) -> None:
        """Write lines that are still unfinished."""
        for thread in list(self._begun):
            self._show(self._pending(thread), named=False)

    def _pending(self, thread: int | None = None) -> str:
        """An unfinished line, which is then no longer pending."""
        begun = self._begun.pop(thread or threading.get_ident(), None)
        return begun.getvalue() if begun else ""

    def _show(self, *lines: str, named: bool = True) -> None:
        who, thread = _printing_plugin() if named else "", threading.get_ident()
        self._writing.add(thread)
        try:
            echo(*(who + _last_state(line).strip("\r") for line in lines), err=True)
        finally:
            self._writing.discard(thread)

    @property
    def buffer(self) -> Any:
        return self._error.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._error.encoding)

    def fileno(self) -> int:
        return int(self._error.fileno())

    def writable(self) -> bool:
        return True


def _last_state(line: str) -> str:
    r"""What a terminal shows of a line that is rewritten: ``"\r2\r"`` of ``"1\r2\r"``."""
    return line[max(line.rstrip("\r").rfind("\r"), 0) :]


class _Claimed(io.TextIOWrapper):
    """Standard output, for the main thread alone."""

    _others = _Printed()

    def write(self, text: str) -> int:
        if threading.current_thread() is threading.main_thread():
            return super().write(text)
        return self._others.write(text)


def _printing_plugin() -> str:
    """``"plugin 'name': "`` for the plugin whose code is nearest on the stack."""
    frame = sys._getframe()
    while (caller := frame.f_back) is not None:
        frame = caller
        package = _package(frame)
        if package != _CORE and package in PACKAGES:
            return f"plugin '{PACKAGES[package]}': "
    return ""


def _package(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
