"""Computes suites on a SLURM cluster, through submitit.

Submitting needs the extra ``slurm`` (submitit); without it, ``MissingExtra`` is raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Executor, hookimpl


@hookimpl
def zslbench_executors() -> Iterator[Executor]:
    yield Executor(
        name="slurm",
        target="zslbench_slurm.executor:SlurmExecutor",
        summary="Submits job arrays to a SLURM cluster.",
        requires=("submitit",),
        extra="slurm",
        options="such as partition=gpu, gres=gpu:1, time=04:00:00 or array_parallelism=50",
    )
