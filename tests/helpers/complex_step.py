"""Gradients of NumPy functions by the complex step: Im f(x + ih) / h with h = 1e-30.

They are exact to machine precision, and kinks such as ReLU's do not disturb them. The functions consist of
what is analytic and of branches on real parts; ``magnitude`` and ``length`` replace NumPy's, which are
not analytic. ``held`` is what autograd calls ``detach``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from by_hand import Nets

STEP = 1e-30


def complex_gradient(loss: Callable[[Nets], Any], nets: Nets, of: tuple[str, ...]) -> Nets:
    """The derivative of ``loss`` with respect to every entry of the networks ``of``."""
    gradient: Nets = {}
    for net in of:
        gradient[net] = {}
        for name, values in nets[net].items():
            gradient[net][name] = np.zeros(values.shape)
            for where in np.ndindex(values.shape):
                moved = values.astype(complex)
                moved[where] += 1j * STEP
                changed = {**nets, net: {**nets[net], name: moved}}
                gradient[net][name][where] = np.imag(loss(changed)) / STEP
    return gradient


def held(x: Any) -> Any:
    """x as a constant."""
    return np.real(x)


def relu(x: Any) -> Any:
    return np.where(np.real(x) > 0, x, 0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def magnitude(x: Any) -> Any:
    """|x| of what is real but for the step."""
    return np.where(np.real(x) > 0, x, -x)


def length(x: Any) -> Any:
    """‖row‖₂."""
    return np.sqrt((x * x).sum(axis=-1))


def log_sum_exp(x: Any) -> Any:
    """Over the last axis."""
    return np.log(np.exp(x).sum(axis=-1))
