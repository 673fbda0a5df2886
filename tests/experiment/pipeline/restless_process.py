"""Run by path in a process of its own, since the type checker of the tests draws from ``random`` itself.

Says, for runs of the plugin that draws from every global generator, which generators moved.
"""
# ruff: noqa: T201 (standard output is how it answers the test)

from __future__ import annotations

import random
import sys
from importlib.metadata import EntryPoint

import numpy as np
import torch

import zslbench
from zslbench.testing.fakes import registry_with, using_registry


def moved(before, after):
    pairs = {
        "torch": torch.equal(before[0], after[0]),
        "numpy": all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True)),
        "random": before[2] == after[2],
    }
    return [name for name, same in pairs.items() if not same]


def state():
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def main(store: str) -> None:
    scripted = EntryPoint("scripted", "zslbench_scripted", "zslbench")
    options = {"dataset": "scripted", "store": store, "device": "cpu", "threads": 1}
    failing = {"embedding": "restless", "generator": "tf-vaegan", "classifier": "softmax"}
    with using_registry(registry_with(scripted)):
        for request in (
            {"method": "restless", "select": "last"},
            {"method": "restless"},
            {"method": "restless", "select": "oracle"},
            failing,
        ):
            for seed in (5, 6):
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                torch.manual_seed(seed)
                before, ended = state(), "finished"
                try:
                    zslbench.run(**request, **options, force=True)
                except zslbench.ZslbenchError:
                    ended = "failed"
                print(ended, *moved(before, state()))
    before = state()
    random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    print("check", *moved(before, state()))


if __name__ == "__main__":
    main(sys.argv[1])
