"""What has to be done at least: operations and bytes, and the time that the machine needs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.machine import Machine


@dataclass(frozen=True)
class Work:
    """Of one unit (a sub-step, an image ...)."""

    flops: float
    least_bytes: float
    """Read or written even if every intermediate result stayed in a cache."""
    executed_bytes: float | None
    """Operands and results of every operation as it is executed, one by one; None: not counted."""

    def limit(self, machine: Machine) -> float:
        """Seconds that the machine needs at least: for the operations or for the least bytes."""
        return max(self.flops / machine.multiplied, self.least_bytes / machine.copied)

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.least_bytes + other.least_bytes,
            _sum(self.executed_bytes, other.executed_bytes),
        )

    def __truediv__(self, count: float) -> Work:
        executed = None if self.executed_bytes is None else self.executed_bytes / count
        return Work(self.flops / count, self.least_bytes / count, executed)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


class _Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up operands and results, and notes which of the known tensors are read."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.known = {tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in known}
        self.touched: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands, results = _tensors((args, kwargs or {})), _tensors(result)
        for one in operands:
            self.touched.add(one.untyped_storage().data_ptr())
        if not func.is_view:
            self.total += sum(one.nbytes for one in (*operands, *results))
        return result

    @property
    def read(self) -> int:
        """Bytes of the known tensors that were operands."""
        return sum(self.known[one] for one in self.touched & self.known.keys())


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [one for part in tree for one in _tensors(part)] if isinstance(tree, list | tuple) else []


def counted(call: Callable[[], Any], inputs: Iterable[Tensor], written: float = 0.0) -> Work:
    """The work of a call.

    Args:
        inputs: tensors that are there before it: parameters, data. Those that it touches are read at least
            once.
        written: bytes that must be written and, for running state, read besides.
    """
    with FlopCounterMode(display=False) as flops:
        call()
    known = list(inputs)
    with _Bytes(known) as bytes_:
        call()
    return Work(flops.get_total_flops(), bytes_.read + written, bytes_.total)
