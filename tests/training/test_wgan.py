"""The gradient penalty against its closed form for a two-layer critic, and the weight's controller."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zslbench.training import adapt_penalty_weight, gradient_penalty

SLOPE = 0.2


class Case:
    """D(x) = w2ᵀ LReLU(W1 x + b1) + b2 and a batch, in float64."""

    def __init__(self, seed: int, images: int = 5, dim: int = 4, hidden: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.w1, self.b1 = rng.normal(size=(hidden, dim)), rng.normal(size=hidden)
        self.w2, self.b2 = rng.normal(size=hidden), rng.normal(size=1)
        self.real, self.fake = rng.normal(size=(images, dim)), rng.normal(size=(images, dim))
        self.mix = rng.uniform(size=(images, 1))

    def slopes(self) -> np.ndarray:
        """LReLU's slope at every hidden unit of every mixed example, (b, hidden)."""
        mixed = [t * r + (1 - t) * f for t, r, f in zip(self.mix, self.real, self.fake, strict=True)]
        return np.array([np.where(self.w1 @ x + self.b1 > 0, 1.0, SLOPE) for x in mixed])

    def by_hand(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The penalty and its gradients for W1 and w2: ∇D = W1ᵀ diag(slope) w2 =: v, P = mean (‖v‖ − 1)²."""
        value, to_w1, to_w2 = 0.0, np.zeros_like(self.w1), np.zeros_like(self.w2)
        b = len(self.real)
        for slope in self.slopes():
            v = self.w1.T @ np.diag(slope) @ self.w2
            length = np.sqrt(np.sum(v**2))
            value += (length - 1) ** 2 / b
            to_v = 2 * (length - 1) / b * v / length
            to_w1 += np.outer(slope * self.w2, to_v)
            to_w2 += slope * (self.w1 @ to_v)
        return value, to_w1, to_w2

    def tensors(self, *names: str) -> list[torch.Tensor]:
        return [torch.tensor(getattr(self, name)) for name in names]


def critic(w1, b1, w2, b2, *, column=True):
    def scores(x):
        hidden = x @ w1.T + b1
        hidden = torch.where(hidden > 0, hidden, SLOPE * hidden)
        return hidden @ w2[:, None] + b2 if column else hidden @ w2 + b2

    return scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("column", [True, False])
def test_value_and_gradients_are_those_of_the_closed_form(seed, column):
    case = Case(seed)
    weights = [w.requires_grad_() for w in case.tensors("w1", "b1", "w2", "b2")]
    penalty = gradient_penalty(critic(*weights, column=column), *case.tensors("real", "fake", "mix"))
    value, to_w1, to_w2 = case.by_hand()
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(value, rel=1e-10)
    w1, b1, w2, b2 = torch.autograd.grad(penalty, weights, allow_unused=True)
    np.testing.assert_allclose(w1, to_w1, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(w2, to_w2, rtol=1e-9, atol=1e-12)
    for bias in (b1, b2):  # ∇D is piecewise constant in the biases
        assert bias is None or not bias.any()


def test_gradient_by_finite_differences():
    case, step = Case(4), 1e-6
    _, to_w1, _ = case.by_hand()
    data = case.tensors("real", "fake", "mix")
    w1, *rest = case.tensors("w1", "b1", "w2", "b2")
    for i, j in [(0, 0), (3, 2), (6, 3)]:
        bump = torch.zeros_like(w1)
        bump[i, j] = step
        up, down = (gradient_penalty(critic(w1 + sign * bump, *rest), *data).item() for sign in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(to_w1[i, j], rel=1e-5, abs=1e-7)


def test_mix_one_is_the_real_feature_and_mix_zero_the_fake_one():
    def square(x):  # ∇ = 2x, so the length tells where it was taken
        return (x**2).sum(dim=1, keepdim=True)

    real, fake = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0]])
    for mix, length in [(1.0, 10.0), (0.0, 2.0)]:
        assert gradient_penalty(square, real, fake, torch.tensor([[mix]])).item() == (length - 1) ** 2


def test_length_is_taken_per_example_before_the_mean():
    w1 = torch.eye(2, dtype=torch.float64)
    data = [torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)] * 2
    parts = [w1, torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64), 0.0]
    penalty = gradient_penalty(critic(*parts), *data, torch.full((2, 1), 0.5, dtype=torch.float64))
    assert penalty.item() == pytest.approx((4.0**2 + 0.0**2) / 2)  # lengths 5 and 0.2 · 5 = 1


def test_a_flat_critic_has_penalty_one_and_finite_gradients():
    case = Case(0)
    case.w2 = np.zeros_like(case.w2)
    weights = [w.requires_grad_() for w in case.tensors("w1", "b1", "w2", "b2")]
    penalty = gradient_penalty(critic(*weights), *case.tensors("real", "fake", "mix"))
    assert penalty.item() == 1.0
    for gradient in torch.autograd.grad(penalty, weights, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


def test_inputs_are_left_as_they_were():
    case = Case(1)
    data = case.tensors("real", "fake", "mix")
    gradient_penalty(critic(*case.tensors("w1", "b1", "w2", "b2")), *data)
    for tensor, before in zip(data, case.tensors("real", "fake", "mix"), strict=True):
        assert torch.equal(tensor, before)


def test_value_and_gradient_lift_over_replicas():
    cases = [Case(seed) for seed in range(3)]

    def value(w1, w2, b1, b2, real, fake, mix):
        return gradient_penalty(critic(w1, b1, w2, b2), real, fake, mix)

    names = ("w1", "w2", "b1", "b2", "real", "fake", "mix")
    stacked = [torch.stack(parts) for parts in zip(*(case.tensors(*names) for case in cases), strict=True)]
    (to_w1, to_w2), values = torch.func.vmap(torch.func.grad_and_value(value, argnums=(0, 1)))(*stacked)
    for i, case in enumerate(cases):
        expected, expected_w1, expected_w2 = case.by_hand()
        assert values[i].item() == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(to_w1[i], expected_w1, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(to_w2[i], expected_w2, rtol=1e-9, atol=1e-12)


# --- the controller of the penalty's weight ------------------------------------------------------

RULE = [
    (0.0, 10 / 1.1),
    (0.5, 10 / 1.1),
    (1.0, 10 / 1.1),
    (1.0009, 10 / 1.1),
    (1.001, 10.0),  # both thresholds are strict
    (1.02, 10.0),
    (1.05, 10.0),
    (1.0501, 11.0),
    (50.0, 11.0),
]


@pytest.mark.parametrize(("penalty", "expected"), RULE)
def test_weight_follows_the_rule(penalty, expected):
    weight = torch.tensor(10.0, dtype=torch.float64)
    after = adapt_penalty_weight(weight, torch.tensor(penalty, dtype=torch.float64))
    assert after.shape == ()
    assert after.dtype == torch.float64
    assert after.item() == pytest.approx(expected, rel=1e-14)
    assert weight.item() == 10.0


def test_weight_has_no_bounds():
    high = low = torch.tensor(10.0)
    for _ in range(200):
        high = adapt_penalty_weight(high, torch.tensor(2.0))
        low = adapt_penalty_weight(low, torch.tensor(0.0))
    assert high.item() == pytest.approx(10 * 1.1**200, rel=1e-3)
    assert low.item() == pytest.approx(10 / 1.1**200, rel=1e-3)


def test_rule_works_by_element_and_lifts_over_replicas():
    penalties, expected = (torch.tensor(column, dtype=torch.float64) for column in zip(*RULE, strict=True))
    weights = torch.full_like(penalties, 10.0)
    torch.testing.assert_close(adapt_penalty_weight(weights, penalties), expected)
    torch.testing.assert_close(torch.func.vmap(adapt_penalty_weight)(weights, penalties), expected)
