"""Updates are torch's, under every schedule, and however gradients and moments lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import lr_scheduler as rates

from zslbench.plugin.programs import Cosine, Exponential, LRSchedule, MultiStep, Optimizer, WarmUp
from zslbench.training.optimizers import NetworkOptimizer, fault_of

LR = 0.1
TORCH: dict[str, Any] = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
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
    plain = TORCH[rule.kind](
        [by_hand], **options, **({} if rule.kind == "adam" else {"momentum": rule.momentum})
    )
    for one in gradients():
        by_hand.grad = one
        plain.step()
    torch.testing.assert_close(trained(rule, weights, given, resumed), by_hand.detach(), rtol=1e-6, atol=1e-6)


# --- schedules, clipping, restarts: the rules are torch's -------------------------------------------

EPOCHS, UPDATES = 9, 2
SCHEDULES: dict[str, tuple[LRSchedule, Callable[[Any], Any]]] = {
    "exponential": (Exponential(0.8), lambda of: rates.ExponentialLR(of, 0.8)),
    "every third epoch": (Exponential(0.5, every=3), lambda of: rates.StepLR(of, 3, 0.5)),
    "milestones": (MultiStep((2, 3, 7), 0.3), lambda of: rates.MultiStepLR(of, [2, 3, 7], 0.3)),
    "cosine": (Cosine(), lambda of: rates.CosineAnnealingLR(of, EPOCHS)),
    "cosine to a tenth": (Cosine(0.1), lambda of: rates.CosineAnnealingLR(of, EPOCHS, eta_min=0.1 * LR)),
    "warm-up": (WarmUp(4, start=0.2), lambda of: rates.LinearLR(of, 0.2, total_iters=4)),
    "warm-up, then cosine": (
        WarmUp(4, Cosine(0.1)),
        lambda of: rates.SequentialLR(
            of,
            [
                rates.LinearLR(of, 0.1, total_iters=4),
                rates.CosineAnnealingLR(of, EPOCHS - 4, eta_min=0.1 * LR),
            ],
            [4],
        ),
    ),
    "warm-up, then steps": (
        WarmUp(2, MultiStep((3,), 0.5), start=0.5),
        lambda of: rates.SequentialLR(
            of, [rates.LinearLR(of, 0.5, total_iters=2), rates.MultiStepLR(of, [3], 0.5)], [2]
        ),
    ),
}


def given_gradients(epoch: int, number: int, scale: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(100 * epoch + number)
    return {
        "w": scale * torch.randn(3, 4, generator=generator, dtype=torch.float64),
        "b": scale * torch.randn(4, generator=generator, dtype=torch.float64),
    }


def start() -> dict[str, Tensor]:
    return {"w": torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4), "b": torch.ones(4).double()}


def ours(rule: Optimizer, scale: float = 1.0) -> dict[str, Tensor]:
    net = start()
    optimizer = NetworkOptimizer(rule, net, EPOCHS)
    for epoch in range(EPOCHS):
        optimizer.begin_epoch(epoch)
        for number in range(UPDATES):
            optimizer.update(given_gradients(epoch, number, scale))
    return net


def torchs(
    rule: Optimizer,
    schedule: Callable[[Any], Any] | None = None,
    bound: Callable[[list[Tensor]], Any] = lambda tensors: None,
    restart_every: int = EPOCHS,
    scale: float = 1.0,
    **options: Any,
) -> dict[str, Tensor]:
    """The same by torch.optim alone, with a loop as authors write it."""
    net = {name: one.requires_grad_() for name, one in start().items()}
    options |= {"lr": rule.lr, "weight_decay": rule.weight_decay}
    if rule.kind != "adam":
        options["momentum"] = rule.momentum
    for epoch in range(EPOCHS):
        if epoch % restart_every == 0:
            optimizer = TORCH[rule.kind](net.values(), **options)
            rate = schedule(optimizer) if schedule else None
        for number in range(UPDATES):
            for name, gradient in given_gradients(epoch, number, scale).items():
                net[name].grad = gradient
            bound(list(net.values()))
            optimizer.step()
        if rate is not None:
            rate.step()
    return {name: one.detach() for name, one in net.items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in other.items():
        torch.testing.assert_close(one[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*epoch parameter.*:UserWarning")  # torch's own, in SequentialLR
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_torch(rule: Optimizer, name: str) -> None:
    schedule, theirs = SCHEDULES[name]
    equal(ours(replace(rule, lr_schedule=schedule)), torchs(rule, theirs))
    factors = [schedule.factor(epoch, EPOCHS) for epoch in range(EPOCHS)]
    assert len(set(factors)) > 1


def test_a_rate_of_0_changes_nothing_and_one_of_1_what_it_would_without_a_schedule() -> None:
    for rule in RULES:
        still = replace(rule, lr_schedule=WarmUp(EPOCHS, start=0.0))
        net = start()
        optimizer = NetworkOptimizer(still, net, EPOCHS)
        optimizer.begin_epoch(0)
        optimizer.update(given_gradients(0, 0))
        assert all(torch.equal(net[name], one) for name, one in start().items())
        plain = ours(rule)
        full = ours(replace(rule, lr_schedule=Exponential(1.0)))
        assert all(torch.equal(full[name], one) for name, one in plain.items())


@pytest.mark.parametrize(
    "rule", [Optimizer("adam", lr=LR, amsgrad=True, eps=1e-3), Optimizer("rmsprop", eps=0.1)]
)
def test_amsgrad_and_eps(rule: Optimizer) -> None:
    options: dict[str, Any] = {"eps": rule.eps} | ({"amsgrad": True} if rule.amsgrad else {})
    equal(ours(rule), torchs(rule, **options))
    plain = ours(replace(rule, amsgrad=False, eps=None))
    assert not torch.allclose(plain["w"], ours(replace(rule, amsgrad=False))["w"])
    if rule.amsgrad:
        assert not torch.allclose(plain["w"], ours(replace(rule, eps=None))["w"])


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_gradients_are_clipped_as_torch_clips_them(rule: Optimizer, scale: float) -> None:
    """Before weight decay is added; a short gradient stays as it is."""
    norm, value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_
    equal(
        ours(replace(rule, clip_norm=0.5), scale), torchs(rule, bound=lambda ts: norm(ts, 0.5), scale=scale)
    )
    equal(
        ours(replace(rule, clip_value=0.2), scale), torchs(rule, bound=lambda ts: value(ts, 0.2), scale=scale)
    )
    assert torch.equal(ours(rule, scale)["w"], ours(replace(rule, clip_norm=0.5), scale)["w"]) is (
        scale == 0.01
    )


def test_a_clipped_norm_by_hand() -> None:
    """SGD with rate 1 on the gradient (3, 4; 12), of length 13, clipped to 6.5."""
    net = {"w": torch.zeros(2), "b": torch.zeros(1)}
    NetworkOptimizer(Optimizer("sgd", lr=1.0, clip_norm=6.5), net).update(
        {"w": torch.tensor([3.0, 4.0]), "b": torch.tensor([12.0])}
    )
    torch.testing.assert_close(net["w"], torch.tensor([-1.5, -2.0]))
    torch.testing.assert_close(net["b"], torch.tensor([-6.0]))


def test_each_replica_is_clipped_by_its_own_norm() -> None:
    rule = Optimizer("sgd", lr=1.0, clip_norm=1.0)
    gradients = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 50.0]])
    net = {"w": torch.zeros(3, 2)}
    NetworkOptimizer(rule, net, lifted=True).update({"w": gradients})
    torch.testing.assert_close(net["w"], -torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 1.0]]))


@pytest.mark.parametrize("rule", [*RULES, Optimizer("adam", lr=LR, amsgrad=True)], ids=str)
def test_a_restart_is_a_new_optimiser(rule: Optimizer) -> None:
    options = {"amsgrad": True} if rule.amsgrad else {}
    equal(ours(replace(rule, restart_every=4)), torchs(rule, restart_every=4, **options))
    assert not torch.allclose(ours(replace(rule, restart_every=4))["w"], ours(rule)["w"])


def test_a_restart_does_not_restart_the_schedule() -> None:
    """APN's loop: the optimiser is created anew in every epoch, its rate falls over all of them."""
    rule = Optimizer("sgd", lr=1.0, momentum=0.9, restart_every=1, lr_schedule=Exponential(0.5))
    net = {"w": torch.zeros(1)}
    optimizer = NetworkOptimizer(rule, net, 3)
    for epoch in range(3):
        optimizer.begin_epoch(epoch)
        for _ in range(2):
            optimizer.update({"w": torch.ones(1)})
    # Two updates of 1 and 1.9 in each epoch, at rates 1, 1/2 and 1/4.
    torch.testing.assert_close(net["w"], torch.tensor([-2.9 * 1.75]))


def test_an_epoch_that_was_begun_before_is_not_restarted() -> None:
    rule = Optimizer("sgd", lr=1.0, momentum=0.5, restart_every=1)
    net = {"w": torch.zeros(1)}
    optimizer = NetworkOptimizer(rule, net, 3)
    optimizer.begin_epoch(1)
    optimizer.update({"w": torch.ones(1)})
    optimizer.begin_epoch(1, resumed=True)
    optimizer.update({"w": torch.ones(1)})
    torch.testing.assert_close(net["w"], torch.tensor([-2.5]))


@pytest.mark.parametrize(
    "rule", [*RULES, Optimizer("adam", lr=LR, amsgrad=True, lr_schedule=Cosine())], ids=str
)
def test_networks_with_equal_rules_train_as_under_one_optimiser(rule: Optimizer) -> None:
    joint = ours(rule)
    parts = {name: {name: one} for name, one in start().items()}
    optimizers = {name: NetworkOptimizer(rule, net, EPOCHS) for name, net in parts.items()}
    for epoch in range(EPOCHS):
        for optimizer in optimizers.values():
            optimizer.begin_epoch(epoch)
        for number in range(UPDATES):
            for name, gradient in given_gradients(epoch, number).items():
                optimizers[name].update({name: gradient})
    for name, net in parts.items():
        assert torch.equal(net[name], joint[name])


@pytest.mark.parametrize(
    "rule",
    [
        Optimizer("rmsprop", amsgrad=True),
        Optimizer("adam", momentum=0.9),
        Optimizer("sgd", eps=1e-3),
        Optimizer(clip_norm=0.0),
        Optimizer(clip_value=-1.0),
        Optimizer(clip_norm=float("nan")),
        Optimizer(restart_every=0),
        Optimizer(lr_schedule=Exponential(-0.5)),
        Optimizer(lr_schedule=Exponential(0.5, every=0)),
        Optimizer(lr_schedule=Exponential(float("inf"))),
        Optimizer(lr_schedule=WarmUp(3, Exponential(2.0), start=-1.0)),
    ],
    ids=str,
)
def test_rules_that_cannot_work_are_told(rule: Optimizer) -> None:
    assert fault_of(rule, EPOCHS)


def test_rules_that_can_work_have_no_fault() -> None:
    for schedule, _ in SCHEDULES.values():
        assert not fault_of(Optimizer(amsgrad=True, eps=1e-4, clip_norm=1.0, lr_schedule=schedule), EPOCHS)
