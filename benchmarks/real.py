"""Runs a suite on real data and writes its results to benchmarks/results/SUITE and the README.

    python -m benchmarks.real SUITE --data-root FOLDER [--store DIRECTORY] [--workers 2]
    python -m benchmarks.real SUITE --only-write [--store DIRECTORY]

SUITE is ``real``, a packaged suite, or the name of a TOML file here. Everything is written from one archive,
``runs.zip``: all finished runs of the suite, without their tables. Runs of the archive that the store lacks
are imported before computing, so that a suite continues where another machine stopped, and finished runs of
the store are added to the archive afterwards. ``--only-write`` computes nothing and needs neither data nor
store; with a store it adds what has finished so far.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import zslbench
from benchmarks.common import RESULTS, write_page
from zslbench.errors import ZslbenchError
from zslbench.evaluation import metrics_named
from zslbench.evaluation.metrics import METRICS
from zslbench.experiment import Suite, SuiteOutcome, find_suite, recorded_outcome, suite_names
from zslbench.output import echo
from zslbench.plugin.discovery import registry
from zslbench.report import Cell, Rank, Table, leak_table, render, suite_findings, suite_ranks, suite_table
from zslbench.report.results import mark_notes, selection_label, trust_mark
from zslbench.store import RunRecord, Store, write_atomically
from zslbench_report.html.page import page
from zslbench_report.html.report import Report
from zslbench_runs.archive import export_runs, import_runs

README = Path(__file__).parents[1] / "README.md"
COUNTERPARTS = {"cub2010": "cub"}
"""Published data sets that stand for ours in a comparison of orders."""

FIGURES = {key: METRICS[key].name for key in ("acc", "u", "s", "h", "ausuc", "h_cal")} | {
    "val_h": "H on validation"
}
PAGES = {
    "real": "real-table",
    "sc_egg": "sc-egg",
    "real_embedding": "embedding-methods",
    "real_finetuned": "embedding-methods",
}
"""The page of docs that discusses a suite's figures; ``methods`` for other suites."""
LEGEND = """Per-class accuracy in %, mean ± standard deviation over seeds. `val`: epochs and hyper-parameters
are chosen on validation classes inside the training images; `oracle†`: on the test images, Acc
and H separately, as published code often does; never compare these with other rows. H_cal: with an
offset chosen on validation, which is subtracted from the scores of seen classes. Ranks have the intervals
that [analysis.md](analysis.md) explains. `epochs`: the schedule chosen for H, for each seed. `minutes`: the
median of whole runs, validation and refit included, on a machine that was doing other work too."""

# --- the archive ---------------------------------------------------------------------------------


def outcome_of(suite: Suite, records: Iterable[RunRecord]) -> SuiteOutcome:
    """The suite's outcome as far as these runs give it; the files of its data sets are not needed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in suite.datasets:
            (Path(folder) / name).mkdir()
            (Path(folder) / name / "att_splits.mat").touch()
        return recorded_outcome(suite, records, registry(), data_root=folder)


def update_archive(archive: Path, suite: Suite, store: Store) -> None:
    """Add the finished runs of the suite that the archive lacks; if there are none it stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Store(Path(folder) / "store")
        if archive.exists():
            import_runs(archive, kept)
        before = {one.info.id: one for one in kept.records()}
        found = {one.info.id: one for one in outcome_of(suite, store.records()).records}
        if found.keys() - before.keys():
            export_runs([*(found | before).values()], made := Path(folder) / "runs.zip", figures=True)
            write_atomically(archive, made.read_bytes())


# --- table.md ------------------------------------------------------------------------------------


def mean_std(values: Collection[Any]) -> str:
    """Mean ± standard deviation in percent; a dash if a run lacks the figure."""
    numbers = [100 * one for one in values if isinstance(one, int | float)]
    if not numbers or len(numbers) < len(values):
        return "–"
    spread = f" ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.1f}{spread}"


def distinct(records: Iterable[RunRecord], value: Callable[[Mapping[str, Any]], str]) -> str:
    """The different values of the runs' environments."""
    return ", ".join(dict.fromkeys(value(one.environment) for one in records))


def row(
    label: str, selection: str, records: Sequence[RunRecord], ranks: Mapping[str, Rank | None]
) -> dict[str, Any]:
    """A row of the table; ``ranks`` by key of the metric."""
    metrics = [one.metrics for one in records]
    epochs = [one.get("h_epoch", one.get("epochs")) for one in metrics]
    shown: dict[str, Any] = {"method": label + trust_mark(records), "selection": selection_label(selection)}
    shown["seeds"] = len(records)
    for key, name in FIGURES.items():
        shown[name] = mean_std([one.get(key) for one in metrics])
        if key in ranks:
            rank = ranks[key]
            shown[f"rank by {name}"] = rank.text if rank else "–"
    return shown | {
        "epochs": ", ".join("–" if one is None else str(one) for one in epochs),
        "minutes": f"{statistics.median(one.environment['seconds'] for one in records) / 60:.1f}",
        "revision": distinct(records, lambda one: one["git"]["revision"][:7]),
    }


def tables(outcome: SuiteOutcome) -> list[str]:
    """A table for each data set, in the suite's order, with what its runs read."""
    found = []
    for dataset in outcome.datasets:
        ranks = {key: suite_ranks(outcome, dataset, METRICS[key]) for key in ("h", "h_cal")}
        rows, data = [], {}
        for line, selection in product(outcome.lines, outcome.selections):
            if records := list(outcome.entries[line.label, dataset, selection].records.values()):
                first = selection == outcome.selections[0]
                own = {key: of.get(line.label) if first else None for key, of in ranks.items()}
                rows.append(row(line.label, selection, records, own))
                data = records[0].data
        if rows:
            about = (
                f"{data['images']:,} images of {data['classes']} classes, {data['unseen_classes']} of "
                f"them unseen; features {data['features']}, semantics {data['semantics']}."
            )
            found += [f"## {dataset}", about, render(rows, "markdown")]
    return found


def overview(outcome: SuiteOutcome) -> Table:
    """Acc, H and H_cal of each method on each data set, under the selection that is ranked.

    Lines without any run are left out, and named below the table.
    """
    run = {label for (label, _, _), one in outcome.entries.items() if one.records}
    waiting = [line.label for line in outcome.lines if line.label not in run]
    outcome = replace(outcome, lines=tuple(line for line in outcome.lines if line.label in run))
    table = suite_table(outcome, show=(), metrics=metrics_named("acc,h,h_cal")).for_readers()
    columns = (replace(one, header=(one.header[0], one.header[-1])) for one in table.columns)
    rows = (
        replace(one, cells=tuple(Cell() if cell.words == "not applicable" else cell for cell in one.cells))
        for one in table.rows
    )
    notes = (f"not run yet: {'; '.join(waiting)}",) if waiting else ()
    return replace(table, columns=tuple(columns), rows=tuple(rows), title="", notes=notes)


def closing(outcome: SuiteOutcome, runs: int) -> list[str]:
    """What the page says below its tables; ``runs``: how many the archive has."""
    records = outcome.records
    hours = sum(float(one.environment["seconds"]) for one in records) / 3600
    hardware = distinct(
        records,
        lambda one: (
            f"{one['device']}, {one['cpu_count']} cores, no GPU; torch {one['packages']['torch']}, "
            f"threads per run: {one['execution']['threads']}; Python {one['python']}"
        ),
    )
    lines = [f"{one}." for one in (*mark_notes(records), *outcome.remarks)]
    begun = {label for (label, _, _), one in outcome.entries.items() if one.records}
    missing = [  # the overview names lines without any run
        f"{label} on {at} ({selection_label(mode)})"
        for (label, at, mode), one in outcome.entries.items()
        if label in begun and one.state not in ("done", "not applicable")
    ]
    if missing:
        lines.append(f"Not complete: {'; '.join(missing)}.")
    if further := runs - len(records):
        lines.append(f"Not shown: {further} runs of the archive, of earlier revisions or other settings.")
    return [*lines, f"{len(records)} runs, {hours:.1f} hours in total. Hardware: {hardware}."]


# --- writing -------------------------------------------------------------------------------------


def suite_named(name: str) -> Suite:
    """A packaged suite, or one of the TOML files here."""
    return find_suite(name if name in suite_names() else Path(__file__).with_name(f"{name}.toml"))


def write_results(name: str, folder: Path, readme: Path) -> None:
    """Write the pages of a suite, and its tables in the README, from the archive in their folder."""
    if not (archive := folder / "runs.zip").exists():
        raise ZslbenchError(f"{archive}: no such file, and the store has no finished run of suite '{name}'")
    command = f"python -m benchmarks.real {name}"
    doc = PAGES.get(name, "methods")
    how = (
        f"Regenerate with `{command} --only-write`; `{command} --data-root FOLDER` computes what is missing "
        f"first. How to read it: [{doc}.md](../../../docs/{doc}.md)."
    )
    with tempfile.TemporaryDirectory() as temporary:
        import_runs(archive, store := Store(Path(temporary)))
        outcome = outcome_of(suite_named(name), records := store.records())
        first, leak = render(overview(outcome), "markdown"), leak_table(outcome)
        write_page(
            folder / "table.md", outcome.title, f"{how} What it says: [analysis.md](analysis.md).", LEGEND,
            first, *tables(outcome), *closing(outcome, len(records)),
        )  # fmt: skip
        said = [render(one, "markdown") for one in suite_findings(outcome, COUNTERPARTS)]
        title = f"{outcome.title}: what the table says"
        write_page(folder / "analysis.md", title, f"{how} The table: [table.md](table.md).", *said)
        report = Report(outcome, command=f"{command} --only-write", counterparts=COUNTERPARTS)
        report.without = frozenset({"tsne", "attention"})  # they need networks, which the archive lacks
        write_atomically(folder / "report.html", page(report).encode())
    blocks = {"table": first, "leak": render(replace(leak, title="", notes=()), "markdown") if leak else ""}
    content = readme.read_text("utf-8")
    for block, inside in blocks.items():
        content = block_of(name, block).sub(lambda found, text=inside: f"{found[1]}{text}{found[3]}", content)  # type: ignore[misc]
    if content != readme.read_text("utf-8"):
        write_atomically(readme, content.encode())


def block_of(suite: str, block: str) -> re.Pattern[str]:
    """A table of the README between its markers, which stay."""
    return re.compile(f"(<!-- {suite}: {block} -->\n)(.*?)(<!-- {suite}: end -->)", re.DOTALL)


def main() -> None:
    """Compute what is missing, update the archive, write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="a packaged suite, or the name of a TOML file in benchmarks")
    parser.add_argument("--data-root", help="folder of the data sets; not needed with --only-write")
    parser.add_argument("--store", help="default: ZSLBENCH_STORE, but none with --only-write")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--only-write", action="store_true", help="compute nothing")
    given = parser.parse_args()
    if not (given.only_write or given.data_root):
        parser.error("give --data-root, or --only-write")
    suite, folder = suite_named(given.suite), RESULTS / given.suite
    folder.mkdir(exist_ok=True)
    archive = folder / "runs.zip"
    store = Store.default(given.store)
    try:
        if not given.only_write:
            if archive.exists():
                got = import_runs(archive, store)
                echo(f"{len(got.added)} runs of {archive} added to the store", err=True)
                if got.differing:
                    echo(f"{len(got.differing)} others differ from the store's, which are kept", err=True)
            zslbench.bench(
                suite, workers=given.workers, any_version=True, data_root=given.data_root, store=given.store,
                device="cpu", threads=1,
            )  # fmt: skip
    finally:  # an interruption loses no finished run
        if given.store or not given.only_write:
            update_archive(archive, suite, store)
        write_results(given.suite, folder, README)


if __name__ == "__main__":
    main()
