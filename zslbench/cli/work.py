"""``zslbench work``: a worker of an executor. Executors start it; people need not."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(hidden=True)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--group", "groups", type=click.IntRange(0), multiple=True, help="Compute this one; repeatable."
)
@click.option("--log", help="Where the output of this process goes.")
@click.option("--attached", is_flag=True, help="Stop when standard input ends.")
def work(folder: Path, groups: tuple[int, ...], log: str | None, attached: bool) -> None:
    """Compute groups of the submission in FOLDER; without --group, take what is left until nothing is."""
    from zslbench.cli.progress import TerminalDisplay
    from zslbench.experiment.suites.worker import work as compute
    from zslbench.plugin.discovery import registry

    compute(folder, registry(), TerminalDisplay(), groups, log=log, attached=attached)
