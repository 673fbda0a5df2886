"""AREN as published: the backbone trains with it, on pictures."""

from __future__ import annotations

from zslbench_aren.aren import ARENFrozen
from zslbench_aren.settings import ARENSettings
from zslbench_extractors.finetuned import FineTuned
from zslbench_extractors.settings import BackboneSettings


class FineTunedARENSettings(ARENSettings):
    """Settings of AREN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""


class AREN(FineTuned):
    """:class:`ARENFrozen` on the last maps of a backbone that trains."""

    of_regions = ARENFrozen
