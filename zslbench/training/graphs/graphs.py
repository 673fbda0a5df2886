"""Which iterations of a run are captured in graphs, and what became of each stage."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zslbench.errors import ZslbenchError
from zslbench.training.graphs.captured import WARM_UP, Captured
from zslbench.training.graphs.recorder import CudaRecorder, Recorder
from zslbench.training.iteration import Iteration

CAPTURED = "captured"
LEAST = 20
"""Iterations of a pass, over all epochs, from which capturing pays."""
_log = logging.getLogger("zslbench")


@dataclass
class Graphs:
    """The graphs of one run.

    Args:
        required: an iteration that cannot be captured is an error, not a reason to go on without.
        recorder: makes what records a program's iterations.
    """

    required: bool = False
    recorder: Callable[[], Recorder] = CudaRecorder
    stages: dict[str, str] = field(default_factory=dict)
    """By stage ``captured``, or why one of its passes was not."""

    def of_passes(
        self, passes: tuple[Iteration, ...], stage: str, iterations: int
    ) -> tuple[Iteration | Captured, ...]:
        """The passes of a program, captured once they are warm.

        Args:
            iterations: of each pass, over all epochs.
        """
        if iterations < WARM_UP + LEAST:
            self.stages.setdefault(stage, f"too short: {iterations} iterations of each pass")
            return passes
        recorder = self.recorder()
        return tuple(
            Captured(one, recorder, partial(self._failed, stage, number), partial(self._succeeded, stage))
            for number, one in enumerate(passes)
        )

    def describe(self) -> dict[str, Any]:
        """What a run's record says of them."""
        return {"required": self.required, "stages": dict(self.stages)}

    def _succeeded(self, stage: str) -> None:
        self.stages.setdefault(stage, CAPTURED)

    def _failed(self, stage: str, number: int, reason: str) -> None:
        if self.required:
            raise ZslbenchError(
                f"stage '{stage}': pass {number + 1} cannot be captured in a CUDA graph ({reason}); "
                "use --graphs auto or off"
            )
        if self.stages.get(stage, CAPTURED) == CAPTURED:
            _log.info("%s: computed without a CUDA graph: %s", stage, reason)
            self.stages[stage] = f"pass {number + 1}: {reason}"
