"""SCEN's attention with the local features h formed or not. Writes benchmarks/results/orders.md.

python -m benchmarks.orders [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zslbench.plugin.interfaces import Streams
from zslbench.report.formats import render
from zslbench_sc_egg import orders
from zslbench_sc_egg.networks import initial_gen, initial_len

RESULTS = Path(__file__).parent / "results"
SIZES = (
    ("SUN, 14 x 14 x 2048", 196, 102, 2048),
    ("CUB, 14 x 14 x 2048", 196, 312, 2048),
    ("AWA2, 14 x 14 x 2048", 196, 85, 2048),
    ("CUB, 7 x 7 x 1280", 49, 312, 1280),
)


def step(r: torch.Tensor, attributes: int, composition: Any, order: Any) -> Callable[[], Any]:
    """A function that computes e_l and g of the batch and the gradient of all of LEN and SC."""
    streams, dv = Streams(0), r.shape[2]
    v = torch.randn(attributes, 300, generator=torch.Generator().manual_seed(0))
    nets = initial_len(streams, v, dv, 0.01, 0.01) | initial_gen(streams, attributes, dv, 10, mean=True)

    def loss(nets: Any) -> torch.Tensor:
        w = orders.weights(nets["vectors"]["v"], nets["attention"]["w_alpha"], nets["projection"]["w_beta"])
        found = orders.local(r, w, nets["sc"], composition, order)
        return found.e.square().mean() + found.g.square().mean()

    gradient = torch.func.grad(loss)
    return lambda: gradient(nets)


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16, help="images (default 16)")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for name, regions, attributes, dv in SIZES:
        r = torch.rand(arguments.batch, regions, dv, generator=torch.Generator().manual_seed(1))
        for composition in ("mlp", "mean"):
            times = {
                order: seconds(step(r, attributes, composition, order), arguments.repeats)
                for order in ("literal", "maps")
            }
            rows.append(
                {
                    "size": name,
                    "SC": composition,
                    "literal, ms": 1000 * times["literal"],
                    "without h, ms": 1000 * times["maps"],
                    "ratio": times["literal"] / times["maps"],
                    "rule takes": {"literal": "literal", "maps": "without h"}[
                        orders.cheapest(regions, attributes, dv, composition)  # type: ignore[arg-type]
                    ],
                }
            )
    RESULTS.mkdir(exist_ok=True)
    text = [
        "# Orders of SCEN's attention",
        "",
        "Regenerate with `python -m benchmarks.orders`. Random region features, "
        f"{arguments.batch} images; medians of {arguments.repeats} steps,",
        "forward and backward, of both orders in one run. `ratio` is literal over without h.",
        "",
        render(rows, "markdown", decimals=2),
        "",
        f"Hardware: {processor()}, {arguments.threads} thread(s), no GPU, on a machine that did other work "
        f"too; torch {torch.__version__}.",
        "",
    ]
    (RESULTS / "orders.md").write_text("\n".join(text), "utf-8")


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


if __name__ == "__main__":
    main()
