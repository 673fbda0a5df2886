"""DAP, SAE, ALE, DeViSE and SJE: the classical methods on pooled features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zslbench import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPERS = {
    "dap": "Lampert et al., CVPR 2009",
    "sae": "Kodirov et al., CVPR 2017",
    "ale": "Akata et al., TPAMI 2016",
    "devise": "Frome et al., NIPS 2013",
    "sje": "Akata et al., CVPR 2015",
}
SUMMARIES = {
    "dap": "A logistic regression for each attribute; a class is as likely as its attributes",
    "sae": "A linear map to the semantics whose transpose maps back",
    "ale": "Bilinear compatibility, trained with a loss weighted by the approximate rank of the true class",
    "devise": "Bilinear compatibility trained on the first class that violates the margin",
    "sje": "Bilinear compatibility trained on the most violating class",
}
TARGETS = {
    "dap": "dap:DAP",
    "sae": "sae:SAE",
    "ale": "ranking:ALE",
    "devise": "ranking:DeViSE",
    "sje": "ranking:SJE",
}

# Around the values that the code's validation found (presets/); the widths of the ranges are ours.
RANKED: dict[str, Range | Options] = {
    "classifier.lr": Range(1e-3, 3.0, log=True),
    "embedding.normalize": Options(("l2", "standard", "none")),
}
TUNABLE: Mapping[str, Mapping[str, Range | Options]] = {
    "dap": {"classifier.c": Range(0.1, 1e4, log=True)},
    "sae": {"classifier.lam": Range(0.01, 1e3, log=True)},
    "ale": RANKED,
    "devise": RANKED | {"classifier.margin": Range(0.5, 200.0, log=True)},
    "sje": RANKED | {"classifier.margin": Range(0.5, 10.0)},
}
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "dap": {"embedding.normalize": "l2"},
    "sae": {"embedding.normalize": "l2"},
    "ale": {"embedding.normalize": "l2"},
    "devise": {"embedding.normalize": "l2"},
    "sje": {"embedding.normalize": "l2"},
}
# Where no preset has them; decades around LIBLINEAR's default, and the code's range of λ.
SEARCH: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "dap": {"classifier.c": (1.0, 10.0, 100.0, 1000.0)},
    "sae": {"classifier.lam": (0.05, 0.5, 5.0, 50.0, 500.0)},
}
READINGS = {
    "devise": (
        Reading(
            name="code",
            summary="classes are tried in the order of their ids, as in the code that the presets come from",
            settings={"classifier.order": "ids"},
        ),
        Reading(
            name="paper",
            summary="classes are tried in a new random order for each image",
            settings={"classifier.order": "random"},
        ),
    ),
    "sje": (
        Reading(
            name="code",
            summary="xᵀW is standardised to find ŷ, as in the code that the presets come from",
            settings={"classifier.standardize": True},
        ),
        Reading(
            name="paper",
            summary="as printed: ŷ by the compatibility itself",
            settings={"classifier.standardize": False},
        ),
    ),
    "sae": (
        Reading(
            name="code",
            summary="rows of W are scaled to unit length",
            settings={"classifier.unit_rows": True},
        ),
        Reading(name="paper", summary="as printed: W as solved", settings={"classifier.unit_rows": False}),
    ),
}  # fmt: skip
VARIANTS = {
    "sae": (
        Variant(
            name="features",
            summary="images and classes are compared in feature space",
            settings={"classifier.compare": "features"},
        ),
    )
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    for name, summary in SUMMARIES.items():
        model = TARGETS[name].partition(":")[2]
        yield Component(
            kind="classifier",
            name=name,
            target=f"zslbench_classics.{TARGETS[name]}",
            settings=f"zslbench_classics.settings:{model}Settings",
            summary=summary,
            paper=PAPERS[name],
        )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    for name, summary in SUMMARIES.items():
        yield Method(
            name=name,
            embedding="identity",
            classifier=name,
            group="embedding",
            summary=summary,
            paper=PAPERS[name],
            settings=SETTINGS[name],
            presets=None if name == "dap" else f"zslbench_classics.presets.{name}",
            search=SEARCH.get(name, {}),
            readings=READINGS.get(name, ()),
            variants=VARIANTS.get(name, ()),
            tunable=TUNABLE[name],
        )
