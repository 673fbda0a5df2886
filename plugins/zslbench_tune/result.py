"""What a search found: its trials, and the preset that the best of them becomes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench import __version__
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation import METRICS
from zslbench.experiment import Recipe
from zslbench.plugin import KINDS, PROVENANCE, parse_preset
from zslbench.report import percent
from zslbench.store import canonical, write_whole
from zslbench_tune.space import Space

if TYPE_CHECKING:
    import pandas as pd
    from optuna.trial import FrozenTrial

    from zslbench_tune.plan import Plan
    from zslbench_tune.study import Sampling

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CLOSED_FORM = "closed form"


@dataclass(frozen=True)
class TrialRow:
    """One finished trial."""

    number: int
    state: str
    """``done``, ``pruned`` or ``failed``."""
    value: float | None
    """Mean over the seeds on the validation split, a fraction; of a pruned trial the last one reported."""
    epochs: int | None
    """The length of the schedule with this value; None: closed form, pruned or failed."""
    settings: Mapping[str, Any]
    seeds: Mapping[int, float]
    seconds: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Tuning:
    """A study's finished trials and the preset that holds the best one's settings."""

    study: str
    """The study's name: method, data set and a digest of what was searched."""
    criterion: str
    """``h`` or ``acc``, on the validation split."""
    trials: tuple[TrialRow, ...]
    """By number."""
    best: TrialRow
    preset: Path
    journal: Path
    """The study's file."""
    space: Mapping[str, str]

    def frame(self) -> pd.DataFrame:
        """One row per trial, best first: ``trial``, ``state``, ``val_H`` or ``val_Acc`` in percent,
        ``epochs``, the settings, ``seconds``, ``reason``."""
        import pandas as pd

        figure = f"val_{METRICS[self.criterion].name}"
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
    from optuna.trial import TrialState

    from zslbench_tune import study

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
        for one in trials
    ]


def ranked(trials: Sequence[TrialRow]) -> list[TrialRow]:
    """Best first; then pruned ones, then failed ones."""
    order = {"done": 0, "pruned": 1, "failed": 2}
    return sorted(trials, key=lambda one: (order[one.state], -(one.value or 0.0), one.number))


def digest(trials: Sequence[TrialRow]) -> str:
    """sha256 of the settings and results of all trials, without times and retries."""
    content = {
        str(one.number): [one.state, dict(one.settings), one.value, one.epochs, list(one.seeds.values())]
        for one in trials
    }
    return hashlib.sha256(canonical(content).encode("ascii")).hexdigest()


def best_row(rows: Sequence[TrialRow], name: str) -> TrialRow:
    """The trial with the highest value, the first of equals.

    Raises:
        ZslbenchError: no trial of the search ``name`` has a value; says why.
    """
    best = ranked(rows)[0]
    if best.state != "done":
        reasons = "; ".join(dict.fromkeys(one.reason for one in rows if one.reason)) or "all were pruned"
        raise ZslbenchError(f"search {name}: none of {len(rows)} trials has a value: {reasons}")
    return best


def check_output(path: Path, study: str) -> None:
    """Whether a search may write its preset there.

    Raises:
        SettingsError: not a ``.toml`` file, or a file that this search did not write.
    """
    if path.suffix != ".toml":
        raise SettingsError(f"{path}: a preset's name ends with .toml")
    if not path.exists():
        return
    try:
        known = parse_preset(path.read_text("utf-8"), str(path)).provenance or {}
    except (OSError, UnicodeDecodeError, SettingsError):
        known = {}
    if known.get("study") != study:
        raise SettingsError(f"{path}: exists and is not a preset of this search; name another file")


def write_preset(
    path: Path, plan: Plan, sampling: Sampling, rows: Sequence[TrialRow], best: TrialRow
) -> None:
    """Write the best trial's settings as a preset, with how they were found.

    Raises:
        ZslbenchError: it cannot be written.
    """
    recipe = plan.recipe.with_settings(best.settings)
    if best.epochs is not None and recipe.schedule is not None:
        recipe = recipe.with_settings({recipe.schedule: best.epochs})
    text = preset_text(recipe, plan.space, _provenance(plan, sampling, rows, best))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        raise ZslbenchError(f"{path}: cannot be written ({error.strerror or error})") from None


def _provenance(plan: Plan, sampling: Sampling, rows: Sequence[TrialRow], best: TrialRow) -> dict[str, Any]:
    """What a preset records of the search that found it."""
    recipe, data = plan.recipe, plan.objective.data
    states = [one.state for one in rows]
    return {
        "study": plan.name,
        "method": recipe.method,
        "variant": recipe.variant or "none",
        "reading": recipe.reading.name if recipe.reading else "none",
        "dataset": recipe.parts["dataset"].name,
        "objective": f"{METRICS[plan.criterion].name} on the validation split, mean over seeds",
        "value": best.value,
        "seeds": list(plan.objective.seeds),
        "values": [best.seeds[seed] for seed in plan.objective.seeds],
        "trial": best.number,
        "trials": len(rows),
        "pruned": states.count("pruned"),
        "failed": states.count("failed"),
        "trials_sha256": digest(rows),
        "journal": plan.file.name,
        "sampler": f"{sampling.sampler}, seed {sampling.seed}",
        "pruner": sampling.pruner,
        "longest": recipe.epochs or _CLOSED_FORM,
        "every": plan.objective.selection.step(recipe.epochs) if recipe.epochs else _CLOSED_FORM,
        "start": recipe.preset or "defaults",
        "zslbench": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "data": {
            "features": data["features"],
            "semantics": data["semantics"],
            "split": data["split_fingerprint"],
            "validation": data["validation_fingerprint"],
            **{f"sha256 of {one['array']}": one["sha256"] for one in data["arrays"]},
        },
        "space": plan.space.as_dict(),
        "plugins": {one.name: f"{one.version} {one.source_digest()}".strip() for one in recipe.plugins},
    }


def preset_text(recipe: Recipe, space: Space, provenance: Mapping[str, Any]) -> str:
    """The preset as TOML, with every setting, so that it depends on no other preset or default."""
    searched = {one.key for one in space.dimensions} | {recipe.schedule}
    lines = ["# Found by a search on the validation split (zslbench tune); [provenance] says how."]
    for kind in KINDS:
        if kind == "dataset" or kind not in recipe.parts:
            continue
        lines += ["", f"[{kind}]"]
        values = recipe.parts[kind].values()
        found = {name: value for name, value in values.items() if f"{kind}.{name}" in searched}
        lines += [f"{name} = {_value(value)}  # found" for name, value in found.items()]
        lines += [f"{name} = {_value(value)}" for name, value in values.items() if name not in found]
    lines += _table(PROVENANCE, provenance)
    return "\n".join(lines) + "\n"


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in plain.items())]
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _table(f"{name}.{_key(key)}", value)
    return lines


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    """A value as TOML; None is written as the word that settings read as None."""
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON escapes as TOML does, except DEL, which JSON leaves unescaped.
        return json.dumps(value).replace("\x7f", "\\u007f")
    raise TypeError(f"{value!r} cannot be written in a preset")
