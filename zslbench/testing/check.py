"""A check: a name, a subject, and what happens where the subject does not keep the contract."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zslbench.errors import UnknownName, did_you_mean


class ConformanceError(AssertionError):
    """A component or method breaks its contract; the message names it, the check and the fault."""


class NotApplicable(unittest.SkipTest):
    """The check has nothing to look at, as data that is not on this machine; pytest shows it as skipped."""


class Fault(Exception):
    """What is wrong, in one line. :class:`Check` adds whose fault it is."""


@dataclass(frozen=True)
class Check:
    """One check of one component or method. Calling it runs it.

    Raises:
        ConformanceError: the contract is broken.
        NotApplicable: there is nothing to check.
    """

    subject: str
    """Whom it looks at, as ``generator 'tf-vaegan'``."""
    name: str
    demand: str
    """What is asked for, one line."""
    run: Callable[[], None]
    expected_failure: str | None = None
    """Why the author expects this check to fail; None: it must pass."""

    def __call__(self) -> None:
        where = f"{self.subject} fails check '{self.name}'"
        try:
            self.run()
        except Fault as fault:
            raise ConformanceError(f"{where}: {fault} (asked for: {self.demand})") from None
        except (NotApplicable, KeyboardInterrupt):
            raise
        except Exception as error:
            raise ConformanceError(f"{where}: {said(error)} (asked for: {self.demand})") from error

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"


def said(error: BaseException) -> str:
    """``"ValueError: what it says"``, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def with_expected_failures(checks: Sequence[Check], expected: Mapping[str, str]) -> tuple[Check, ...]:
    """The checks, those named in ``expected`` marked with the reason given there.

    Raises:
        UnknownName: a name that none of the checks has.
    """
    known = [check.name for check in checks]
    for name in expected:
        if name not in known:
            raise UnknownName(f"expected_failures: no check '{name}', {did_you_mean(name, known)}")
    return tuple(Check(one.subject, one.name, one.demand, one.run, expected.get(one.name)) for one in checks)


def run_all(checks: Iterable[Check]) -> None:
    """Run every check, then report all faults at once.

    Raises:
        ConformanceError: lists the checks that fail, and those that were expected to fail but pass.
    """
    faults = []
    number = 0
    for number, check in enumerate(checks, 1):  # noqa: B007
        try:
            check()
        except NotApplicable:
            continue
        except ConformanceError as error:
            if check.expected_failure is None:
                faults.append(str(error))
        else:
            if check.expected_failure is not None:
                faults.append(
                    f"{check.subject} passes check '{check.name}', which expected_failures lists "
                    f"({check.expected_failure}); take it out of that list"
                )
    if faults:
        raise ConformanceError(f"{len(faults)} of {number} checks: " + "\n".join(faults))


def parametrize_with_checks(checks: Iterable[Check]) -> Any:
    """A pytest decorator: the test's argument ``check`` becomes each of the checks in turn.

    Expected failures become strict ``xfail`` marks, so that one which passes is reported.
    """
    import pytest  # only authors' tests need it

    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check,
                id=f"{check.subject.replace(' ', '-').replace(chr(39), '')}-{check.name}",
                marks=()
                if check.expected_failure is None
                else pytest.mark.xfail(reason=check.expected_failure, strict=True, raises=ConformanceError),
            )
            for check in checks
        ],
    )
