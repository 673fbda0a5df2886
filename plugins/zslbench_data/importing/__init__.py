"""Imports data sets from elsewhere below the data root: checked, written whole, and recorded."""
