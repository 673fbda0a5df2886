"""Imports data sets from elsewhere below the data root: checked, written atomically, and recorded."""
