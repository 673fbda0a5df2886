"""Leak probes: runs of a method under which a method that sees test data would show it."""
