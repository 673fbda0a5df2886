"""The frame of the command line: lazy commands, global options, and how errors end a command."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hostile import NAMES, obeyed

from zslbench import Command, __version__
from zslbench.cli import main
from zslbench.errors import DataError, Diverged, Interrupted, PluginError, SettingsError, UnknownName
from zslbench.plugin.discovery import commands
from zslbench.plugin.lookup import PluginInfo, Registered

HEAVY = ("torch", "pandas", "sklearn", "jaxtyping", "pyarrow", "scipy")


def register(monkeypatch: pytest.MonkeyPatch, name: str, target: str) -> None:
    """Register a command for one test."""
    command = Command(name=name, target=target, summary="Of a test.")
    monkeypatch.setitem(main.cli.registered, name, Registered(command, PluginInfo("test", "test")))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command ``boom`` that raises an error, or any arguments."""

    def call(*arguments: str, raises: BaseException | None = None) -> Result:
        @click.command()
        def boom() -> None:
            if raises is not None:
                raise raises

        monkeypatch.setitem(sys.modules, "boom_module", types.SimpleNamespace(boom=boom))
        register(monkeypatch, "boom", "boom_module:boom")
        return CliRunner().invoke(main.cli, arguments)

    return call


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UnknownName("no method 'x', known: none"), 2, "Error: no method 'x', known: none\n"),
        (SettingsError("generator: no setting 'x'"), 2, "Error: generator: no setting 'x'\n"),
        (PluginError("plugin 'x' is broken"), 1, "Error: plugin 'x' is broken\n"),
        (Diverged("loss is NaN"), 1, "Error: loss is NaN\n"),
        (DataError("a.mat", ["no att", "no x"], "Get it"), 1, "Error: a.mat: no att; no x. Get it\n"),
        (Interrupted("stopped after epoch 3"), 130, "Error: stopped after epoch 3\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (PermissionError(13, "Not allowed", "results"), 1, "Error: [Errno 13] Not allowed: 'results'\n"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_an_exit_code(run: Any, error: BaseException, code: int, line: str) -> None:
    result = run("boom", raises=error)
    assert (result.exit_code, result.stderr, result.stdout) == (code, line, "")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_messages_of_errors_are_data(run: Any, name: str) -> None:
    for error in (
        SettingsError(name),
        DataError(name, [name], name),
        OSError(5, name, name),
        ValueError(name),
    ):
        result = run("boom", raises=error)
        assert result.exit_code in (1, 2)
        assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
        assert obeyed(result.stderr) == obeyed(run("--debug", "boom", raises=error).stderr) == []
    usage = run("boom", raises=click.BadParameter(name))
    assert (usage.exit_code, obeyed(usage.stderr)) == (2, [])


def test_a_fault_of_ours_is_one_line_too(run: Any) -> None:
    result = run("boom", raises=ZeroDivisionError("division by zero"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ZeroDivisionError: division by zero (")
    assert "--debug" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--debug", "boom"), ("boom", "--debug")])
def test_debug_adds_the_traceback(run: Any, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, raises=UnknownName("no such thing"))
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert result.stderr.endswith("Error: no such thing\n")


@pytest.mark.parametrize("arguments", [("--strict-plugins", "look"), ("look", "--strict-plugins"), ("look",)])
def test_strict_plugins_holds_for_one_command(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZSLBENCH_STRICT_PLUGINS", raising=False)
    seen: list[str | None] = []

    @click.command()
    def look() -> None:
        seen.append(os.environ.get("ZSLBENCH_STRICT_PLUGINS"))

    monkeypatch.setitem(sys.modules, "look_module", types.SimpleNamespace(look=look))
    register(monkeypatch, "look", "look_module:look")
    assert CliRunner().invoke(main.cli, arguments).exit_code == 0
    assert seen == ["1" if "--strict-plugins" in arguments else None]
    assert "ZSLBENCH_STRICT_PLUGINS" not in os.environ


def test_unknown_command_names_the_nearest(run: Any) -> None:
    result = run("pluggin")
    assert result.exit_code == 2
    assert "'pluggin', did you mean 'plugins'" in result.stderr


def test_unknown_option_of_a_command(run: Any) -> None:
    result = run("methods", "--formatt", "json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--format" in result.stderr


def test_version(run: Any) -> None:
    assert run("--version").stdout == f"zslbench {__version__}\n"


def test_help_lists_every_command_without_importing_one(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "phantom", "module_that_is_nowhere:phantom")
    for arguments in (("--help",), ("-h",), ()):
        text = run(*arguments).output
        for name, command in main.cli.registered.items():
            summary = command.declaration.summary
            assert (f"  {name} " in text) == bool(summary)  # without one it is for other programs
            assert not summary or summary.split()[0] in text


def test_a_command_that_cannot_be_imported_names_plugin_and_target(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odd_module", types.SimpleNamespace(odd=3))
    register(monkeypatch, "phantom", "module_that_is_nowhere:phantom")
    register(monkeypatch, "odd", "odd_module:odd")
    for name, target in (("phantom", "module_that_is_nowhere:phantom"), ("odd", "odd_module:odd")):
        for arguments in ((name,), (name, "--help")):
            result = run(*arguments)
            assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
            assert f"plugin 'test': command '{name}', {target}" in result.stderr
    assert run("plugins").exit_code == 0


def test_a_groups_commands_know_the_options_of_every_command(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.group()
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise UnknownName("no such thing")

    monkeypatch.setitem(sys.modules, "group_module", types.SimpleNamespace(group=group))
    register(monkeypatch, "group", "group_module:group")
    assert run("group", "fail").stderr == "Error: no such thing\n"
    for arguments in (
        ("--debug", "group", "fail"),
        ("group", "--debug", "fail"),
        ("group", "fail", "--debug"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Traceback")
    assert run("group", "fail", "--strict-plugins").exit_code == 2


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_of_the_table_is_there(name: str) -> None:
    command = main.cli.get_command(click.Context(main.cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help
    names = [option for parameter in command.params for option in parameter.opts]
    assert names.count("--debug") == names.count("--strict-plugins") == 1


def imported(*commands: str) -> set[str]:
    """The top-level modules that a fresh process has imported after these commands."""
    code = (
        "import sys\n"
        "from zslbench.cli.main import cli\n"
        f"for command in {list(commands)!r}:\n"
        "    try:\n"
        "        cli(command.split(), prog_name='zslbench')\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, end.code\n"
        "print('modules', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.rpartition("modules ")[2].split()}


def test_help_imports_nothing_heavy_and_no_command() -> None:
    seen = imported("--help")
    assert "zslbench" in seen
    assert not seen & {*HEAVY, "numpy", "pydantic", "rich", "jinja2"}
    targets = {one.declaration.target.partition(":")[0] for one in commands().values()}
    code = (
        "import sys\nfrom zslbench.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not targets & set(done.stdout.split())


@pytest.mark.parametrize("command", ["methods", "datasets", "plugins"])
def test_listings_import_nothing_heavy(command: str) -> None:
    seen = imported(*(f"{command} --format {fmt}" for fmt in ("terminal", "json", "csv", "markdown")))
    assert "pluggy" in seen
    assert not seen & {*HEAVY, "pydantic"}


def piped(script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", ["--help", "plugins", "plugins --format json", "methods --format csv"])
def test_a_reader_that_left_is_no_error(arguments: str) -> None:
    # The reader is gone before the first byte is written.
    done = piped(f'{{ sleep 0.2; "$PYTHON" -m zslbench {arguments} 2>/dev/stderr; }} | true')
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_line() -> None:
    done = piped('"$PYTHON" -m zslbench --version > /dev/full')
    assert done.returncode == 1
    assert done.stderr == "Error: [Errno 28] No space left on device\n"


def test_closed_or_narrow_output_is_survived() -> None:
    for closed in (">&-", "<&- >&-", "<&- >&- 2>&-"):
        done = piped(f'"$PYTHON" -m zslbench --version {closed}')
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = piped('PYTHONIOENCODING=ascii "$PYTHON" -m zslbench datasets')
    assert done.returncode == 0, done.stderr


def test_output_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    program = (
        "import sys, time; from zslbench.pipes import Pipe\n"
        "out = Pipe(1, required=True)\n"
        "data = memoryview(bytes(1 << 20))\n"
        "while data: data = data[out.write(data):]\n"
        "sys.stderr.write(str(time.process_time()))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        try:
            time.sleep(1)  # the pipe is full, and nobody reads
            received = 0
            while block := os.read(reader, 1 << 16):
                received += len(block)
        finally:
            os.close(reader)
        assert process.stderr is not None
        seconds = float(process.stderr.read())
    assert (received, seconds < 0.7) == (1 << 20, True)


def test_quiet_runs_show_results_and_warnings_only(lab: Callable[..., Result]) -> None:
    result = lab("run", "lab", "--dataset", "toy", "--format", "csv")
    quiet = lab("run", "lab", "--dataset", "toy", "--format", "csv", "--quiet")
    assert result.exit_code == quiet.exit_code == 0
    assert "found in the store" not in quiet.stderr and quiet.stderr == ""
    assert next(csv.DictReader(io.StringIO(quiet.stdout)))["method"] == "lab"
    failed = lab("run", "lame", "--dataset", "toy", "--variant", "fails", "--quiet")
    assert failed.exit_code == 1 and "Error" in failed.stderr
