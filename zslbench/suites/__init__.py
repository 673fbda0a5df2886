"""Suites: named tables of methods × data sets × seeds × selections, as TOML files."""
