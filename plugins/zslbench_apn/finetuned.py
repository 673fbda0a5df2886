"""APN as published: the backbone trains with it, on pictures."""

from __future__ import annotations

from zslbench_apn.apn import APNFrozen
from zslbench_extractors.finetuned import FineTuned


class APN(FineTuned):
    """:class:`APNFrozen` on the last maps of a backbone that trains."""

    of_regions = APNFrozen
