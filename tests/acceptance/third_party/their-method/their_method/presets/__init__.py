"""One TOML file per data set."""
