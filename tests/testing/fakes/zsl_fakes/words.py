"""What methods say of their settings, sound or not."""

from __future__ import annotations


def no_rows(settings):
    return [3]


def of_eszsl(settings):
    return [("row 1", settings["classifier"]["gamma"])]


def not_of_two(settings):
    if settings["classifier"]["gamma"] == 2:
        raise ValueError("two")
    return []
