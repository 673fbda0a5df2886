"""The frame of the command line: which commands there are, and how an error ends one.

A command's module is imported when the command is used, so that ``zslbench --help`` imports click alone.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zslbench import __version__
from zslbench.errors import ZslbenchError, did_you_mean

# name: ("module:command", one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("zslbench.cli.run:run", "Run a method, or composed components, on a data set."),
    "ablate": ("zslbench.cli.ablate:ablate", "Run a method's variants and show what each part is worth."),
    "bench": ("zslbench.cli.bench:bench", "Run what a suite still needs and show its table."),
    "suites": ("zslbench.cli.bench:suites", "List suites, or the lines of one."),
    "tune": ("zslbench.cli.tune:tune", "Search settings on the validation split; the best become a preset."),
    "runs": ("zslbench.cli.results:runs", "List finished and unfinished runs."),
    "show": ("zslbench.cli.results:show", "Show one run: figures, settings, data, environment."),
    "table": ("zslbench.cli.results:table", "Compare methods on data sets from the runs in the store."),
    "compare": ("zslbench.cli.compare:compare", "Two runs side by side: settings, figures, classes."),
    "report": ("zslbench.cli.report:report", "Write a suite, or any runs, as one HTML file."),
    "audit": ("zslbench.cli.audit:audit", "Run methods under leak probes and say what each proved."),
    "published": ("zslbench.cli.published:published", "List printed figures with sources and disputes."),
    "plot": ("zslbench.cli.plot:plot", "Figures of a finished run: attention maps, t-SNE."),
    "data": ("zslbench.cli.data:data", "Get data sets, and see what is there and what is missing."),
    "methods": ("zslbench.cli.listing:methods", "List methods, or show one with its settings."),
    "datasets": ("zslbench.cli.listing:datasets", "List data sets, and those found under the data root."),
    "trackers": ("zslbench.cli.listing:trackers", "List trackers, which follow runs with --track."),
    "plugins": ("zslbench.cli.listing:plugins", "List plugins, and say why a broken one is broken."),
}

_DEBUG = "zslbench.debug"


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True  # contexts of one command line share their meta


def _set_strict(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    # A variable, so that processes which this command starts are strict as well.
    name = "ZSLBENCH_STRICT_PLUGINS"
    before = os.environ.get(name)
    os.environ[name] = "1"

    @ctx.find_root().call_on_close
    def restore() -> None:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


# Known to the frame and to every command, so that they may stand before or after the command's name.
_EVERYWHERE = [
    click.Option(
        ["--strict-plugins"],
        is_flag=True,
        expose_value=False,
        callback=_set_strict,
        help="A broken plugin is an error (as with ZSLBENCH_STRICT_PLUGINS=1).",
    ),
    click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help="Show tracebacks of errors."
    ),
]


class Frame(click.Group):
    """A group whose commands are imported when used and whose errors are one line.

    Args:
        table: the commands, as ``COMMANDS`` has them.
    """

    def __init__(
        self, *arguments: Any, table: Mapping[str, tuple[str, str]] = COMMANDS, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of this command; None: there is no such command."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        _accept_everywhere(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error that names the nearest."""
        if args[0] not in self.table and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}', {did_you_mean(args[0], self.table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with the help that the table holds: none is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error ends it with one line on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own ends
        except KeyboardInterrupt:
            return _end(ctx, "interrupted", 130)
        except BrokenPipeError:
            return _reader_gone()
        except ZslbenchError as error:
            return _end(ctx, f"Error: {error}", error.exit_code)
        except OSError as error:
            return _end(ctx, f"Error: {error}", 1)
        except Exception as error:
            advice = "this is a fault of zslbench or of a plugin, --debug shows where"
            return _end(ctx, f"Error: {type(error).__name__}: {error} ({advice})", 1)


def _accept_everywhere(command: click.Command) -> None:
    """Add the options that every command knows, to the commands of a group as well."""
    command.params.extend(option for option in _EVERYWHERE if option not in command.params)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _accept_everywhere(one)


def _end(ctx: click.Context, line: str, code: int) -> None:
    if ctx.meta.get(_DEBUG):
        import traceback

        traceback.print_exc()
    click.echo(line, err=True)
    ctx.exit(code)


def _reader_gone() -> None:
    """Whoever read our output left, as ``head`` does: end quietly."""
    # Python flushes standard output once more when it exits; that must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


@click.group(
    cls=Frame,
    params=[*_EVERYWHERE],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="zslbench", message="%(prog)s %(version)s")
def cli() -> None:
    """Zero-shot-learning benchmarks whose numbers can be trusted."""


def main() -> None:
    """Run the command line on ``sys.argv`` and exit."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # "±" on a terminal that cannot show it is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            cli(prog_name="zslbench")
        finally:
            sys.stdout.flush()  # here, where a full disk or a reader that left can still be handled
    except BrokenPipeError:
        _reader_gone()
    except OSError as error:
        click.echo(f"Error: {error}", err=True)
        _reader_gone()
