"""Checks the files of a data set and reports everything that is wrong at once."""
