"""Presets for a fake method."""
