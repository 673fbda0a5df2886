"""Predictions of kept runs on new images and new classes."""
