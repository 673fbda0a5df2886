"""Trackers: what follows runs while they are computed, such as TensorBoard. Public; imports no torch.

A plugin registers them with the hook ``zslbench_trackers``; ``--track NAME[=WHERE]`` asks for one.
"""

from __future__ import annotations

from zslbench.store.record import RunInfo, RunRecord
from zslbench.tracking.facts import final_figures, last_evaluations, parameters, run_title, tags
from zslbench.tracking.interface import RunTracker

__all__ = [
    "RunInfo",
    "RunRecord",
    "RunTracker",
    "final_figures",
    "last_evaluations",
    "parameters",
    "run_title",
    "tags",
]
