"""Word vectors of attributes."""
