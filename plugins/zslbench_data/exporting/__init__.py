"""Data sets in the layouts that other code reads."""
