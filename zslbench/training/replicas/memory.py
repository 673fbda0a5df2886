"""How much memory a lifted program takes, and how many replicas fit.

An estimate from above, of the program and the machine alone and never of what is free at the moment, so that
the same seeds are lifted together whenever they run.
"""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zslbench.plugin.interfaces import Batch, Networks
from zslbench.plugin.streams import Streams
from zslbench.training.iteration import draw_noise, initial_networks
from zslbench.training.replicas.asked import Asked
from zslbench.training.step import step_function

SHARE = 0.45
"""Part of the machine's memory that replicas may take; region features may have half of it."""
PER_WEIGHT = 4
"""A trained network, its gradients and two moments."""


def total(device: torch.device) -> int:
    """Bytes of memory of the GPU, or of this machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def parts(asked: Asked, count: int) -> int:
    """Into how many equal parts ``count`` replicas are split to fit, where one part trains at a time."""
    room = SHARE * total(asked.training.streams.device)
    fit = max(1, int(room // max(1, of_replica(asked))))
    return math.ceil(count / min(fit, count))


def of_replica(asked: Asked) -> int:
    """Bytes that one replica of a program takes at most: networks, features, and a step's activations."""
    program = asked.program
    nets = initial_networks(program, asked.training.streams)
    held = sum(
        _bytes(tensor) * (PER_WEIGHT if net in program.optimizers else 1)
        for net, tensors in (nets | program.frozen).items()
        for tensor in tensors.values()
    )
    features = _bytes(program.features) if isinstance(program.features, Tensor) else 0
    return held + features + _activations(asked, nets)


def _activations(asked: Asked, nets: Networks) -> int:
    """Bytes of everything that the largest step makes, none of it freed before the step's end."""
    program, device = asked.program, asked.training.streams.device
    rows = torch.arange(min(program.batch_size, len(program.labels)), device=device)
    labels = program.labels[rows]
    batch = Batch(program.features[rows], labels, asked.semantics[labels])
    taken = 0
    for step in {id(step): step for steps in program.passes for step in steps}.values():
        noise = draw_noise(step, len(rows), Streams(0, device))
        with _Counted() as counted:
            step_function(step)({**nets, **program.frozen}, batch, noise)
        given = sum(_bytes(one) for one in (*batch, *noise.values()))
        taken = max(taken, given + counted.bytes)
    return taken


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every tensor that operations make; views of their arguments count nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {_place(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        for one in tree_leaves(made):
            if isinstance(one, Tensor) and _place(one) not in given:
                self.bytes += _bytes(one)
        return made


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
