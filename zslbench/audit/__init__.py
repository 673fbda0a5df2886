"""Leak audits: a method is run under probes that would change its result if it saw what it must not see.

``zslbench.audit.run("tf-vaegan")`` gives an :class:`AuditResult`; ``keep``, ``stored``, ``find`` and ``told``
have to do with the audits in a run store. Importing this package imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zslbench.audit.kept import Subject, Told, find, is_current, keep, stored, told
from zslbench.audit.result import LIMITS, AuditResult, ProbeResult

if TYPE_CHECKING:
    from zslbench.audit.auditing import run as run

__all__ = [
    "LIMITS",
    "AuditResult",
    "ProbeResult",
    "Subject",
    "Told",
    "find",
    "is_current",
    "keep",
    "run",
    "stored",
    "told",
]


def __getattr__(name: str) -> Any:
    if name == "run":  # it imports torch
        from zslbench.audit.auditing import run

        return run
    raise AttributeError(f"module 'zslbench.audit' has no attribute {name!r}")
