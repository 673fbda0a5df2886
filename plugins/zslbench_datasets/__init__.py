"""The field's data sets in the xlsa17 format, and simulated ones that need no files."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, hookimpl

_XIAN = "Xian et al., Zero-Shot Learning - A Comprehensive Evaluation, TPAMI 2018"

OFFICIAL = {
    "cub": "200 bird species, 312 attributes",
    "sun": "717 scene categories, 102 attributes",
    "awa1": "50 animal classes, 85 attributes",
    "awa2": "50 animal classes, 85 attributes, freely licensed images",
    "apy": "32 object classes of aPascal and aYahoo, 64 attributes",
    "flo": "102 flower species, 1024-d text embeddings as semantics",
}

_SIMULATED = {
    "toy": "20 simulated classes with attributes, generated when used; for trying things out",
    "sim-cub": "simulated regions of CUB's true size, 11,788 x 196 x 2048; for speed and memory",
    "sim-sun": "simulated regions of SUN's true size, 14,340 x 196 x 2048; for speed and memory",
    "sim-awa2": "simulated regions of AWA2's true size, 37,322 x 196 x 2048; for speed and memory",
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    """The six data sets of Xian et al., ``toy``, and simulated ones of true size."""
    official = "zslbench_datasets.official:OfficialSource"
    for name, summary in OFFICIAL.items():
        yield Component(
            kind="dataset", name=name, target=official, summary=summary, paper=_XIAN, folder=name.upper()
        )
    for name, summary in _SIMULATED.items():
        module, prefix = ("toy", "Toy") if name == "toy" else ("simulated", "Simulated")
        yield Component(
            kind="dataset",
            name=name,
            target=f"zslbench_datasets.{module}:{prefix}Source",
            settings=f"zslbench_datasets.settings:{prefix}Settings",
            summary=summary,
        )
