"""Model selection: how the number of epochs and searched hyper-parameters are chosen.

``last``: nothing is chosen; schedule and settings are used as given.
``val``: chosen on the validation fold inside trainval, then refitted on all of trainval. The default.
``oracle``: chosen on the test images, as most published codes do: the epochs of the training and of the final
classifier. Only for comparison with published figures; marked wherever it is shown.
``oracle-scripts``: the same, done exactly as in the published scripts: after every epoch of the training,
with new synthetic features and newly initialised classifiers each time. ``oracle`` evaluates 20 times along
the schedule with the same noise each time, so that only the training makes its figures differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from zslbench.errors import SettingsError, did_you_mean

Mode = Literal["last", "val", "oracle", "oracle-scripts"]
MODES: tuple[Mode, ...] = get_args(Mode)

EXTERNAL = "external"
"""Stands in for a mode if scores were made elsewhere: how their model was selected is unknown."""

EVALUATIONS = 20
"""Evaluations along a schedule by default."""


def uses_test_images(mode: str) -> bool:
    """Whether this selects on test images; such results are marked wherever they are shown."""
    return mode.startswith("oracle")


@dataclass(frozen=True)
class Selection:
    """How a run's numbers are selected; part of the run's identity.

    Args:
        every: epochs between evaluations, 1 or more; None: a twentieth of the schedule, rounded up. Under
            ``oracle-scripts`` it is 1.

    Raises:
        SettingsError: an unknown mode, or a number that the mode does not allow.
    """

    mode: Mode = "val"
    every: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise SettingsError(f"selection '{self.mode}': {did_you_mean(self.mode, MODES)}")
        if self.every is not None and self.every < 1:
            raise SettingsError(f"evaluating every {self.every} epochs: must be 1 or more")
        if self.draws_anew and self.every not in (None, 1):
            raise SettingsError(
                f"evaluating every {self.every} epochs: {self.mode} evaluates after every one; leave it out, "
                "or select oracle"
            )

    @property
    def draws_anew(self) -> bool:
        """Whether every evaluation draws new noise for features and for classifiers' initial weights."""
        return self.mode == "oracle-scripts"

    def step(self, epochs: int) -> int:
        """Epochs between evaluations of a schedule of this length."""
        return 1 if self.draws_anew else self.every or math.ceil(epochs / EVALUATIONS)

    def along(self, epochs: int, last: int | None = None) -> Callable[[int], bool]:
        """Whether to evaluate after an epoch: every ``step`` epochs of the schedule, except the ``last`` one
        trained (None: the schedule's), which always is."""
        return lambda epoch: epoch < (last or epochs) and epoch % self.step(epochs) == 0
