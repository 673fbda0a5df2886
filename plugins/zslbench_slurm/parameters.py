"""``--slurm KEY=VALUE``: the parameters of submitit, most of which are options of sbatch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import submitit

from zslbench.errors import SettingsError, did_you_mean

DEFAULTS: Mapping[str, Any] = {"time": 60}
"""In minutes; submitit's own default is 5."""

OWN = "groups_per_task"
"""The only parameter that is not submitit's: how many groups of runs a task computes, one after the other."""

PREFIX = "sbatch."
"""``sbatch.reservation=exams`` is any other option of sbatch, which nobody checks before sbatch does."""

_REFUSED = {
    "additional_parameters": "write sbatch.NAME=VALUE for an option that submitit does not know",
    "nodes": "a task computes on one node",
    "ntasks_per_node": "each task of the array is one worker; array_parallelism says how many run at once",
    "num_gpus": "write gpus_per_node",
    "stderr_to_stdout": "logs are in the submission's folder",
    "use_srun": "the signal before the time limit reaches only what srun starts",
}


def parse(options: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of ``SlurmExecutor.update_parameters``, and :data:`OWN` if it is given.

    Args:
        options: names as submitit or, with dashes, as sbatch writes them.

    Raises:
        SettingsError: an unknown name, or a value that is none.
    """
    known = {OWN, *submitit.SlurmExecutor._valid_parameters()} - set(_REFUSED)
    found: dict[str, Any] = dict(DEFAULTS)
    other: dict[str, Any] = {"requeue": True}  # a cluster may forbid it by default
    for key, value in options.items():
        if key.startswith(PREFIX):
            other[key.removeprefix(PREFIX)] = _flag(value)
            continue
        name = key.replace("-", "_")
        if name not in known:
            hint = _REFUSED.get(name) or did_you_mean(name, known)
            raise SettingsError(
                f"--slurm {key}: no such parameter, {hint}; sbatch.{key}=… passes it to sbatch"
            )
        found[name] = _READ.get(name, str)(value)
    return found | {"additional_parameters": other}


def minutes(text: str) -> int:
    """A time limit as sbatch takes it (``90``, ``30:00``, ``4:00:00``, ``1-12``, ``1-12:30:00``), rounded up.

    Raises:
        SettingsError: it is none.
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if len(parts) > 3 or not all(
        re.fullmatch(r"\d{1,6}", one, re.ASCII) for one in parts + [days] * len(dash)
    ):
        raise SettingsError(f"--slurm time={text}: write minutes, HH:MM:SS or DAYS-HH:MM:SS")
    numbers = list(map(int, parts))
    if dash or len(numbers) == 3:  # from hours on
        hours, mins, seconds = (*numbers, 0, 0)[:3]
    else:  # from minutes on
        hours, (mins, seconds) = 0, (*numbers, 0)[:2]
    total = ((int(days or 0) * 24 + hours) * 60 + mins) * 60 + seconds
    if total == 0:
        raise SettingsError(f"--slurm time={text}: must be more than 0")
    return -(-total // 60)


def wants_gpu(parameters: Mapping[str, Any]) -> bool:
    """Whether the jobs get a GPU, as far as their parameters say."""
    other = parameters["additional_parameters"]
    asked = [
        parameters.get("gres"),
        other.get("gres"),
        other.get("tres-per-node"),
        other.get("tres-per-task"),
    ]
    named = {"gpus_per_node", "gpus_per_task"} & set(parameters) or {"gpus", "gpus-per-socket"} & set(other)
    return bool(named) or any("gpu" in str(one) for one in asked)


def _number(name: str, least: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or int(value) < least:
            raise SettingsError(f"--slurm {name}={value}: must be a whole number, {least} or more")
        return int(value)

    return read


def _flag(value: str) -> str | bool:
    return True if value.lower() in ("", "true", "yes") else value


_READ: Mapping[str, Callable[[str], Any]] = {
    "time": minutes,
    **{name: _number(name, 1) for name in ("array_parallelism", "cpus_per_task", OWN)},
    "signal_delay_s": _number("signal_delay_s", 0),
    "exclusive": _flag,
    "setup": lambda value: [value],
    "teardown": lambda value: [value],
    "srun_args": shlex.split,
}
