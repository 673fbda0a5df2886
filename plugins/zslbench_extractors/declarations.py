"""Declares an embedding of regions and its method once more, on pictures with a backbone that trains."""

from __future__ import annotations

from dataclasses import replace

from zslbench.plugin import Component, Method, Range

FROZEN = "-frozen"
"""Ends the names of embeddings and methods on frozen regions."""


def fine_tuned_component(frozen: Component, *, target: str, settings: str) -> Component:
    """The embedding whose ``head_class`` is that of ``frozen``.

    Args:
        target: the subclass of :class:`~zslbench_extractors.finetuned.FineTuned`; settings: its model.
    """
    name, summary = frozen.name.removesuffix(FROZEN), f"{frozen.summary} (on pictures)"
    return replace(frozen, name=name, target=target, settings=settings, summary=summary)


def fine_tuned_method(frozen: Method, *, presets: str) -> Method:
    """The method on pictures, with presets of its own and the backbone's learning rate among what to tune."""
    summary = frozen.summary.removesuffix(" (frozen backbone)")
    return replace(
        frozen,
        name=frozen.name.removesuffix(FROZEN),
        embedding=frozen.embedding.removesuffix(FROZEN),
        summary=f"{summary} (the backbone trains too)",
        presets=presets,
        tunable={**frozen.tunable, "embedding.backbone.lr": Range(1e-6, 1e-2, log=True)},
    )
