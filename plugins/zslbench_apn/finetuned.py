"""APN as published: the backbone trains with it, on pictures."""

from __future__ import annotations

from zslbench_apn.apn import APNFrozen
from zslbench_apn.settings import APNSettings
from zslbench_extractors.finetuned import FineTuned
from zslbench_extractors.settings import BackboneSettings


class FineTunedAPNSettings(APNSettings):
    """Settings of APN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""


class APN(FineTuned):
    """:class:`APNFrozen` on the last maps of a backbone that trains."""

    of_regions = APNFrozen
