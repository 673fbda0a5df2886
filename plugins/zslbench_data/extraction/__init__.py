"""Extraction of region features from images, with any backbone that a plugin offers."""

from __future__ import annotations

from zslbench_data.extraction.engine import Extracted, ExtractionOptions, extract

__all__ = ["Extracted", "ExtractionOptions", "extract"]
