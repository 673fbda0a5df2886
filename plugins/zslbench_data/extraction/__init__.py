"""Pictures to region features: ``zslbench data extract``.

``images`` says which pictures and where they lie, ``decode`` turns a file into pixels, ``loading`` does so in
several processes, ``plan`` says what is computed, ``resumable`` writes a store that can be taken up again,
``writing`` does so beside the computing, and ``engine`` puts them together. Backbones are plugins of kind
``extractor``.
"""

from __future__ import annotations

from zslbench_data.extraction.engine import Extracted, extract
from zslbench_data.extraction.plan import Wanted

__all__ = ["Extracted", "Wanted", "extract"]
