"""torch.optim behind the declared rules, fed with gradients that the step function computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Networks, Optimizer


class NetworkOptimizer:
    """The optimiser of one network; updates its tensors in place.

    Every rule offered is element-wise, so it works unchanged on tensors with a replica axis.
    """

    def __init__(self, rule: Optimizer, net: dict[str, Tensor]) -> None:
        self._net = net
        tensors = list(net.values())
        self._optimizer: torch.optim.Optimizer
        how = ways_on(tensors[0].device, rule.kind) if tensors else {}
        # Where torch looks at step counts on the host, it keeps them there; else beside the moments.
        self._counts_on_host = not (how.get("fused") or how.get("capturable"))
        if rule.kind == "adam":
            self._optimizer = torch.optim.Adam(
                tensors, lr=rule.lr, betas=rule.betas, weight_decay=rule.weight_decay, **how
            )
        elif rule.kind == "rmsprop":
            self._optimizer = torch.optim.RMSprop(
                tensors, lr=rule.lr, weight_decay=rule.weight_decay, momentum=rule.momentum, **how
            )
        else:
            self._optimizer = torch.optim.SGD(
                tensors, lr=rule.lr, weight_decay=rule.weight_decay, momentum=rule.momentum, **how
            )

    def update(self, gradients: Mapping[str, Tensor]) -> None:
        for name, tensor in self._net.items():
            tensor.grad = laid_out_as(tensor, gradients[name])
        self._optimizer.step()
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Let go of the gradients' memory."""
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
            self._optimizer.state[tensor][key] = laid_out_as(tensor, value.to(where))


def laid_out_as(tensor: Tensor, value: Tensor) -> Tensor:
    """The value with its entries in memory as the tensor's are.

    Updates in one go pair entries by their place in memory: of another layout, as the gradient of a product
    with a transposed weight has it, a CPU would silently update the wrong ones, and a GPU refuses.
    """
    if value.shape != tensor.shape or value.stride() == tensor.stride():
        return value
    return torch.empty_like(tensor).copy_(value)


def ways_on(device: torch.device, kind: str) -> dict[str, Any]:
    """How torch.optim computes a rule: in one go where it can (on a CPU Adam takes a quarter of the time), on
    a GPU without looking at anything on the host, so that it can be captured.

    Captured or not, the same is computed.
    """
    if device.type != "cuda":
        return {"fused": True} if kind == "adam" else {}
    return {
        "adam": {"fused": True, "capturable": True},
        "rmsprop": {"foreach": True, "capturable": True},
        "sgd": {"foreach": True},
    }[kind]


def optimizers_for(rules: Mapping[str, Optimizer], nets: Networks) -> dict[str, NetworkOptimizer]:
    """An optimiser for every network that has a rule."""
    return {name: NetworkOptimizer(rule, nets[name]) for name, rule in rules.items()}
