"""A check of one rule: its name, what it requires, and the error that says who breaks it and how."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from dataclasses import dataclass

from zslbench.plugin.lookup import one_line


class ConformanceError(AssertionError):
    """A component or method breaks a rule; the message names it, the check and the fault."""


class NotApplicable(unittest.SkipTest):
    """There is nothing to check, for example no data on this machine; pytest shows it as skipped."""


class Fault(Exception):
    """What is wrong and what to do, in one line. :class:`Check` adds whose fault it is."""


def require(condition: object, fault: str) -> None:
    """Raise :class:`Fault` unless the condition holds."""
    if not condition:
        raise Fault(fault)


@dataclass(frozen=True)
class Check:
    """One check of one component or method. Call it to run it.

    Raises:
        ConformanceError: a rule is broken.
        NotApplicable: there is nothing to check.
    """

    subject: str
    """What it checks, for example ``generator 'tf-vaegan'``."""
    name: str
    rule: str
    """What it requires, one line."""
    run: Callable[[], None]
    expected_failure: str | None = None
    """Why the author expects it to fail; None: it must pass."""

    def __call__(self) -> None:
        where = f"{self.subject} fails check '{self.name}'"
        try:
            self.run()
        except Fault as fault:
            raise ConformanceError(f"{where}: {fault} (rule: {self.rule})") from None
        except (NotApplicable, KeyboardInterrupt):
            raise
        except Exception as error:
            raise ConformanceError(f"{where}: {one_line(error)} (rule: {self.rule})") from error

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"
