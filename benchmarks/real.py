"""Runs a suite on real data and writes its page in benchmarks/results: a table for each data set.

    python -m benchmarks.real SUITE --data-root FOLDER [--store DIRECTORY] [--workers 2] [--only-write]

SUITE is real_features, real_generative, real_embedding or real_finetuned. Finished runs are reused; with
``--only-write`` nothing is computed.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import zslbench
from benchmarks.common import RESULTS, write_page
from zslbench.evaluation.metrics import METRICS
from zslbench.experiment import RunOptions, SuiteOutcome, find_suite, suite_outcome
from zslbench.plugin.discovery import registry
from zslbench.report import render
from zslbench.report.results import mark_notes, selection_label, trust_mark
from zslbench.store.record import RunRecord

FIGURES = {key: METRICS[key].name for key in ("acc", "u", "s", "h", "ausuc", "h_cal")} | {
    "val_h": "H on validation"
}

PAGES = {"real_embedding": "embedding-methods", "real_finetuned": "embedding-methods"}
"""Pages of docs that discuss a suite's figures; for others, methods."""
LEGEND = """Per-class accuracy in %, mean ± standard deviation over seeds. `val`: epochs and hyper-parameters
are chosen on validation classes inside the training images; `oracle†`: on the test images, Acc
and H separately, as published code does, never to be compared with other rows. H_cal: with an
offset chosen on validation, which is subtracted from the scores of seen classes. `epochs`: the
schedule chosen for H, of each seed. `minutes`: the median of whole runs, validation and refit
included, on a machine that did other work."""


def text(values: Collection[Any]) -> str:
    """Mean ± standard deviation in percent; empty where a run lacks the figure."""
    numbers = [100 * one for one in values if isinstance(one, int | float)]
    if not numbers or len(numbers) < len(values):
        return "–"
    spread = f" ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.1f}{spread}"


def row(label: str, selection: str, records: Mapping[int, RunRecord]) -> dict[str, Any]:
    """A line of the table."""
    metrics = [one.metrics for one in records.values()]
    epochs = [one.get("h_epoch", one.get("epochs")) for one in metrics]
    return {
        "method": label + trust_mark(records.values()),
        "selection": selection_label(selection),
        "seeds": len(records),
        **{name: text([one.get(key) for one in metrics]) for key, name in FIGURES.items()},
        "epochs": ", ".join("–" if one is None else str(one) for one in epochs),
        "minutes": f"{statistics.median(one.environment['seconds'] for one in records.values()) / 60:.1f}",
    }


def blocks(outcome: SuiteOutcome) -> list[str]:
    """Tables of the data sets, and what they rest on."""
    found = []
    for dataset in outcome.datasets:
        rows = [
            row(line.label, selection, entry.records)
            for line in outcome.lines
            for selection in outcome.selections
            if (entry := outcome.entries[line.label, dataset, selection]).records
        ]
        records = [one for one in outcome.records if one.info.dataset.lower() == dataset.lower()]
        if not rows:
            continue
        data = records[0].data
        found += [
            f"## {dataset}",
            f"{data['images']:,} images of {data['classes']} classes, {data['unseen_classes']} of them "
            f"unseen; features {data['features']}, semantics {data['semantics']}.",
            render(rows, "markdown"),
        ]
    records = list(outcome.records)

    def distinct(*keys: str) -> str:
        values = []
        for one in records:
            value: Any = one.environment
            for key in keys:
                value = value[key]
            values.append(str(value))
        return ", ".join(dict.fromkeys(values))

    hours = sum(float(one.environment["seconds"]) for one in records) / 3600
    revisions = ", ".join(dict.fromkeys(one.environment["git"]["revision"][:7] for one in records))
    return [
        LEGEND,
        *found,
        *(f"{one}." for one in mark_notes(records)),
        f"{len(records)} runs, {hours:.1f} hours altogether, revision {revisions}. Hardware: "
        f"{distinct('device')}, {distinct('cpu_count')} cores, torch on {distinct('execution', 'threads')}, "
        f"no GPU; Python {distinct('python')}, torch {distinct('packages', 'torch')}.",
    ]


def main() -> None:
    """Run the suite and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="name of a TOML file in benchmarks")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--store", help="default: ZSLBENCH_STORE")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--only-write", action="store_true", help="compute nothing")
    given = parser.parse_args()
    file = Path(__file__).with_name(f"{given.suite}.toml")
    options = {"data_root": given.data_root, "store": given.store, "device": "cpu", "threads": 1}
    if given.only_write:
        store = RunOptions(**options).open_store()
        outcome = suite_outcome(find_suite(file), store, registry(), data_root=given.data_root)
    else:
        outcome = zslbench.bench(file, workers=given.workers, **options)
    write_page(
        RESULTS / f"{given.suite}.md",
        outcome.title,
        f"Regenerate with `python -m benchmarks.real {given.suite} --data-root FOLDER`. Real data. What the "
        f"figures say: [the methods' pages](../../docs/{PAGES.get(given.suite, 'methods')}.md).",
        *blocks(outcome),
    )


if __name__ == "__main__":
    main()
