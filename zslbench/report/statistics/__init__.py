"""Statistics over seeds and classes: intervals, paired tests, ties."""
