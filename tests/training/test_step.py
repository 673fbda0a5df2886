"""The step function: gradients of a step's losses with respect to the networks that it updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zslbench.errors import PluginError
from zslbench.plugin.programs import Batch, Losses, Normal, Permutation, Step
from zslbench.training import linear
from zslbench.training.step import step_function


def tanh_losses(nets, batch, noise):
    hidden = torch.tanh(linear(nets["net"], "first", batch.features + noise["shift"]))
    error = linear(nets["net"], "second", hidden) - nets["teacher"]["scale"] * batch.semantics
    total = (error**2).mean()
    return Losses(total, {"error": error.abs().mean()}, {"calls": nets["state"]["calls"] + 1})


STEP = Step("fit", tanh_losses, updates=("net",))


class Case:
    """y = W2 tanh(W1 (x + shift) + b1) + b2 against scale * a, in float64."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.w1, self.b1 = rng.normal(size=(4, 3)), rng.normal(size=4)
        self.w2, self.b2 = rng.normal(size=(2, 4)), rng.normal(size=2)
        self.x, self.shift, self.a = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
        self.scale = float(rng.uniform(1, 2))

    def nets(self):
        layers = {
            "first.weight": self.w1,
            "first.bias": self.b1,
            "second.weight": self.w2,
            "second.bias": self.b2,
        }
        return {
            "net": {name: torch.tensor(value) for name, value in layers.items()},
            "teacher": {"scale": torch.tensor(self.scale, dtype=torch.float64)},
            "state": {"calls": torch.tensor(2.0)},
        }

    def batch(self):
        return Batch(torch.tensor(self.x), torch.zeros(5, dtype=torch.int64), torch.tensor(self.a))

    def by_hand(self):
        """Loss and gradients by back-propagation on paper."""
        inputs = self.x + self.shift
        hidden = np.tanh(inputs @ self.w1.T + self.b1)
        error = hidden @ self.w2.T + self.b2 - self.scale * self.a
        to_out = 2 * error / error.size
        to_hidden = to_out @ self.w2 * (1 - hidden**2)
        return (error**2).mean(), {
            "first.weight": to_hidden.T @ inputs,
            "first.bias": to_hidden.sum(axis=0),
            "second.weight": to_out.T @ hidden,
            "second.bias": to_out.sum(axis=0),
        }


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_worked_out_on_paper(seed):
    case = Case(seed)
    gradients, losses = step_function(STEP)(case.nets(), case.batch(), {"shift": torch.tensor(case.shift)})
    loss, expected = case.by_hand()
    assert list(gradients) == ["net"]  # neither teacher nor state
    assert losses.total.item() == pytest.approx(loss, rel=1e-12)
    assert set(gradients["net"]) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(gradients["net"][name], value, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("seed", range(2))
def test_gradients_are_finite_differences(seed):
    case = Case(seed)
    run, noise = step_function(STEP), {"shift": torch.tensor(case.shift)}
    gradients = run(case.nets(), case.batch(), noise)[0]["net"]

    def loss_at(name, index, change):
        nets = case.nets()
        nets["net"][name].view(-1)[index] += change
        return tanh_losses(nets, case.batch(), noise).total.item()

    for name, gradient in gradients.items():
        for index, value in enumerate(gradient.flatten().tolist()):
            slope = (loss_at(name, index, 1e-5) - loss_at(name, index, -1e-5)) / 2e-5
            assert value == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_state_and_log_come_back_and_nothing_is_changed():
    case = Case(0)
    nets, noise = case.nets(), {"shift": torch.tensor(case.shift)}
    _, losses = step_function(STEP)(nets, case.batch(), noise)
    assert losses.state["calls"].item() == 3
    assert nets["state"]["calls"].item() == 2
    assert set(losses.log) == {"error"}
    for name, value in case.nets()["net"].items():
        assert torch.equal(nets["net"][name], value)
        assert not nets["net"][name].requires_grad


@pytest.mark.parametrize("parts", [2, 3, 5, 9])
def test_parts_of_a_batch_give_what_the_whole_does(parts):
    """Five rows in parts of two and three, of one and two, or of one; the loss is a mean over rows."""
    case = Case(1)
    step = replace(STEP, noise={"shift": Normal((3,))})
    arguments = case.nets(), case.batch(), {"shift": torch.tensor(case.shift)}
    whole, losses = step_function(step)(*arguments)
    found, its_losses = step_function(replace(step, accumulate=parts))(*arguments)
    for name, gradient in whole["net"].items():
        torch.testing.assert_close(found["net"][name], gradient, rtol=1e-12, atol=1e-14)
    assert its_losses.total.item() == pytest.approx(losses.total.item(), rel=1e-12)
    assert its_losses.log["error"].item() == pytest.approx(losses.log["error"].item(), rel=1e-12)
    assert its_losses.state["calls"].item() == pytest.approx(3)


def test_an_order_of_the_batch_has_no_parts():
    step = replace(STEP, noise={"order": Permutation()}, accumulate=2)
    with pytest.raises(PluginError, match="order"):
        step_function(step)(Case(0).nets(), Case(0).batch(), {"order": torch.arange(5)})


def test_a_step_without_state():
    step = Step("fit", lambda nets, batch, noise: Losses((nets["n"]["w"] ** 2).sum(), {}), updates=("n",))
    gradients, losses = step_function(step)({"n": {"w": torch.tensor([3.0])}}, Case(0).batch(), {})
    assert gradients["n"]["w"].item() == 6
    assert losses.state == {}


def test_networks_that_a_loss_does_not_read_have_gradient_zero():
    nets = {"n": {"w": torch.tensor([3.0]), "unread": torch.ones(2)}, "m": {"v": torch.ones(3)}}
    of_one = Step("fit", lambda nets, batch, noise: Losses(nets["n"]["w"].sum(), {}), updates=("n", "m"))
    of_none = Step("fit", lambda nets, batch, noise: Losses(torch.tensor(1.0), {}), updates=("m",))
    gradients, losses = step_function(of_one)(nets, Case(0).batch(), {})
    assert gradients["n"]["w"].tolist() == [1]
    assert gradients["n"]["unread"].tolist() == [0, 0]
    assert gradients["m"]["v"].tolist() == [0, 0, 0]
    assert not losses.total.requires_grad
    assert step_function(of_none)(nets, Case(0).batch(), {})[0]["m"]["v"].tolist() == [0, 0, 0]


def stack(trees):
    """Nested dictionaries and batches of tensors, stacked along a new leading axis."""
    if isinstance(trees[0], torch.Tensor):
        return torch.stack(trees)
    if isinstance(trees[0], dict):
        return {key: stack([tree[key] for tree in trees]) for key in trees[0]}
    return type(trees[0])(*(stack(list(parts)) for parts in zip(*trees, strict=True)))


def test_lifted_over_replicas():
    cases = [Case(seed) for seed in range(3)]
    arguments = [(c.nets(), c.batch(), {"shift": torch.tensor(c.shift)}) for c in cases]
    run, lifted = step_function(STEP), torch.func.vmap(step_function(STEP, for_vmap=True))
    gradients, losses = lifted(*(stack(list(parts)) for parts in zip(*arguments, strict=True)))
    for number, one in enumerate(arguments):
        alone, its_losses = run(*one)
        torch.testing.assert_close(losses.total[number], its_losses.total, rtol=1e-12, atol=0)
        for name, value in alone["net"].items():
            torch.testing.assert_close(gradients["net"][name][number], value, rtol=1e-10, atol=1e-12)
