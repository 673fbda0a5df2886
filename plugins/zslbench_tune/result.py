"""The result of a search: its trials, and the preset made of the best one."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zslbench import __version__
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation import METRICS
from zslbench.experiment import Recipe
from zslbench.plugin import KINDS, PROVENANCE, UNTIL, parse_preset
from zslbench.report import percent
from zslbench.store import canonical, write_atomically
from zslbench_tune.space import Space

if TYPE_CHECKING:
    import pandas as pd

    from zslbench_tune.search import Search

_CLOSED_FORM = "closed form"


@dataclass(frozen=True)
class TrialResult:
    """One finished trial."""

    number: int
    state: Literal["done", "pruned", "failed"]
    value: float | None
    """Mean over the validation splits and seeds, a fraction; for a pruned trial the last one reported."""
    epochs: int | None
    """The epoch of the schedule with this value; None: closed form, pruned or failed."""
    settings: Mapping[str, Any]
    seeds: Mapping[int, float]
    """Each seed's mean over the splits."""
    seconds: float | None
    reason: str | None = None
    """Why the trial failed."""
    splits: tuple[float, ...] = ()
    """Each validation split's mean over the seeds, that of the data set first."""

    @property
    def rank(self) -> tuple[int, float, int]:
        """Sorts trials: the highest value first, then pruned and then failed ones."""
        return ("done", "pruned", "failed").index(self.state), -(self.value or 0.0), self.number

    @property
    def figure(self) -> str:
        """The value in percent, with the standard deviation over splits if there are several."""
        spread = "" if math.isnan(self.spread) else f" ± {percent(self.spread):.1f}"
        return f"{percent(self.value):.1f}{spread} %" if self.value is not None else ""

    @property
    def spread(self) -> float:
        """Sample standard deviation over the validation splits, a fraction; NaN: there is only one."""
        return statistics.stdev(self.splits) if len(self.splits) > 1 else math.nan


@dataclass(frozen=True)
class Tuning:
    """A study's finished trials, and the preset with the settings of the best one."""

    study: str
    """The study's name: method, data set and a digest of the search."""
    criterion: str
    """``h`` or ``acc``, on validation images."""
    trials: tuple[TrialResult, ...]
    """By number."""
    best: TrialResult
    preset: Path
    journal: Path
    """The study's file."""
    space: Mapping[str, str]
    validation_splits: int = 1

    @property
    def value_column(self) -> str:
        """The column of :meth:`frame` with the values of trials."""
        return f"val_{METRICS[self.criterion].name}"

    def frame(self) -> pd.DataFrame:
        """One row per trial, best first: ``trial``, ``state``, ``val_H`` or ``val_Acc`` in percent, with
        several splits their standard deviation (``val_H_std``), ``epochs``, the settings, ``seconds``,
        ``reason``."""
        import pandas as pd

        rows = [
            {
                "trial": trial.number,
                "state": trial.state,
                self.value_column: None if trial.value is None else percent(trial.value),
                **({f"{self.value_column}_std": percent(trial.spread)} if self.validation_splits > 1 else {}),
                "epochs": trial.epochs,
                **trial.settings,
                "seconds": trial.seconds,
                "reason": trial.reason,
            }
            for trial in sorted(self.trials, key=lambda trial: trial.rank)
        ]
        return pd.DataFrame(rows).astype({"epochs": "Int64"})


def check_output(path: Path, study: str) -> None:
    """Check that a search may write its preset to ``path``.

    Raises:
        SettingsError: not a ``.toml`` file, or a file that this search did not write.
    """
    if path.suffix != ".toml":
        raise SettingsError(f"{path}: the name of a preset file must end with .toml")
    if not path.exists():
        return
    try:
        provenance = parse_preset(path.read_text("utf-8"), str(path)).provenance or {}
    except (OSError, UnicodeDecodeError, SettingsError):
        provenance = {}
    if provenance.get("study") != study:
        raise SettingsError(f"{path}: exists and is not a preset of this search; choose another file")


def write_preset(path: Path, search: Search, trials: Sequence[TrialResult]) -> TrialResult:
    """Write the settings of the best trial, of equals the first, as a preset with its provenance.

    Returns:
        The best trial.

    Raises:
        ZslbenchError: no trial has a value (gives the reasons), or the file cannot be written.
    """
    best = min(trials, key=lambda trial: trial.rank)
    if best.state != "done":
        reasons = "; ".join(dict.fromkeys(one.reason for one in trials if one.reason)) or "all were pruned"
        raise ZslbenchError(f"search {search.name}: none of {len(trials)} trials has a value: {reasons}")
    recipe = search.job.recipe.with_settings(best.settings)
    recipe = replace(recipe, until=best.epochs)
    text = preset_text(recipe, search.space, _provenance(search, trials, best), search.judged_on)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise ZslbenchError(f"{path}: cannot be written ({error.strerror or error})") from None
    return best


def _provenance(search: Search, trials: Sequence[TrialResult], best: TrialResult) -> dict[str, Any]:
    recipe, data, sampling = search.job.recipe, search.job.data, search.sampling
    states = [trial.state for trial in trials]
    several = len(search.jobs) > 1
    content = {  # without the times
        str(one.number): [
            one.state, dict(one.settings), one.value, one.epochs, list(one.seeds.values()),
            *([list(one.splits)] if several else []),
        ]
        for one in trials
    }  # fmt: skip
    return {
        "study": search.name,
        "method": recipe.method,
        "variant": recipe.variant or "none",
        "reading": recipe.reading.name if recipe.reading else "none",
        "dataset": recipe.parts["dataset"].name,
        "objective": f"{search.metric.name} on {search.judged_on}, mean over {'splits and ' * several}seeds",
        "value": best.value,
        "seeds": list(search.seeds),
        "values": [best.seeds[seed] for seed in search.seeds],
        **({"split_values": list(best.splits)} if several else {}),
        "trial": best.number,
        "trials": len(trials),
        "pruned": states.count("pruned"),
        "failed": states.count("failed"),
        "trials_sha256": hashlib.sha256(canonical(content).encode("ascii")).hexdigest(),
        "journal": search.file.name,
        "sampler": f"{sampling.sampler}, seed {sampling.seed}",
        "pruner": sampling.pruner,
        "longest": recipe.last or _CLOSED_FORM,
        "every": search.job.selection.step(recipe.epochs) if recipe.epochs else _CLOSED_FORM,
        "start": recipe.preset or "defaults",
        "zslbench": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "data": {
            "features": data["features"],
            "semantics": data["semantics"],
            "split": data["split_fingerprint"],
            "validation": data["validation_fingerprint"],
            **({"validation splits": search.fingerprints} if several else {}),
            **{f"sha256 of {one['array']}": one["sha256"] for one in data["arrays"]},
        },
        "space": search.space.as_dict(),
        "plugins": {one.name: one.source for one in recipe.plugins},
    }


def preset_text(recipe: Recipe, space: Space, provenance: Mapping[str, Any], judged_on: str) -> str:
    """A preset as TOML with every setting, so that it depends on no other preset and no default.

    Args:
        judged_on: :attr:`.Search.judged_on`.
    """
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"Found by zslbench tune on {judged_on}; see [provenance]."))
    if recipe.until is not None:
        until = tomlkit.item(recipe.until)
        document.add(UNTIL, until.comment(f"found: the last epoch trained of {recipe.schedule}"))
    for kind in (one for one in KINDS if one != "dataset" and one in recipe.parts):
        values = recipe.parts[kind].values()
        table = tomlkit.table()
        for name in sorted(values, key=lambda name: f"{kind}.{name}" not in space.specs):
            value = tomlkit.item("none" if values[name] is None else values[name])
            if f"{kind}.{name}" in space.specs:
                value.comment("found")
            table.add(tomlkit.key(name.split(".")), value)
        document.add(tomlkit.nl())
        document.add(kind, table)
    document.add(tomlkit.nl())
    document.add(PROVENANCE, tomlkit.item(dict(provenance)))
    return tomlkit.dumps(document)
