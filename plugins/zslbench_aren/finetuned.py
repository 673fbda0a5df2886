"""AREN on pictures, with a backbone that trains, as published."""

from __future__ import annotations

from zslbench_aren.aren import ARENFrozen
from zslbench_extractors.finetuned import FineTuned


class AREN(FineTuned):
    """:class:`ARENFrozen` on the last maps of a backbone that trains."""

    head_class = ARENFrozen
