"""Named random streams: each noise term has its own, so switching one off leaves the others unchanged."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Streams:
    """Random generators of one run, one per name, created on demand.

    A stream's numbers depend only on the run's seed and the stream's name: not on the data, on other streams,
    or on the order in which streams are first used. They are drawn on ``device``.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu", prefix: str = "") -> None:
        self.seed = seed
        self.device = torch.device(device)
        self.prefix = prefix
        self._generators: dict[str, torch.Generator] = {}

    def __getitem__(self, name: str) -> torch.Generator:
        """The generator of this stream; its state advances as it is drawn from."""
        if name not in self._generators:
            key = f"{self.seed}:{self.prefix}{name}".encode()
            number = int.from_bytes(hashlib.sha256(key).digest()[:8], "little") >> 1
            self._generators[name] = torch.Generator(self.device).manual_seed(number)
        return self._generators[name]

    def child(self, name: str) -> Streams:
        """Streams of a part of the run, independent of all others: ``child("final").child("critic")``."""
        return Streams(self.seed, self.device, f"{self.prefix}{name}/")

    def normal(self, name: str, shape: tuple[int, ...], std: float = 1.0) -> Tensor:
        """Normal(0, std²) numbers from the stream ``name``, float32."""
        return torch.randn(shape, generator=self[name], device=self.device) * std

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers on [0, 1) from the stream ``name``, float32."""
        return torch.rand(shape, generator=self[name], device=self.device)

    def state(self) -> dict[str, Tensor]:
        """The state of every stream used so far, as byte tensors."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore states that :meth:`state` returned."""
        for name, value in state.items():
            self[name].set_state(value)
