"""Plugins' code prints to standard error only, and cannot end the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import types
from typing import Any

import pytest
from processes import press_ctrl_c

from zslbench.errors import Interrupted, PluginError, PluginFailure
from zslbench.plugin import boundary
from zslbench.plugin.boundary import located, plugin_code, printing_to_stderr


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs source text as a module of the plugin 'their-plugin'."""
    monkeypatch.setitem(boundary.PACKAGES, "their_package", "their-plugin")

    def run(source: str) -> None:
        module = types.ModuleType("their_package.part")
        exec(source, vars(module))

    return run


@pytest.mark.parametrize(
    "ending",
    [
        "import sys; sys.exit(3)",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "class Stop(BaseException): pass\nraise Stop",
        "try: 1 / 0\nexcept ZeroDivisionError: raise KeyboardInterrupt",
    ],
)
def test_what_would_end_the_process_is_an_error_of_the_plugin(theirs: Any, ending: str) -> None:
    with pytest.raises(PluginError, match="their-method"), plugin_code("their-method"):
        theirs(ending)


@pytest.mark.parametrize(
    "answer",
    [
        "press()",
        "try: press()\nfinally: print('cleaned up')",
        "try: press()\nexcept KeyboardInterrupt: raise",
        "try: press()\nexcept KeyboardInterrupt: raise KeyboardInterrupt('mine')",
        "import sys\ntry: press()\nexcept KeyboardInterrupt: sys.exit(1)",
        "try: press()\nexcept BaseException as error: raise RuntimeError('failed') from error",
    ],
)
def test_a_real_ctrl_c_stops_whatever_the_plugin_makes_of_it(
    theirs: Any, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.press", press_ctrl_c, raising=False)
    with pytest.raises((KeyboardInterrupt, SystemExit)), plugin_code("their-method"):
        theirs(answer)


def test_ctrl_c_through_a_handler_of_another_program_stops() -> None:
    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt), plugin_code("their-method"):
            press_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("error", [ValueError, Interrupted])
def test_ordinary_errors_and_requests_to_stop_pass(error: type[Exception]) -> None:
    with pytest.raises(error), plugin_code("their-method"):
        raise error("as it is")


def test_places_inside_each_other_add_up_and_the_innermost_component_is_named() -> None:
    def failing() -> None:
        with (
            located(plugin="a", generator="g", stage="outer", epoch=3),
            located(plugin="b", classifier="c", stage="inner"),
            located(step="s"),
        ):
            raise ValueError("one\ntwo")

    with pytest.raises(PluginFailure) as caught:
        failing()
    assert str(caught.value) == (
        "plugin 'b', classifier 'c', stage 'inner', epoch 3, step 's': ValueError: one two"
    )
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    "error",
    [
        PluginError("p"),
        Interrupted("i"),
        MemoryError(),
        RuntimeError("CUDA out of memory"),
        OSError(28, "full"),
    ],
)
def test_what_is_no_fault_of_a_plugin_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, located(plugin="a"):
        raise error
    assert caught.value is error


def test_an_error_of_the_system_in_a_plugin_is_located(theirs: Any) -> None:
    with pytest.raises(PluginFailure, match="plugin 'a': FileNotFoundError: "), located(plugin="a"):
        theirs("open('/nowhere/at/all')")


def test_prints_go_to_standard_error_with_the_name(theirs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with printing_to_stderr():
        theirs("print('one', end=' '); print('two\\nthree'); print('unfinished', end='')")
        with printing_to_stderr():  # a hook within a run
            theirs("import sys; sys.stdout.write('four\\n')")
        sys.stdout.write("ours\n")
    sys.stdout.write("a table\n")
    out, err = capsys.readouterr()
    assert out == "a table\n"
    of = "plugin 'their-plugin': "
    assert err == f"{of}one two\n{of}three\n{of}unfinishedfour\nours\n"


def test_threads_finish_their_own_lines(theirs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with printing_to_stderr():
        theirs("print('whole', end='')")
        thread = threading.Thread(target=theirs, args=("print('from a thread')",))
        thread.start(), thread.join()
        theirs("print(' line')")
    assert capsys.readouterr() == (
        "",
        "plugin 'their-plugin': from a thread\nplugin 'their-plugin': whole line\n",
    )


TEE = """
import sys
class Tee:
    def write(self, text): return sys.stdout.write(text)
    def flush(self): sys.stdout.flush()
"""


@pytest.mark.parametrize(
    "redirected",
    [
        "import contextlib, sys\nwith contextlib.redirect_stderr(sys.stdout): ",
        f"import contextlib{TEE}\nwith contextlib.redirect_stderr(Tee()): ",
    ],
)
def test_standard_error_may_be_redirected_to_standard_output(
    theirs: Any, capsys: pytest.CaptureFixture[str], redirected: str
) -> None:
    with printing_to_stderr():
        theirs(redirected + "print('printed', flush=True), print('logged', file=sys.stderr)")
        theirs("print('after')")
    of = "plugin 'their-plugin': "
    assert capsys.readouterr() == ("", f"{of}printed\n{of}logged\n{of}after\n")


def test_lines_that_are_rewritten_show_their_last_state(
    theirs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    of = "plugin 'their-plugin': "
    started = time.process_time()
    with printing_to_stderr():
        theirs("for i in range(40_000): print(f'\\rstep {i}', end='', flush=True)\nprint()")
        theirs("import sys\nfor i in range(3): sys.stdout.write(f'{i} %\\r')\nprint('\\r\\nnext\\r')")
    assert time.process_time() - started < 5  # 29 s where each write copies the line
    assert capsys.readouterr() == ("", f"{of}step 39999\n{of}2 %\n{of}next\n")


def test_unfinished_lines_show_when_flushed_or_long(theirs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    of = "plugin 'their-plugin': "
    with printing_to_stderr():
        theirs("print('Name? ', end='', flush=True)")
        assert capsys.readouterr() == ("", f"{of}Name? \n")
        theirs("import sys\nfor i in range(40_000): sys.stdout.write('.')")
        shown = capsys.readouterr().err
    rest = capsys.readouterr().err
    assert (shown + rest).count(".") == 40_000 and 0 < rest.count(".") < 20_000
    assert shown.startswith(f"{of}.")


def test_a_replaced_standard_output_is_restored(capsys: pytest.CaptureFixture[str]) -> None:
    with printing_to_stderr():
        sys.stdout = None  # type: ignore[assignment]
    sys.stdout.write("here\n")
    assert capsys.readouterr().out == "here\n"


CLAIMED = """
import atexit, os, subprocess, sys, threading
from zslbench.plugin.boundary import claim_stdout, release_stdout
atexit.register(print, "at exit")
claim_stdout()
os.write(1, b"descriptor\\n")
subprocess.run(["echo", "child"])
thread = threading.Thread(target=print, args=("thread",))
thread.start(), thread.join()
print("the table ±", flush=True)
subprocess.run(["echo", "wanted"], stdout=sys.stdout)
release_stdout()
print("late")
"""


def test_only_the_main_thread_of_a_command_writes_to_standard_output() -> None:
    done = subprocess.run([sys.executable, "-c", CLAIMED], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout == "the table ±\nwanted\n"
    assert sorted(done.stderr.split("\n")) == ["", "at exit", "child", "descriptor", "late", "thread"]
