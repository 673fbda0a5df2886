"""AREN as published: the backbone trains with it, on pictures."""

from __future__ import annotations

from zslbench_aren.aren import ARENFrozen
from zslbench_extractors.finetuned import FineTuned


class AREN(FineTuned):
    """:class:`ARENFrozen` on the last maps of a backbone that trains."""

    of_regions = ARENFrozen
