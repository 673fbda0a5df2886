"""The field's data sets in the xlsa17 format, and simulated ones that need no files."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, hookimpl

_XIAN = "Xian et al., Zero-Shot Learning - A Comprehensive Evaluation, TPAMI 2018"

_OFFICIAL = {
    "cub": "200 bird species, 312 attributes",
    "sun": "717 scene categories, 102 attributes",
    "awa1": "50 animal classes, 85 attributes",
    "awa2": "50 animal classes, 85 attributes, freely licensed images",
    "apy": "32 object classes of aPascal and aYahoo, 64 attributes",
    "flo": "102 flower species, 1024-d text embeddings as semantics",
}

_SIMULATED = {
    "sim-cub": "simulated regions of CUB's true size, 11,788 x 196 x 2048; for speed and memory",
    "sim-sun": "simulated regions of SUN's true size, 14,340 x 196 x 2048; for speed and memory",
    "sim-awa2": "simulated regions of AWA2's true size, 37,322 x 196 x 2048; for speed and memory",
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    """The six data sets of Xian et al., ``toy``, and simulated ones of true size."""
    for name, summary in _OFFICIAL.items():
        yield Component(
            kind="dataset",
            name=name,
            target="zslbench_datasets.official:OfficialSource",
            summary=summary,
            paper=_XIAN,
        )
    yield Component(
        kind="dataset",
        name="toy",
        target="zslbench_datasets.toy:ToySource",
        settings="zslbench_datasets.settings:ToySettings",
        summary="20 simulated classes with attributes, generated at once; for trying things out",
    )
    for name, summary in _SIMULATED.items():
        yield Component(
            kind="dataset",
            name=name,
            target="zslbench_datasets.simulated:SimulatedSource",
            settings="zslbench_datasets.settings:SimulatedSettings",
            summary=summary,
        )
