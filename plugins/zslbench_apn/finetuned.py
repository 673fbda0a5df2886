"""APN on pictures, with a backbone that trains, as published."""

from __future__ import annotations

from zslbench_apn.apn import APNFrozen
from zslbench_extractors.finetuned import FineTuned


class APN(FineTuned):
    """:class:`APNFrozen` on the last maps of a backbone that trains."""

    head_class = APNFrozen
