"""torch.optim by declared rules, given gradients that the step function computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.programs import Optimizer

_OPTIONS = {"adam": ("betas", "amsgrad", "eps"), "rmsprop": ("momentum", "eps"), "sgd": ("momentum",)}
"""Fields of a rule that only some kinds have."""
_CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


class NetworkOptimizer:
    """The optimiser of one network; updates its tensors in place.

    Every rule but the clipping of a norm is element-wise, so it works unchanged on tensors with a replica
    axis. Whatever changes while training is held in tensors that stay in place, for CUDA graphs.

    Args:
        epochs: of the program.
        lifted: the tensors have a leading replica axis.
    """

    def __init__(
        self, rule: Optimizer, net: dict[str, Tensor], epochs: int = 1, *, lifted: bool = False
    ) -> None:
        self._rule, self._net, self._epochs = rule, net, epochs
        clip = partial(clipped, rule)
        self._clip = torch.func.vmap(clip) if lifted else clip
        self._factor: Tensor | None = None
        tensors = list(net.values())
        options = torch_options(tensors[0].device, rule.kind) if tensors else {}
        # torch keeps step counts on the host if it reads them there, else with the moments.
        self._counts_on_host = not (options.get("fused") or options.get("capturable"))
        if rule.lr_schedule is not None and tensors:
            self._factor = torch.ones((), dtype=torch.float64, device=tensors[0].device)
        own = {name: getattr(rule, name) for name in _OPTIONS[rule.kind]}
        if own.get("eps", 0) is None:
            del own["eps"]
        self._optimizer = _CLASSES[rule.kind](
            tensors, lr=rule.lr, weight_decay=rule.weight_decay, **own, **options
        )

    def begin_epoch(self, epoch: int, *, resumed: bool = False) -> None:
        """Set what changes between epochs.

        Args:
            epoch: completed epochs.
            resumed: some of the epoch's iterations are done.
        """
        rule = self._rule
        if self._factor is not None:
            assert rule.lr_schedule is not None
            self._factor.fill_(rule.lr_schedule.factor(epoch, self._epochs))
        if rule.restart_every is not None and epoch and epoch % rule.restart_every == 0 and not resumed:
            for value in self.state().values():  # a new optimiser's are zero
                value.zero_()

    def update(self, gradients: Mapping[str, Tensor]) -> None:
        gradients = self._clip(dict(gradients))
        before = [tensor.clone() for tensor in self._net.values()] if self._factor is not None else []
        for name, tensor in self._net.items():
            tensor.grad = match_layout(gradients[name], tensor)
        self._optimizer.step()
        self.forget_gradients()
        if self._factor is not None:
            # An update is proportional to the learning rate, which not every optimiser of torch can read on
            # the device.
            for tensor, old in zip(self._net.values(), before, strict=True):
                tensor.copy_(torch.lerp(old, tensor, self._factor.to(tensor.dtype)))

    def forget_gradients(self) -> None:
        """Free the gradients' memory."""
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts as ``<tensor>/<moment>``; empty before the first update."""
        state = self._optimizer.state
        return {
            f"{name}/{key}": value
            for name, tensor in self._net.items()
            for key, value in state.get(tensor, {}).items()
            if isinstance(value, Tensor)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for path, value in state.items():
            name, _, key = path.rpartition("/")
            tensor = self._net[name]
            where = "cpu" if key == "step" and self._counts_on_host else tensor.device
            self._optimizer.state[tensor][key] = match_layout(value.to(where), tensor)


def fault_of(rule: Optimizer, epochs: int) -> str:
    """What is wrong with a rule for a program of so many epochs; an empty string if nothing is."""
    for name in ("amsgrad", "eps", "momentum"):
        if getattr(rule, name) and name not in _OPTIONS[rule.kind]:
            return f"{rule.kind} has no {name}"
    for name in ("clip_value", "clip_norm", "restart_every"):
        if (value := getattr(rule, name)) is not None and not value > 0:
            return f"{name} is {value}; it must be above 0"
    if rule.lr_schedule is None:
        return ""
    try:
        factors = [rule.lr_schedule.factor(epoch, epochs) for epoch in range(epochs)]
    except ArithmeticError as error:
        return f"{rule.lr_schedule} cannot be computed ({error})"
    if not all(0 <= one < math.inf for one in factors):
        return f"{rule.lr_schedule} gives learning rates that are negative or not finite"
    return ""


def clipped(rule: Optimizer, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network's gradients, bounded as the rule says."""
    if (bound := rule.clip_value) is not None:
        gradients = {name: one.clamp(-bound, bound) for name, one in gradients.items()}
    if rule.clip_norm is not None:
        # As torch.nn.utils.clip_grad_norm_ computes it.
        lengths = [torch.linalg.vector_norm(one) for one in gradients.values()]
        scale = (rule.clip_norm / (torch.linalg.vector_norm(torch.stack(lengths)) + 1e-6)).clamp(max=1.0)
        gradients = {name: one * scale for name, one in gradients.items()}
    return gradients


def match_layout(value: Tensor, tensor: Tensor) -> Tensor:
    """The value in the memory layout of the tensor.

    Fused updates pair entries by their place in memory. Given a gradient of another layout, as that of a
    product with a transposed weight, a CPU would silently update the wrong entries, and a GPU refuses.
    """
    if value.shape != tensor.shape or value.stride() == tensor.stride():
        return value
    return torch.empty_like(tensor).copy_(value)


def torch_options(device: torch.device, kind: str) -> dict[str, Any]:
    """Fused where torch can (on a CPU Adam takes a quarter of the time); on a GPU capturable, so that nothing
    is read on the host. Captured or not, the same is computed."""
    if device.type != "cuda":
        return {"fused": True} if kind == "adam" else {}
    return {
        "adam": {"fused": True, "capturable": True},
        "rmsprop": {"foreach": True, "capturable": True},
        "sgd": {"foreach": True},
    }[kind]
