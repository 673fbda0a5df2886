"""Experiments: a recipe is fitted, its model selected, and the run kept; suites are tables of runs."""
