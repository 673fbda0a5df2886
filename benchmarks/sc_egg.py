"""SC-EGG on 6,033 real bird images, on a CPU: comparison, ablation and both readings over three seeds.

    python -m benchmarks.sc_egg --data-root FOLDER [--jobs 2]

Writes benchmarks/results/sc_egg_cub2010.md. Every row is a ``zslbench run`` command. Runs that the store
holds are not repeated and interrupted ones are resumed, so the benchmark can be stopped at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd

from benchmarks.common import environment, hardware, numbered_table, output, run, run_parser, write_page

DATA = "--dataset cub2010 --features mobilenet_v2"
SC_EGG = f"run sc-egg {DATA} --preset cpu --every 4"
BASELINE = f"{SC_EGG} --variant baseline"
AUTHORS = f"{SC_EGG} --reading authors"
ESZSL = f"run eszsl {DATA}"
TF_VAEGAN = f"run tf-vaegan {DATA} --preset benchmarks/presets/cpu_gan.toml --every 4"
COMPARED = (ESZSL, TF_VAEGAN, BASELINE, SC_EGG, AUTHORS)
ABLATION = f"ablate sc-egg {DATA} --preset cpu --every 4"

# Runs that share stages are in one group, so that one process computes these and the others find them.
GROUPS = (
    (SC_EGG, f"{SC_EGG} --variant no-scr", f"{SC_EGG} --variant no-egs"),
    (f"{SC_EGG} --variant no-lce",),
    (f"{SC_EGG} --variant no-gce",),
    (AUTHORS,),
    (BASELINE, TF_VAEGAN, ESZSL),
)


def main() -> None:
    """Run everything and write the tables."""
    parser = run_parser(__doc__, "CUB2010")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread (default 2)")
    arguments = parser.parse_args()

    def compute(task: tuple[int, tuple[str, ...]]) -> None:
        seed, commands = task
        for command in commands:
            output(f"{command} --seed {seed}", arguments)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(compute, [(seed, group) for seed in range(arguments.seeds) for group in GROUPS]))
    *compared, ablation = (f"{command} --seeds {arguments.seeds}" for command in (*COMPARED, ABLATION))
    found = [run(command, arguments) for command in compared]
    recorded = environment(arguments, found[-1][0])
    revision = recorded["git"]["revision"][:7] if recorded.get("git") else "unknown"
    write_page(
        "sc_egg_cub2010",
        "SC-EGG on CUB2010, on a CPU",
        "Regenerate with `python -m benchmarks.sc_egg --data-root FOLDER` from the root of a checkout.\n"
        f"These figures were measured at revision {revision}.",
        ABOUT,
        hardware(recorded, "one thread per run"),
        "## Comparison",
        numbered_table([summary(runs) for runs in found], compared),
        "## Ablation (reading `paper`)",
        f"`zslbench {ablation}`",
        output(ablation, arguments, "markdown"),
    )


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean ± standard deviation over the seeds, and the mean time of a run."""
    frame = pd.DataFrame(runs)
    figures: dict[str, Any] = {"method": frame["method"][0]}
    for name in ("Acc", "U", "S", "H", "AUSUC", "H_cal"):
        spread = f" ± {frame[name].std():.1f}" if len(frame) > 1 else ""
        figures[name] = f"{frame[name].mean():.1f}{spread}"
    return {**figures, "seconds": frame["seconds"].mean()}


ABOUT = """\
Real data: 6,033 pictures of Caltech-UCSD Birds-200 (2010), 200 classes, 150 seen and 50 unseen as in CUB,
312 attributes with word vectors; MobileNetV2 features of 49 regions x 1280, or their mean. The image split
is not CUB's, so nothing here is comparable with published CUB figures. Per-class accuracy in %, mean ±
standard deviation over seeds, selected on validation.

sc-egg runs with its preset `cpu` (500 + 300 batches of 16 images in stages 1 and 2, networks of width 256
and 8 epochs in stage 3), tf-vaegan with a stage 3 of the same size. `seconds` is the mean over the seeds of
a whole run with validation and refit, without the stages that it found computed, on a machine that may have
done other work: a rough figure."""


if __name__ == "__main__":
    main()
