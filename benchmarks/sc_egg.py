"""SC-EGG on 6,033 real bird images, on a CPU: comparison, ablation, both readings, over three seeds.

    python -m benchmarks.sc_egg --data-root FOLDER [--jobs 2]

Writes benchmarks/results/sc_egg_cub2010.md. Every row is a ``zslbench run`` command; what is in the store
already is found again and what was interrupted goes on, so the whole may be stopped at any time.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import hardware, output, run_options, write_page
from zslbench.report import render
from zslbench.store.store import Store

PRESET = Path("benchmarks") / "presets" / "cpu_gan.toml"
DATA = "--dataset cub2010 --features mobilenet_v2"
SC_EGG = f"run sc-egg {DATA} --preset cpu --every 4"

# What shares stages stands together, so that one process computes them and the others find them.
GROUPS = (
    (f"{SC_EGG}", f"{SC_EGG} --variant no-scr", f"{SC_EGG} --variant no-egs"),
    (f"{SC_EGG} --variant no-lce",),
    (f"{SC_EGG} --variant no-gce",),
    (f"{SC_EGG} --reading authors",),
    (
        f"{SC_EGG} --variant baseline",
        f"run tf-vaegan {DATA} --preset {PRESET} --every 4",
        f"run eszsl {DATA}",
    ),
)
COMPARED = (
    f"run eszsl {DATA}",
    f"run tf-vaegan {DATA} --preset {PRESET} --every 4",
    f"{SC_EGG} --variant baseline",
    SC_EGG,
    f"{SC_EGG} --reading authors",
)
ABLATION = f"ablate sc-egg {DATA} --preset cpu --every 4"


def main() -> None:
    """Run everything and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder with CUB2010; else ZSLBENCH_DATA")
    parser.add_argument("--store", help="run store; else ZSLBENCH_STORE")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread (default 2)")
    arguments = parser.parse_args()
    options = run_options(arguments)
    seeds = range(arguments.seeds)

    def group(task: tuple[int, tuple[str, ...]]) -> None:
        seed, commands = task
        for command in commands:
            output(f"{command} --seed {seed}", options)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(group, [(seed, commands) for seed in seeds for commands in GROUPS]))

    compared = [json.loads(output(f"{command} --seeds {len(seeds)}", options)) for command in COMPARED]
    ablation = output(f"{ABLATION} --seeds {len(seeds)}", options, "markdown")
    store = Store.default(arguments.store)
    environment = store.resolve(compared[-1][0]["run"]).environment
    rows = [row(runs) for runs in compared]
    frame = pd.DataFrame(rows)
    frame.insert(0, "row", range(1, len(frame) + 1))
    text = [
        *header(environment, arguments.jobs),
        render(frame, "markdown", decimals=1),
        "",
        *(
            f"{number}. `zslbench {command} --seeds {len(seeds)}`"
            for number, command in enumerate(COMPARED, 1)
        ),
        "",
        "## Ablation (reading `paper`)",
        "",
        f"`zslbench {ABLATION} --seeds {len(seeds)}`",
        "",
        ablation.rstrip(),
        "",
    ]
    write_page("sc_egg_cub2010", text)


def row(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean ± standard deviation over the seeds, and the mean time of a run."""
    frame = pd.DataFrame(runs)
    figures = {
        name: f"{frame[name].mean():.1f} ± {frame[name].std(ddof=1):.1f}"
        if len(frame) > 1
        else frame[name][0]
        for name in ("Acc", "U", "S", "H", "AUSUC", "H_cal")
    }
    return {"method": frame["method"][0], **figures, "seconds": frame["seconds"].mean()}


def header(environment: dict[str, Any], jobs: int) -> list[str]:
    """How the tables were made and on what."""
    git = environment.get("git")
    return [
        "# SC-EGG on CUB2010, on a CPU",
        "",
        "Regenerate with `python -m benchmarks.sc_egg --data-root FOLDER` from the root of a checkout."
        + (f" These figures are of revision {git['revision'][:7]}." if git else ""),
        "",
        "Real data: 6,033 pictures of Caltech-UCSD Birds-200 (2010), 200 classes, 150 seen and 50 unseen as",
        "in CUB, 312 attributes with word vectors; MobileNetV2 features of 49 regions x 1280, or their mean.",
        "The image split is not CUB's: nothing here is comparable with published CUB figures. Per-class",
        "accuracy in %, mean ± standard deviation over seeds, selected on validation.",
        "",
        "sc-egg runs with its preset `cpu` (500 + 300 batches of 16 images in stages 1 and 2, networks of",
        "width 256 and 8 epochs in stage 3), tf-vaegan with a stage 3 of the same size. `seconds` is the",
        "mean over the seeds of a whole run with validation and refit, less the stages that it found",
        f"computed; {jobs} runs at a time on a machine that did other work too, so it is a rough figure.",
        "",
        hardware(environment, "one thread a run"),
        "",
        "## Comparison",
        "",
    ]


if __name__ == "__main__":
    main()
