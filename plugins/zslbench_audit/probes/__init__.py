"""The probes of an audit, in the order in which they are told."""

from __future__ import annotations

from zslbench_audit.probes import arrays, images, labels, process, rows, seed, selection
from zslbench_audit.probes.probe import Leak as Leak, Probe as Probe

PROBES: tuple[Probe, ...] = tuple(
    one.PROBE for one in (images, labels, rows, selection, process, seed, arrays)
)
