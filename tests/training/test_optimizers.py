"""Updates pair what belongs together, however gradients and moments lie in memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zslbench.plugin.interfaces import Optimizer
from zslbench.training.optimizers import NetworkOptimizer

RULES = [
    Optimizer("adam", lr=0.1, weight_decay=1e-2),
    Optimizer("rmsprop", lr=0.1, momentum=0.5),
    Optimizer("sgd", lr=0.1, momentum=0.5),
]


def laid(value: Tensor, how: str) -> Tensor:
    """The same values, in memory row by row, column by column, or with a leading axis innermost."""
    if how == "rows":
        return value.contiguous()
    order = {"columns": (0, 2, 1), "replicas last": (1, 2, 0)}[how]
    back = [order.index(place) for place in range(3)]
    return value.permute(order).contiguous().permute(back)


def gradients() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 4, generator=generator) for _ in range(4)]


def trained(rule: Optimizer, weights: str, given: str, resumed: bool = False) -> Tensor:
    net = {"w": laid(torch.arange(24.0).reshape(2, 3, 4), weights)}
    optimizer = NetworkOptimizer(rule, net)
    for number, one in enumerate(gradients()):
        if resumed and number == 2:  # as a checkpoint keeps them: row by row
            state = {name: value.contiguous().clone() for name, value in optimizer.state().items()}
            optimizer = NetworkOptimizer(rule, net)
            optimizer.restore(state)
        optimizer.update({"w": laid(one, given)})
    return net["w"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
@pytest.mark.parametrize("weights", ["rows", "columns"])
@pytest.mark.parametrize("given", ["rows", "columns", "replicas last"])
@pytest.mark.parametrize("resumed", [False, True])
def test_the_layout_of_memory_changes_nothing(
    rule: Optimizer, weights: str, given: str, resumed: bool
) -> None:
    by_hand: Any = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
    options: dict[str, Any] = {"lr": rule.lr, "weight_decay": rule.weight_decay}
    kind = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}[rule.kind]
    plain = kind([by_hand], **options, **({} if rule.kind == "adam" else {"momentum": rule.momentum}))
    for one in gradients():
        by_hand.grad = one
        plain.step()
    torch.testing.assert_close(trained(rule, weights, given, resumed), by_hand.detach(), rtol=1e-6, atol=1e-6)
