"""A module of settings and explanations that imports something heavy."""

from __future__ import annotations

import h5py

from zslbench import ComponentSettings


class HeavySettings(ComponentSettings):
    size: int = len(h5py.__name__)
    """A size."""


def explain(settings):
    return []
