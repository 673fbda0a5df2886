"""Suites: tables of methods × data sets × seeds × selections, described by TOML files."""
