"""The suites of the package, a TOML file each."""
