"""Methods on real features that fit a CPU: FLO, AWA1 and CUB2010. Writes benchmarks/results/real_features.md.

    python -m benchmarks.real_features --data-root FOLDER

Every row is one ``zslbench run`` command, printed beside it; runs already in the store are found again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.common import hardware, output, run_options, write_page
from zslbench.evaluation import METRICS
from zslbench.report import render
from zslbench.store.store import Store


@dataclass(frozen=True)
class DataSet:
    """A data set of this benchmark, what its features are, and what runs on it."""

    name: str
    features: str
    lam: float
    """λ of the ESZSL rows with given regularisers."""
    about: str
    tf_vaegan: tuple[str, ...]
    """Options of each tf-vaegan row; all short enough for two cores."""


DATASETS = (
    DataSet(
        "flo",
        "mobilenet_v2_64px",
        0.01,
        "FLO: all 8,189 images, official split; MobileNetV2 features of 64 x 64 pixel copies, 1,280-d",
        ("--preset cpu --epochs 6 --every 3",),
    ),
    DataSet(
        "awa1",
        "bow_pca512",
        0.1,
        "AWA1: all 30,475 images, official split; hand-made features (bag of words, PCA), 512-d",
        ("--preset cpu --epochs 2 --every 1",),
    ),
    DataSet(
        "cub2010",
        "mobilenet_v2",
        0.1,
        "CUB2010: 6,033 images of Caltech-UCSD Birds-200 (2010), CUB's 312 attributes; MobileNetV2 features, "
        "1,280-d; its split is not the official one, so it is not comparable with published CUB figures",
        ("--preset cpu --epochs 6 --every 3",),
    ),
)


def commands(data: DataSet) -> list[str]:
    """The commands for one data set, without the program's name."""
    where = f"--dataset {data.name} --features {data.features}"
    fixed = f"--select last --set classifier.gamma=1 --set classifier.lam={data.lam}"
    return [
        f"run eszsl {where} {fixed} --set classifier.coding=pm1",
        f"run eszsl {where} {fixed} --set classifier.coding=01",
        f"run eszsl {where}",
        *(f"run tf-vaegan {where} {options}" for options in data.tf_vaegan),
    ]


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder with FLO, AWA1 and CUB2010; else ZSLBENCH_DATA")
    parser.add_argument("--dataset", action="append", help="only this data set; repeatable")
    parser.add_argument("--store", help="run store; else ZSLBENCH_STORE")
    parser.add_argument("--threads", default="1", help="CPU threads (default 1)")
    arguments = parser.parse_args()
    options = run_options(arguments, arguments.threads)

    text = ["# Methods on real features, on a CPU", ""]
    environment: dict[str, Any] = {}
    for data in (one for one in DATASETS if one.name in (arguments.dataset or [d.name for d in DATASETS])):
        rows = []
        for command in commands(data):
            (row,) = json.loads(output(command, options))
            rows.append(row | {"command": f"zslbench {command}"})
            environment = Store.default(arguments.store).resolve(row["run"]).environment
        frame = pd.DataFrame(rows)
        shown = ["method", "selection", *(one.name for one in METRICS.values()), "epochs"]
        frame.insert(0, "row", range(1, len(frame) + 1))
        text += [f"## {data.name}", "", f"{data.about}. Real data, one seed, per-class accuracy in %.", ""]
        text += [render(frame[["row", *shown, "seconds"]], "markdown", decimals=1), ""]
        text += [f"{number}. `{command}`" for number, command in enumerate(frame["command"], 1)] + [""]
    text[1:1] = ["", *header(environment, arguments.threads)]
    write_page("real_features", text)


def header(environment: dict[str, Any], threads: str) -> list[str]:
    """How the table was made and on what."""
    return [
        "Regenerate with `python -m benchmarks.real_features --data-root FOLDER`. Rows with `last` have",
        "regularisers or schedule given; the others choose on validation. tf-vaegan runs with narrower",
        "layers and shorter schedules than its authors', as each command says; `seconds` is the whole run,",
        "validation and refit included, on a machine that did other work too: a rough figure.",
        "",
        hardware(environment, f"torch on {threads}"),
    ]


if __name__ == "__main__":
    main()
