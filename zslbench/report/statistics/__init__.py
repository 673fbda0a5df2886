"""What can be said of runs over seeds and classes: intervals, paired tests, ties."""
