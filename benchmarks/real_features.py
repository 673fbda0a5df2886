"""Methods on FLO, AWA1 and CUB2010, on a CPU. Writes benchmarks/results/real_features.md.

    python -m benchmarks.real_features --data-root FOLDER

Every row is one ``zslbench run`` command, printed below the table; runs that the store holds are not
repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.common import environment, hardware, numbered_table, run, run_parser, write_page
from zslbench.evaluation import METRICS


@dataclass(frozen=True)
class DataSet:
    """A data set of this benchmark and what runs on it."""

    name: str
    features: str
    lam: float
    """λ of the ESZSL rows with fixed regularisers."""
    about: str
    tf_vaegan: str
    """Options of tf-vaegan; short enough for two cores."""

    def commands(self) -> list[str]:
        """The commands of the rows, without the program's name."""
        data = f"--dataset {self.name} --features {self.features}"
        fixed = f"--select last --set classifier.gamma=1 --set classifier.lam={self.lam}"
        return [
            f"run eszsl {data} {fixed} --set classifier.coding=pm1",
            f"run eszsl {data} {fixed} --set classifier.coding=01",
            f"run eszsl {data}",
            f"run tf-vaegan {data} {self.tf_vaegan}",
        ]


DATASETS = (
    DataSet(
        "flo",
        "mobilenet_v2_64px",
        0.01,
        "FLO: all 8,189 images, official split; MobileNetV2 features of 64 x 64 pixel copies, 1,280-d",
        "--preset cpu --epochs 6 --every 3",
    ),
    DataSet(
        "awa1",
        "bow_pca512",
        0.1,
        "AWA1: all 30,475 images, official split; hand-made features (bag of words, PCA), 512-d",
        "--preset cpu --epochs 2 --every 1",
    ),
    DataSet(
        "cub2010",
        "mobilenet_v2",
        0.1,
        "CUB2010: 6,033 images of Caltech-UCSD Birds-200 (2010), CUB's 312 attributes; MobileNetV2 features, "
        "1,280-d; its split is not the official one, so it is not comparable with published CUB figures",
        "--preset cpu --epochs 6 --every 3",
    ),
)
ABOUT = """\
Regenerate with `python -m benchmarks.real_features --data-root FOLDER`. Rows with `last` have fixed
regularisers or schedules; the others are selected on validation. tf-vaegan runs with narrower layers and
shorter schedules than its authors', as each command shows; `seconds` is the whole run, validation and refit
included, on a machine that may have done other work: a rough figure."""


def main() -> None:
    """Run everything and write the tables."""
    parser = run_parser(__doc__, "FLO, AWA1 and CUB2010")
    parser.add_argument("--dataset", action="append", help="only this data set; repeatable")
    parser.add_argument("--threads", default="1", help="CPU threads (default 1)")
    arguments = parser.parse_args()
    sections: list[str] = []
    recorded: dict[str, Any] = {}
    columns = ["method", "selection", *(metric.name for metric in METRICS.values()), "epochs", "seconds"]
    for data in DATASETS:
        if arguments.dataset and data.name not in arguments.dataset:
            continue
        runs = [run(command, arguments, arguments.threads)[0] for command in data.commands()]
        recorded = environment(arguments, runs[-1])
        rows = [{name: row.get(name) for name in columns} for row in runs]
        sections += [
            f"## {data.name}",
            f"{data.about}. Real data, one seed, per-class accuracy in %.",
            numbered_table(rows, data.commands()),
        ]
    machine = hardware(recorded, f"torch on {arguments.threads}")
    write_page("real_features", "Methods on real features, on a CPU", ABOUT, machine, *sections)


if __name__ == "__main__":
    main()
