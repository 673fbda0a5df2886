"""Where a run of CADA-VAE differs from the paper and from the released code, for ``zslbench show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

START = "classifier initialisation", "N(0, 0.02²); in the released code Xavier's uniform with gain ½"


def draws(generator: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where z is not drawn from N(μ, σ²)."""
    exponent = generator.get("sigma_exponent", 0.5)
    if exponent != 0.5:
        yield "z", f"μ + ε exp({exponent:g} log σ²), as released; a sample of N(μ, σ²) needs exp(½ log σ²)"
    if generator.get("shared_noise"):
        yield "ε", "one number for all dimensions of a z, as released"


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What differs from the paper, and from edgarschnfld/CADA-VAE-PyTorch at 26f0085."""
    yield from draws(settings["generator"])
    yield "test images", "scaled by the training images' range; the released code scales each part by its own"
    yield START
