"""torch.optim behind the declared rules, fed with gradients that the step function computed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zslbench.interfaces import Networks, Optimizer


class NetworkOptimizer:
    """The optimiser of one network; updates its tensors in place.

    Every rule offered is element-wise, so it works unchanged on tensors with a replica axis.
    """

    def __init__(self, rule: Optimizer, net: dict[str, Tensor]) -> None:
        self._net = net
        tensors = list(net.values())
        self._optimizer: torch.optim.Optimizer
        if rule.kind == "adam":
            self._optimizer = torch.optim.Adam(
                tensors, lr=rule.lr, betas=rule.betas, weight_decay=rule.weight_decay
            )
        elif rule.kind == "rmsprop":
            self._optimizer = torch.optim.RMSprop(
                tensors, lr=rule.lr, weight_decay=rule.weight_decay, momentum=rule.momentum
            )
        else:
            self._optimizer = torch.optim.SGD(
                tensors, lr=rule.lr, weight_decay=rule.weight_decay, momentum=rule.momentum
            )

    def update(self, gradients: Mapping[str, Tensor]) -> None:
        for name, tensor in self._net.items():
            tensor.grad = gradients[name]
        self._optimizer.step()
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
            # Step counts stay where torch keeps them (the CPU); moments live beside the parameter.
            where = "cpu" if key == "step" else tensor.device
            self._optimizer.state[tensor][key] = value.to(where)


def optimizers_for(rules: Mapping[str, Optimizer], nets: Networks) -> dict[str, NetworkOptimizer]:
    """An optimiser for every network that has a rule."""
    return {name: NetworkOptimizer(rule, nets[name]) for name, rule in rules.items()}
