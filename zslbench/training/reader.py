"""Reads rows in a second thread, onto the device by a stream of its own, while the device computes.

Two batches are in memory at a time: the one that is computed on and the one that is read. On a GPU the
reader waits for the row numbers alone, never for what is computed there; the copy from pinned memory overlaps
with it, and whoever takes the rows has the device wait for the copy, not the host. On a CPU the second thread
spends its time on the disk and on copies; torch computes on as many threads as before.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Rows


@runtime_checkable
class Order(Protocol):
    """In which order the device does what two threads ask of it."""

    def asked(self) -> Any:
        """In the thread that asks: marks where the row numbers are there."""

    def read(self, features: Rows, rows: Tensor, asked: Any) -> tuple[Tensor, Any]:
        """In the second thread: the rows, and a mark for where they are there."""

    def taken(self, values: Tensor, there: Any) -> Tensor:
        """In the thread that asked: what follows comes after the mark."""


class OnCpu:
    """Nothing is done later than it is asked for."""

    def asked(self) -> None:
        return None

    def read(self, features: Rows, rows: Tensor, asked: None) -> tuple[Tensor, None]:
        return features[rows], None

    def taken(self, values: Tensor, there: None) -> Tensor:
        return values


class OnCuda:
    """A side stream for the second thread, and events between it and the computing stream."""

    def __init__(self, device: torch.device) -> None:
        # The second thread has a current GPU of its own, the first one.
        index = torch.cuda.current_device() if device.index is None else device.index
        self._device = torch.device("cuda", index)
        self._side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def asked(self) -> Any:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return event

    def read(self, features: Rows, rows: Tensor, asked: Any) -> tuple[Tensor, Any]:
        with torch.cuda.device(self._device), torch.cuda.stream(self._side):
            self._side.wait_event(asked)
            rows.record_stream(self._side)  # as below, the other way round
            values = features[rows]
            there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            there.record(self._side)
        return values, there

    def taken(self, values: Tensor, there: Any) -> Tensor:
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(there)
        values.record_stream(stream)  # its memory is the side stream's, which must not use it again too early
        return values


class Reader:
    """Reads ahead: what was asked for first is taken first."""

    def __init__(self, features: Rows, device: torch.device, order: Order | None = None) -> None:
        self._features = features
        self._order: Order = order or (OnCuda(device) if device.type == "cuda" else OnCpu())
        self._pool = ThreadPoolExecutor(1)
        self._reading: list[Future[tuple[Tensor, Any]]] = []

    @property
    def is_reading(self) -> bool:
        """Whether something was asked for that was not taken yet."""
        return bool(self._reading)

    def ask(self, rows: Tensor) -> None:
        """Begin to read."""
        asked = self._order.asked()
        self._reading.append(self._pool.submit(self._order.read, self._features, rows, asked))

    def take(self) -> Tensor:
        """What was asked for, once it is there; raises what reading raised."""
        return self._order.taken(*self._reading.pop(0).result())

    def forget(self) -> None:
        """What was asked for is not wanted any more."""
        self._reading.clear()

    def close(self) -> None:
        """End the second thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def reads_ahead(features: Rows) -> bool:
    """Whether reading these takes so long that it is best done ahead."""
    return bool(getattr(features, "read_ahead", False))
