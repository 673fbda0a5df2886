"""A small plugin for tests of plots: an embedding that looks at known places, and a generator of blobs."""

from __future__ import annotations

from zslbench import Component, hookimpl


def _component(kind, name, target):
    return Component(kind=kind, name=name, target=f"plot_fakes.parts:{target}", summary="a fake")


@hookimpl
def zslbench_components():
    yield _component("embedding", "looker", "Looker")
    yield _component("embedding", "blind", "Blind")
    yield _component("embedding", "wrong", "Wrong")
    yield _component("embedding", "lost", "Lost")
    yield _component("generator", "blobs", "Blobs")
    yield _component("generator", "codes", "Codes")
