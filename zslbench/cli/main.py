"""The command line: it finds commands, and turns errors into one line and an exit code.

A command's module is imported when the command runs, so that ``zslbench --help`` imports only click.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from zslbench import __version__
from zslbench.errors import PluginFailure, ZslbenchError, did_you_mean, memory_shortage
from zslbench.output import QUIET, echo, visible
from zslbench.pipes import EXIT_CODE, Pipe
from zslbench.plugin.boundary import claim_stdout, one_line, release_stdout
from zslbench.plugin.declarations import Command
from zslbench.plugin.discovery import commands as plugin_commands, first_party
from zslbench.plugin.lookup import CORE, PluginInfo, Registered
from zslbench.plugin.targets import load_command

_DEBUG = "zslbench.debug"
_LONGEST = 10_000
"""Characters of a message; the rest is cut off."""


def _remembered(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    """The callback of a flag that sets a key of the ``meta`` that contexts of one command line share."""
    return lambda ctx, _, value: ctx.meta.update({key: True} if value else {})


def sets_environment(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    """The callback of a flag that sets an environment variable to 1 until the command ends.

    A variable, so that child processes and libraries follow the flag too.
    """

    def callback(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if not value:
            return
        before = os.environ.get(name)
        os.environ[name] = "1"

        @ctx.find_root().call_on_close
        def restore() -> None:
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before

    return callback


EVERYWHERE = [
    click.Option(
        ["--strict-plugins"],
        is_flag=True,
        expose_value=False,
        callback=sets_environment("ZSLBENCH_STRICT_PLUGINS"),
        help="Treat a broken plugin as an error (like ZSLBENCH_STRICT_PLUGINS=1).",
    ),
    click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        callback=_remembered(_DEBUG),
        help="Show tracebacks of errors.",
    ),
    click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_remembered(QUIET),
        help="Show only results, warnings and errors.",
    ),
]
"""Accepted before and after the name of any command."""


class LazyGroup(click.Group):
    """A group that imports a command when it is used and prints errors as one line.

    Args:
        table: the commands; None: all that plugins register.
    """

    def __init__(self, *arguments: Any, table: Sequence[Command] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = table

    @cached_property
    def registered(self) -> dict[str, Registered[Command]]:
        """The commands by name."""
        if self._table is None:
            return plugin_commands()
        return {one.name: Registered(one, PluginInfo(CORE, CORE)) for one in self._table}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they were registered, without commands that are for programs only."""
        return [name for name, one in self.registered.items() if one.declaration.summary]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None: unknown."""
        # Our own commands are found without importing other plugins.
        own = {one.name: one for one in first_party().commands()} if self._table is None else self.registered
        registered = own.get(cmd_name) or self.registered.get(cmd_name)
        if registered is None:
            return None
        command = load_command(registered)
        _accept_everywhere(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name is a usage error that suggests the nearest."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"no command '{args[0]}', {did_you_mean(args[0], self.registered)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their summaries without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(one, visible(self.registered[one].declaration.summary)) for one in self.list_commands(ctx)]
            )

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the options before the command's name."""
        with _visible_messages():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error ends it with one line on standard error and an exit code."""
        try:
            with _visible_messages():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click handles these itself
        except KeyboardInterrupt:
            return _end(ctx, "interrupted", 130)
        except PluginFailure as error:
            return _end(
                ctx, f"Error: {error} (a bug in the plugin or zslbench; --debug shows the traceback)", 1
            )
        except ZslbenchError as error:
            return _end(ctx, f"Error: {error}", error.exit_code)
        except Exception as error:
            if shortage := memory_shortage(error):
                advice = (
                    "close other programs, or use less data, smaller batches or a machine with more memory"
                )
                return _end(ctx, f"Error: {shortage}; {advice} (--debug shows where)", 1)
            if isinstance(error, OSError):
                return _end(ctx, f"Error: {error}", 1)
            advice = "a bug in zslbench or a plugin; --debug shows the traceback"
            return _end(ctx, f"Error: {one_line(error)} ({advice})", 1)


def _accept_everywhere(command: click.Command) -> None:
    """Add the common options to a command and its subcommands."""
    command.params.extend(option for option in EVERYWHERE if option not in command.params)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _accept_everywhere(one)


def refuse_options(context: click.Context) -> None:
    """Refuse options before a subcommand's name: they would have no effect."""
    source = click.core.ParameterSource.COMMANDLINE
    for one in context.command.params:
        if one not in EVERYWHERE and context.get_parameter_source(one.name or "") is source:
            raise click.UsageError(f"write {one.opts[0]} after '{context.invoked_subcommand}'")


@contextlib.contextmanager
def _visible_messages() -> Iterator[None]:
    """Escape control characters in click's messages, which repeat what users typed."""
    try:
        yield
    except click.ClickException as error:
        error.message = _shortened(visible(error.message))  # type: ignore[misc]
        raise


def _shortened(line: str) -> str:
    """The message with very long words, such as a value of a megabyte, and its own end cut off."""
    line = re.sub(r"(\S{200})\S{200,}", r"\1…", line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _end(ctx: click.Context, line: str, code: int) -> None:
    if ctx.meta.get(_DEBUG):
        import traceback

        echo(*traceback.format_exc().splitlines(), err=True)
    echo(_shortened(line), err=True)
    ctx.exit(code)


@click.group(
    cls=LazyGroup,
    params=[*EVERYWHERE],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="zslbench", message="%(prog)s %(version)s")
def cli() -> None:
    """Zero-shot-learning benchmarks whose numbers can be trusted."""


def main() -> None:
    """Run the command line on ``sys.argv`` and exit."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # closed by the parent process
        pass
    os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    claim_stdout()
    errors = io.BufferedWriter(Pipe(sys.stderr.fileno(), required=False))
    # A terminal that cannot show "±" must not cause an error.
    sys.stderr = io.TextIOWrapper(errors, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    code: object = 0
    try:
        try:
            cli(prog_name="zslbench")
        finally:
            release_stdout()
    except SystemExit as end:
        code = end.code
    except OSError as error:
        echo(f"Error: {error}", err=True)
        code = 1
    sys.exit(EXIT_CODE if Pipe.reader_left else code)  # type: ignore[arg-type]
