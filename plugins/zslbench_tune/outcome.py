"""What a search came to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.report.results import percent
from zslbench.store.identity import canonical
from zslbench_tune import study
from zslbench_tune.space import Space

if TYPE_CHECKING:
    import pandas as pd

    from zslbench_tune.optuna import FrozenTrial


@dataclass(frozen=True)
class TrialRow:
    """One finished trial."""

    number: int
    state: str
    """``done``, ``pruned`` or ``failed``."""
    value: float | None
    """Mean over the seeds on the validation split, a fraction; of a pruned trial the last that was seen."""
    epochs: int | None
    """The schedule's length that has it; None: closed form, pruned or failed."""
    settings: Mapping[str, Any]
    seeds: Mapping[int, float]
    seconds: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Tuning:
    """A study's finished trials and the preset that the best one became."""

    study: str
    """The study's name: method, data set and a digest of what was searched."""
    criterion: str
    """``h`` or ``acc``, on the validation split."""
    trials: tuple[TrialRow, ...]
    """By number."""
    best: TrialRow
    preset: Path
    journal: Path
    space: Mapping[str, str]

    def frame(self) -> pd.DataFrame:
        """One row per trial, best first: ``trial``, ``state``, ``val_H`` or ``val_Acc`` in percent,
        ``epochs``, the settings, ``seconds``, ``reason``."""
        import pandas as pd

        figure = {"h": "val_H", "acc": "val_Acc"}[self.criterion]
        rows = [
            {
                "trial": one.number,
                "state": one.state,
                figure: None if one.value is None else percent(one.value),
                "epochs": one.epochs,
                **one.settings,
                "seconds": one.seconds,
                "reason": one.reason,
            }
            for one in ranked(self.trials)
        ]
        frame = pd.DataFrame(rows)
        frame["epochs"] = frame["epochs"].astype("Int64")
        return frame


def rows_of(trials: Sequence[FrozenTrial], space: Space) -> list[TrialRow]:
    """The finished trials of a study, by number."""
    from zslbench_tune.optuna import TrialState

    states = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    return [
        TrialRow(
            number=one.number,
            state=states[one.state],
            value=one.values[0] if one.values else None,
            epochs=one.user_attrs.get(study.EPOCHS),
            settings=space.values(one.params),
            seeds={int(seed): value for seed, value in one.user_attrs.get(study.SEEDS, {}).items()},
            seconds=one.user_attrs.get(study.SECONDS),
            reason=one.user_attrs.get(study.REASON),
        )
        for one in study.finished(trials)
    ]


def ranked(trials: Sequence[TrialRow]) -> list[TrialRow]:
    """Best first; then pruned ones, then failed ones."""
    order = {"done": 0, "pruned": 1, "failed": 2}
    return sorted(trials, key=lambda one: (order[one.state], -(one.value or 0.0), one.number))


def digest(trials: Sequence[TrialRow]) -> str:
    """sha256 of all that the trials tried and found: the journal's content without times and retries."""
    content = {
        str(one.number): [one.state, dict(one.settings), one.value, one.epochs, list(one.seeds.values())]
        for one in trials
    }
    return hashlib.sha256(canonical(content).encode("ascii")).hexdigest()
