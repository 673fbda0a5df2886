"""RGEN as published: the backbone trains with it, on pictures."""

from __future__ import annotations

from zslbench_extractors.finetuned import FineTuned
from zslbench_extractors.settings import BackboneSettings
from zslbench_rgen.rgen import RGENFrozen
from zslbench_rgen.settings import RGENSettings


class FineTunedRGENSettings(RGENSettings):
    """Settings of RGEN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""


class RGEN(FineTuned):
    """:class:`RGENFrozen` on the last maps of a backbone that trains."""

    of_regions = RGENFrozen
