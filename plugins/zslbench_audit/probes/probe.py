"""What a probe is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zslbench_audit.bench import Bench


class Leak(Exception):
    """What broke a probe's claim, in words."""


@dataclass(frozen=True)
class Probe:
    """One way of changing what a method must not see, or must not depend on."""

    name: str
    claim: str
    """What holds where it passes, one sentence."""
    look: Callable[[Bench], str]
    """Says what was compared and seen; raises :class:`Leak` where the claim is broken."""


def few(names: list[str]) -> str:
    """Some of the names, for a message."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
