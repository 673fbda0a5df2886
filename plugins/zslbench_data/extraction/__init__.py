"""Extraction of region features from images, with any backbone that a plugin offers."""
