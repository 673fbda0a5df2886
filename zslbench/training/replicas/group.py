"""Seeds that train together, as the loop sees them: programs that meet are lifted and trained as one."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zslbench.errors import ZslbenchError
from zslbench.plugin.programs import Optimizer, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks
from zslbench.training.context import Training
from zslbench.training.iteration import example_calls, initial_networks
from zslbench.training.replicas.inputs import NotLiftable, check_equal, signature
from zslbench.training.replicas.lifted import LiftedRun, MemberRun
from zslbench.training.step import step_function
from zslbench.training.threads import Group

T = TypeVar("T")
_log = logging.getLogger("zslbench")


def train_together(
    program: Program, semantics: Tensor, training: Training, last: int, finish: Callable[[MemberRun], T]
) -> T | None:
    """Train a program until epoch ``last`` as one with those of the other members of the group; None: it
    cannot be lifted. ``finish`` trains the member's run to its end."""
    member = training.member
    assert member is not None
    lift = partial(_lift, member.group, member.base)
    key = ("train", training.stage, member.base)
    try:
        return finish(member.meet(key, MemberRun(program, semantics, training, last), lift))
    except NotLiftable as reason:
        _note(member.group.one_by_one, training.stage, str(reason), "one by one")
        return None


def _note(record: dict[str, T], stage: str, value: T, how: str) -> None:
    """Record, and log once, how the seeds of a stage are trained."""
    if stage not in record:
        record[stage] = value
        _log.info("%s: the seeds are trained %s: %s", stage, how, value)


def _lift(group: Group, base: tuple[int, ...], runs: Mapping[int, MemberRun]) -> Mapping[int, MemberRun]:
    """The run of each slot that came, as members of lifted runs."""
    if not all(one.program.lift for one in runs.values()):
        raise NotLiftable("a program of its own for each seed (Program.lift)")
    check_equal([signature(one.program, one.semantics) for one in runs.values()])
    first = runs[min(runs)]
    training = first.training
    try:
        count = parts(first, len(base))
    except ZslbenchError:
        raise
    except Exception as error:  # trained by itself, the program says the same and where it happened
        raise NotLiftable(f"stage '{training.stage}': its steps fail ({type(error).__name__})") from error
    if count > 1:
        _note(group.split, training.stage, count, "in parts that fit into memory")
    folder = group.folder / training.stage if group.folder and training.folder else None
    for part in np.array_split(base, count):
        slots = tuple(part.tolist())
        if present := {slot: runs[slot] for slot in slots if slot in runs}:
            LiftedRun(present, slots, folder)
    return runs


# --- memory ----------------------------------------------------------------------------------------
# An upper estimate that depends on the program and the machine, never on what is free at the moment, so that
# the same seeds are always lifted together.

SHARE = 0.45
"""Part of the machine's memory that replicas may take; region features may take half of it."""
PER_WEIGHT = 4
"""A trained weight, its gradient and two moments; a schedule holds the old weight, AMSGrad a third moment."""


def total_memory(device: torch.device) -> int:
    """Bytes of memory of the GPU, or of this machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def parts(run: MemberRun, count: int) -> int:
    """Into how many equal parts ``count`` replicas are split, of which one trains at a time."""
    available = SHARE * total_memory(run.training.streams.device)
    fit = max(1, int(available // max(1, replica_memory(run))))
    return math.ceil(count / min(fit, count))


def replica_memory(run: MemberRun) -> int:
    """Bytes that one replica of a program takes at most: networks, features and a step's activations."""
    program = run.program
    nets = initial_networks(program, run.training.streams)
    weights = sum(
        tensor.nbytes * _copies(program.optimizers.get(net))
        for net, tensors in (nets | program.frozen).items()
        for tensor in tensors.values()
    )
    features = program.features.nbytes if isinstance(program.features, Tensor) else 0
    return weights + features + _activations(run, nets)


def _copies(rule: Optimizer | None) -> int:
    """Tensors like a weight that its training holds."""
    if rule is None:
        return 1
    return PER_WEIGHT + rule.amsgrad + (rule.lr_schedule is not None)


def _activations(run: MemberRun, nets: Networks) -> int:
    """Bytes of all tensors that the largest step creates, as if none were freed before its end."""
    program, streams = run.program, Streams(0, run.training.streams.device)
    largest = 0
    for step, batch, noise in example_calls(program, run.semantics, streams):
        with _CountBytes() as counted:
            step_function(step)({**nets, **program.frozen}, batch, noise)
        largest = max(largest, counted.bytes + sum(one.nbytes for one in tree_leaves((batch, noise))))
    return largest


class _CountBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every tensor that operations create; views of their arguments do not count."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {one.untyped_storage().data_ptr() for one in _tensors((args, kwargs))}
        created = (one for one in _tensors(result) if one.untyped_storage().data_ptr() not in given)
        self.bytes += sum(one.nbytes for one in created)
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [one for one in tree_leaves(tree) if isinstance(one, Tensor)]
