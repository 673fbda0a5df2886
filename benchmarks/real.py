"""Runs a suite on real data and writes its page in benchmarks/results: a table for each data set.

    python -m benchmarks.real SUITE --data-root FOLDER [--store DIRECTORY] [--workers 2] [--only-write]

SUITE is real_features, real_generative, real_embedding or real_finetuned. Finished runs are reused; with
``--only-write`` nothing is computed. The figures are kept beside the page, as JSON: rows whose runs are not
in the store stay as they were, and each row has the revision that computed it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
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


def row(label: str, selection: str, records: Sequence[RunRecord]) -> dict[str, Any]:
    """A row of the table, and what the page says about its runs."""
    metrics = [one.metrics for one in records]
    epochs = [one.get("h_epoch", one.get("epochs")) for one in metrics]
    minutes = [float(one.environment["seconds"]) / 60 for one in records]

    def distinct(value: Callable[[Mapping[str, Any]], Any]) -> str:
        return ", ".join(dict.fromkeys(str(value(one.environment)) for one in records))

    return {
        "method": label + trust_mark(records),
        "selection": selection_label(selection),
        "seeds": len(records),
        **{name: text([one.get(key) for one in metrics]) for key, name in FIGURES.items()},
        "epochs": ", ".join("–" if one is None else str(one) for one in epochs),
        "minutes": f"{statistics.median(minutes):.1f}",
        "revision": distinct(lambda one: one["git"]["revision"][:7]),
        "hours": sum(minutes) / 60,
        "hardware": distinct(
            lambda one: (
                f"{one['device']}, {one['cpu_count']} cores, torch {one['packages']['torch']} on "
                f"{one['execution']['threads']}, no GPU; Python {one['python']}"
            )
        ),
        "notes": list(mark_notes(records)),
    }


def tables(outcome: SuiteOutcome, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The description and rows of each data set, in the suite's order; rows without runs stay as before."""
    found = {}
    for dataset in outcome.datasets:
        before = kept.get(dataset, {"about": "", "rows": {}})
        about, rows = before["about"], {}
        for line, selection in product(outcome.lines, outcome.selections):
            key = f"{line.label}, {selection}"
            if records := list(outcome.entries[line.label, dataset, selection].records.values()):
                rows[key] = row(line.label, selection, records)
                data = records[0].data
                about = (
                    f"{data['images']:,} images of {data['classes']} classes, {data['unseen_classes']} of "
                    f"them unseen; features {data['features']}, semantics {data['semantics']}."
                )
            elif key in before["rows"]:
                rows[key] = before["rows"][key]
        if rows:
            found[dataset] = {"about": about, "rows": rows}
    return found


def blocks(found: Mapping[str, Any]) -> list[str]:
    """The page's text."""
    rows = [one for dataset in found.values() for one in dataset["rows"].values()]
    hidden = ("hours", "hardware", "notes")
    text = [LEGEND]
    for name, dataset in found.items():
        shown = [
            {key: value for key, value in one.items() if key not in hidden}
            for one in dataset["rows"].values()
        ]
        text += [f"## {name}", dataset["about"], render(shown, "markdown")]
    notes = dict.fromkeys(note for one in rows for note in one["notes"])
    hardware = "; ".join(dict.fromkeys(one["hardware"] for one in rows))
    runs, hours = (sum(one[name] for one in rows) for name in ("seeds", "hours"))
    return [
        *text,
        *(f"{one}." for one in notes),
        f"{runs} runs, {hours:.1f} hours altogether. Hardware: {hardware}.",
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
    kept = RESULTS / f"{given.suite}.json"
    found = tables(outcome, json.loads(kept.read_text("utf-8")) if kept.exists() else {})
    kept.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_page(
        RESULTS / f"{given.suite}.md",
        outcome.title,
        f"Regenerate with `python -m benchmarks.real {given.suite} --data-root FOLDER`. Real data. What the "
        f"figures say: [the methods' pages](../../docs/{PAGES.get(given.suite, 'methods')}.md).",
        *blocks(found),
    )


if __name__ == "__main__":
    main()
