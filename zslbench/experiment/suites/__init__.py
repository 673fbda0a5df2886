"""Suites: tables of methods × data sets × seeds × selections, from their TOML file to the finished table."""
