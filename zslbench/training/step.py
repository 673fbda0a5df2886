"""A method's step as one function of (networks, batch, noise) → (gradients, losses), at a given precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from zslbench.errors import PluginError
from zslbench.plugin.process import matmul_precision
from zslbench.plugin.programs import Batch, Choice, Losses, NoiseSpec, Normal, Permutation, Step
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, Noise

StepFunction: TypeAlias = Callable[[Networks, Batch, Noise], tuple[Networks, Losses]]


def step_function(step: Step, for_vmap: bool = False) -> StepFunction:
    """The step's losses and their gradients with respect to the networks that it updates.

    The result is as pure as ``step.losses``.

    Args:
        for_vmap: the result is to be wrapped in ``torch.func.vmap`` over a leading replica axis of all three
            arguments. With one replica the bits are the same (where every matrix product has at least 400
            multiplications; torch computes smaller batched ones with a kernel that rounds differently).
    """

    def loss(
        trained: Networks, constant: Networks, batch: Batch, noise: Noise
    ) -> tuple[Tensor, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        with forward_precision(batch.labels.device):
            result = step.losses({**constant, **trained}, batch, noise)
        return result.total, (result.log, dict(result.state or {}))

    differentiate = (
        torch.func.grad_and_value(loss, has_aux=True) if for_vmap else partial(_differentiate, loss)
    )

    def run(nets: Networks, batch: Batch, noise: Noise) -> tuple[Networks, Losses]:
        trained = {name: nets[name] for name in step.updates}
        constant = {name: net for name, net in nets.items() if name not in trained}
        parts = _parts(step, batch, noise)
        results = ((rows, differentiate(trained, constant, part, own)) for rows, part, own in parts)
        gradients, (total, (log, state)) = _mean(results, len(batch.labels))
        return gradients, Losses(total, log, state)

    return run


def _differentiate(loss: Callable[..., Any], trained: Networks, *others: Any) -> Any:
    """What ``torch.func.grad_and_value(loss, has_aux=True)`` returns, to the bit, without wrapping each
    operation's tensors: on a CPU that takes about a tenth of a step of narrow networks."""
    leaves = {
        net: {name: one.detach().requires_grad_() for name, one in of.items()} for net, of in trained.items()
    }
    flat, spec = tree_flatten(leaves)
    with torch.enable_grad():
        total, aux = loss(leaves, *others)
    # A loss may depend on none of them.
    depends = total.requires_grad
    found = (
        torch.autograd.grad(total, flat, materialize_grads=True) if depends else map(torch.zeros_like, flat)
    )
    return tree_unflatten(found, spec), tree_map(torch.Tensor.detach, (total, aux))


def _parts(step: Step, batch: Batch, noise: Noise) -> Iterator[tuple[int, Batch, Noise]]:
    """Number of rows, batch and noise of each part of the batch (``Step.accumulate``)."""
    rows = len(batch.labels)
    count = min(step.accumulate, rows)
    if count <= 1:
        yield rows, batch, noise
        return
    if mixed := [name for name, spec in step.noise.items() if isinstance(spec, Permutation)]:
        raise PluginError(
            f"step '{step.name}': noise '{mixed[0]}' is an order of the whole batch, which parts of it "
            "(accumulate) cannot follow"
        )
    for number in range(count):
        part = slice(rows * number // count, rows * (number + 1) // count)
        of_rows = {name: getattr(spec, "per_row", False) for name, spec in step.noise.items()}
        some = {name: one[part] if of_rows[name] else one for name, one in noise.items()}
        examples = batch._replace(
            features=batch.features[part], labels=batch.labels[part], semantics=batch.semantics[part]
        )
        yield part.stop - part.start, examples, some


def _mean(results: Iterator[tuple[int, Any]], rows: int) -> Any:
    """The mean of trees of tensors, weighted by their rows; a single one unchanged."""
    mean = None
    for count, result in results:
        if count == rows:
            return result
        weighted = tree_map(partial(torch.mul, other=count / rows), result)
        mean = weighted if mean is None else tree_map(torch.add, mean, weighted)
    return mean


def draw(spec: NoiseSpec, rows: int, streams: Streams, name: str) -> Tensor:
    """Noise of one term for ``rows`` examples, from the stream ``name``."""
    generator, device = streams[name], streams.device
    if isinstance(spec, Permutation):
        return torch.randperm(rows, generator=generator, device=device)
    shape = (rows, *spec.shape) if spec.per_row else spec.shape
    if isinstance(spec, Choice):
        return spec.values[torch.randint(len(spec.values), shape, generator=generator, device=device)]
    return streams.normal(name, shape) if isinstance(spec, Normal) else streams.uniform(name, shape)


# --- precision of matrix products ------------------------------------------------------------------

Precision: TypeAlias = Literal["float32", "tf32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_precision: ContextVar[Precision] = ContextVar("precision", default="float32")  # of this thread's steps


@contextlib.contextmanager
def step_precision(precision: Precision) -> Iterator[None]:
    """Compute this thread's steps at a precision, see :func:`forward_precision`."""
    token = _precision.set(precision)
    try:
        yield
    finally:
        _precision.reset(token)


@contextlib.contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
    """Compute a run: under ``tf32`` a GPU multiplies float32 matrices with TF32 operands."""
    before = matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def is_reduced() -> bool:
    """Whether float32 products currently round their operands."""
    return _precision.get() == "bf16" or matmul_precision() != "highest"


def forward_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """For a step's losses: under ``bf16`` matrix products take bfloat16 operands.

    Differentiation stays outside: it follows the types of what it differentiates, and autocast would round
    products that were made in float32. Networks, sums and optimisers stay float32. Casts are not cached,
    since a cache would hold on to tensors of a captured graph.
    """
    if _precision.get() != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def in_float32(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """For what needs float32 even under ``bf16``, such as the length of a gradient."""
    if not torch.is_autocast_enabled(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
