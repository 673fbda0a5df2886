"""The commands that the plugin adds. Importing it imports neither of their modules."""

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands():
    yield Command(
        name="best-runs",
        target="their_command.cli:best_runs",
        summary="Show the best runs of a store.",
        function="their_command.best:best",
    )
    yield Command(name="their-group", target="their_command.cli:group", summary="A group of commands.")
    yield Command(name="their-missing", target="their_command.nowhere:lost", summary="Cannot be imported.")


@hookimpl
def zslbench_run_details(store, record):
    yield "place in the store", f"{place(store, record)}"


def place(store, record):
    from their_command.best import best

    return 1 + [one["run"] for one in best(store=store)].index(record.info.id)
