"""torch.optim by declared rules, given gradients that the step function computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Optimizer

_CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


class NetworkOptimizer:
    """The optimiser of one network; updates its tensors in place.

    Every rule is element-wise, so it works unchanged on tensors with a replica axis.
    """

    def __init__(self, rule: Optimizer, net: dict[str, Tensor]) -> None:
        self._net = net
        tensors = list(net.values())
        options = torch_options(tensors[0].device, rule.kind) if tensors else {}
        # torch keeps step counts on the host if it reads them there, else with the moments.
        self._counts_on_host = not (options.get("fused") or options.get("capturable"))
        own = {"betas": rule.betas} if rule.kind == "adam" else {"momentum": rule.momentum}
        self._optimizer = _CLASSES[rule.kind](
            tensors, lr=rule.lr, weight_decay=rule.weight_decay, **own, **options
        )

    def update(self, gradients: Mapping[str, Tensor]) -> None:
        for name, tensor in self._net.items():
            tensor.grad = match_layout(gradients[name], tensor)
        self._optimizer.step()
        self.forget_gradients()

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
