"""Printed figures of the literature, each with its source."""
