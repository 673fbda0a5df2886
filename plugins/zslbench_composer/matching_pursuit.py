"""Non-negative orthogonal matching pursuit with a fixed number of steps, for many targets at once.

Each step adds the atom that correlates most with the residual, then fits the target anew by non-negative
least squares on the atoms so far. A target stops early when its residual is small, or correlates with no
further atom. The first atom is always taken, so that every target has one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_CORRELATES = 1e-9
"""The least correlation, as a share of the target's squared length. Below it lies rounding."""
_SMALL = 1e-3
"""A residual is small below this fraction of the target's length, times its root mean square (code: tol)."""
_RIDGE = 1e-10
"""Added to the squared lengths of atoms: fits of atoms that depend on each other then have one solution."""


class Support(NamedTuple):
    """The atoms that represent each target."""

    atoms: Int[Tensor, "b k"]
    """Rows of the dictionary in the order in which they were added; arbitrary where ``used`` is false."""
    used: Bool[Tensor, "b k"]
    """False for steps after a target stopped."""


def support(atoms: Float[Tensor, "z d"], targets: Float[Tensor, "b d"], k: int) -> Support:
    """The at most k atoms that matching pursuit takes for each target; a pure function, without gradients.

    It computes in float64. A step compares all 2^k subsets of atoms, so k is small.
    """
    atoms, targets = atoms.detach().double(), targets.detach().double()
    gram, fits, length = atoms @ atoms.T, targets @ atoms.T, targets.norm(dim=1)
    residual, going = targets, torch.ones_like(length, dtype=torch.bool)
    chosen = torch.zeros(len(fits), 0, dtype=torch.long, device=fits.device)
    used = chosen.bool()
    for step in range(k):
        correlations = residual @ atoms.T
        best = correlations.argmax(dim=1, keepdim=True)
        taken = ((chosen == best) & used).any(dim=1)
        large = residual.norm(dim=1) >= _SMALL * length**2 / targets.shape[1] ** 0.5
        grows = large & (correlations.amax(dim=1) > _CORRELATES * length**2) & ~taken
        going = going & grows if step else going
        chosen, used = torch.cat([chosen, best], dim=1), torch.cat([used, going[:, None]], dim=1)
        among = gram[chosen[:, :, None], chosen[:, None]]
        weights = non_negative(among, fits.gather(1, chosen), used)
        residual = targets - (weights[:, :, None] * atoms[chosen]).sum(dim=1)
    return Support(chosen, used)


def non_negative(
    gram: Float[Tensor, "b m m"], fits: Float[Tensor, "b m"], used: Bool[Tensor, "b m"]
) -> Float[Tensor, "b m"]:
    """c ≥ 0 that minimises ‖t − Σ c_i x_i‖², from x_iᵀ x_j and x_iᵀ t: the best of the plain least-squares
    fits on subsets that happen to be non-negative. Atoms that are not used get 0."""
    m = fits.shape[1]
    bits = torch.arange(2**m, device=fits.device)[:, None] >> torch.arange(m, device=fits.device) & 1
    inside = bits.bool() & used[:, None]  # (b, 2^m, m)
    both = inside[..., :, None] & inside[..., None, :]
    identity = torch.eye(m, dtype=fits.dtype, device=fits.device)
    system = torch.where(both, gram[:, None] + _RIDGE * identity, identity)
    c = solve(system, torch.where(inside, fits[:, None], 0))
    gain = torch.where((c >= 0).all(dim=2), (c * fits[:, None]).sum(dim=2), -torch.inf)
    best = gain.argmax(dim=1)[:, None, None].expand(-1, 1, m)
    return c.gather(1, best)[:, 0]


def solve(system: Float[Tensor, "*n m m"], right: Float[Tensor, "*n m"]) -> Float[Tensor, "*n m"]:
    """The solution of small positive-definite systems by elimination: unlike a library's, a CUDA graph can
    hold it."""
    m = right.shape[-1]
    rows = torch.cat([system, right[..., None]], dim=-1)
    is_row = torch.eye(m, dtype=torch.bool, device=right.device)
    for i in range(m):
        pivot = rows[..., i : i + 1, :] / rows[..., i : i + 1, i : i + 1]
        rows = torch.where(is_row[i][:, None], pivot, rows - rows[..., :, i : i + 1] * pivot)
    return rows[..., -1]
