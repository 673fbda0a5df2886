"""Networks in plain NumPy and numerical gradients, to compare losses with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

Nets = dict[str, dict[str, Any]]


def leaky(x: Any) -> Any:
    return np.where(x > 0, x, 0.2 * x)


def affine(net: Mapping[str, Any], layer: str, x: Any) -> Any:
    """The layer row by row."""
    weight, bias = net[f"{layer}.weight"], net[f"{layer}.bias"]
    return np.array([[row @ w + b for w, b in zip(weight, bias, strict=True)] for row in x])


def random_net(rng: Any, **layers: tuple[int, int]) -> dict[str, Any]:
    """Weights (out, in) and biases of order one, so that every term shows."""
    net: dict[str, Any] = {}
    for layer, shape in layers.items():
        net[f"{layer}.weight"], net[f"{layer}.bias"] = rng.normal(size=shape), rng.normal(size=shape[0])
    return net


def tensors(nets: Any) -> Any:
    """The same nested mapping with tensors in place of arrays."""
    if isinstance(nets, Mapping):
        return {name: tensors(one) for name, one in nets.items()}
    return torch.tensor(nets)


def numerical_gradient(loss: Callable[[Nets], float], nets: Nets, of: tuple[str, ...]) -> Nets:
    """Central differences of order four with respect to every entry of the networks ``of``."""
    changed, h = copy.deepcopy(nets), 2e-4
    gradient: Nets = {}
    for name in of:
        gradient[name] = {key: np.zeros_like(value) for key, value in nets[name].items()}
        for key, value in nets[name].items():
            for where in np.ndindex(value.shape):
                found = []
                for step in (-2, -1, 1, 2):
                    changed[name][key][where] = value[where] + step * h
                    found.append(loss(changed))
                changed[name][key][where] = value[where]
                a, b, c, d = found
                gradient[name][key][where] = (a - 8 * b + 8 * c - d) / (12 * h)
    return gradient


def agree(actual: Any, expected: Any, tolerance: float = 1e-8) -> None:
    """Close in every entry, names included."""
    if isinstance(expected, Mapping):
        assert set(actual) == set(expected)
        for name in expected:
            agree(actual[name], expected[name], tolerance)
        return
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


def gradient_of(losses: Callable[[Any], torch.Tensor], nets: Nets, of: tuple[str, ...]) -> Any:
    """The gradient of ``losses(networks)``, as the core computes it, with respect to the networks ``of``."""
    everything = tensors(nets)

    def loss(trained: Any) -> torch.Tensor:
        return losses({**everything, **trained})

    return torch.func.grad(loss)({name: everything[name] for name in of})
