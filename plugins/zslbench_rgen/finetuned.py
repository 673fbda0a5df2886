"""RGEN on pictures, with a backbone that trains."""

from __future__ import annotations

from zslbench_extractors.finetuned import FineTuned
from zslbench_rgen.rgen import RGENFrozen


class RGEN(FineTuned):
    """:class:`RGENFrozen` on the last maps of a backbone that trains."""

    head_class = RGENFrozen
