"""ESZSL (Romera-Paredes & Torr, ICML 2015): the smallest example of a method plugin."""

from zslbench import Component, Method, Options, Range, hookimpl

RIDGES, CODINGS = (0.01, 0.1, 1.0, 10.0, 100.0), ("pm1", "01")
TUNED = Range(1e-3, 1e3, log=True)  # the reported grids span 10^-3 to 10^3


@hookimpl
def zslbench_components() -> list[Component]:
    return [Component(
        kind="classifier", name="eszsl", target="zslbench_eszsl.eszsl:ESZSL",
        settings="zslbench_eszsl.settings:ESZSLSettings", summary="Closed-form bilinear compatibility",
    )]  # fmt: skip


@hookimpl
def zslbench_methods() -> list[Method]:
    return [Method(
        name="eszsl", embedding="identity", classifier="eszsl", group="embedding",
        summary="Closed-form bilinear compatibility", paper="Romera-Paredes & Torr, ICML 2015",
        settings={"embedding.normalize": "l2"},
        search={"classifier.gamma": RIDGES, "classifier.lam": RIDGES, "classifier.coding": CODINGS},
        tunable={"classifier.gamma": TUNED, "classifier.lam": TUNED, "classifier.coding": Options(CODINGS)},
    )]  # fmt: skip
