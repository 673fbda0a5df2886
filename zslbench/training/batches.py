"""The examples of each step: which rows are drawn, and how they are read, ahead where reading takes time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from zslbench.plugin.programs import Episodic, Sampling
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Rows

CHUNK_ROWS = 1024
"""Rows per chunk of global features."""
CHUNK_BYTES = 64 * 2**20
"""Upper bound on a chunk of region features, as float32."""


class Sampler:
    """Draws the row numbers of successive batches, on the device.

    ``balanced``: of b examples from M classes each class gets b // M, and a random choice of b mod M classes
    gets one more (so with b < M there are b different classes with one example each). A class with fewer
    examples than its share repeats them.

    Args:
        rows: number of examples.
        batch_size: rows per batch, capped at the number of examples (an episode repeats them).
        kind: see :data:`zslbench.plugin.programs.Sampling`.
        labels: classes of the examples, for ``balanced`` and episodes.
        stream: the stream that it draws from.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        kind: Sampling,
        streams: Streams,
        labels: Int[Tensor, " n"] | None = None,
        stream: str = "batches",
    ) -> None:
        self.rows = rows
        self.size = batch_size if isinstance(kind, Episodic) else min(batch_size, rows)
        self.kind = kind
        self._streams, self._stream = streams, stream
        self._order = torch.empty(0, dtype=torch.int64, device=streams.device)
        self._position = 0
        if kind == "balanced" or isinstance(kind, Episodic):
            assert labels is not None
            _, self._class, self._count = torch.unique(labels, return_inverse=True, return_counts=True)
            self._first = self._count.cumsum(0) - self._count

    def next(self) -> Int[Tensor, " b"]:
        if self.kind == "independent":
            return self._permutation(self.rows)[: self.size]
        if self.kind != "shuffled":
            return self._by_class()
        while len(self._order) - self._position < self.size:
            left = self._order[self._position :]
            self._order, self._position = torch.cat([left, self._permutation(self.rows)]), 0
        batch = self._order[self._position : self._position + self.size]
        self._position += self.size
        return batch

    def _by_class(self) -> Tensor:
        classes = len(self._count)
        # Rows grouped by class, shuffled within each class.
        mixed = self._permutation(self.rows)
        grouped = mixed[torch.argsort(self._class[mixed], stable=True)]
        # Classes are shuffled, then take turns, or follow one another in an episode.
        turn = torch.arange(self.size, device=self._streams.device)
        if isinstance(self.kind, Episodic):
            place, image = turn // self.kind.images, turn % self.kind.images
        else:
            place, image = turn % classes, turn // classes
        of_class = self._permutation(classes)[place]
        return grouped[self._first[of_class] + image % self._count[of_class]]

    def _permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self._streams[self._stream], device=self._streams.device)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs in addition to the stream's own state."""
        return {"order": self._order[self._position :]}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._order, self._position = state["order"].to(self._streams.device), 0


class Reader:
    """Reads rows in a second thread while the device computes; requests are answered in order.

    The second thread waits for the disk and copies; torch computes on as many threads as before.
    """

    def __init__(self, features: Rows) -> None:
        self._features = features
        self._pool = ThreadPoolExecutor(1)
        self._pending: list[Future[tuple[Tensor, Any]]] = []

    @property
    def is_reading(self) -> bool:
        """Whether there is a request that has not been taken."""
        return bool(self._pending)

    def request(self, rows: Tensor) -> None:
        """Start reading these rows."""
        self._pending.append(self._pool.submit(self._read, rows, self._mark()))

    def take(self) -> Tensor:
        """The rows of the oldest request; raises what reading them raised."""
        return self._receive(*self._pending.pop(0).result())

    def forget(self) -> None:
        """Drop all requests."""
        self._pending.clear()

    def close(self) -> None:
        """End the second thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- order of the device's work, of which a CPU needs none ---------------------------------------

    def _mark(self) -> Any:
        """Computing thread: an event after which the requested row numbers are on the device."""
        return None

    def _read(self, rows: Tensor, requested: Any) -> tuple[Tensor, Any]:
        """Reading thread: the rows, and an event after which they are on the device."""
        return self._features[rows], None

    def _receive(self, values: Tensor, ready: Any) -> Tensor:
        """Computing thread: later work on the device waits for ``ready``."""
        return values


class CudaReader(Reader):
    """Reads on a side stream, so that the copy from pinned memory overlaps with computation. The device waits
    for events; the host waits for nothing."""

    def __init__(self, features: Rows, device: torch.device) -> None:
        super().__init__(features)
        # The current GPU is a property of the thread, and the reading thread's would be the first GPU.
        index = torch.cuda.current_device() if device.index is None else device.index
        self._device = torch.device("cuda", index)
        self._side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def _mark(self) -> Any:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _read(self, rows: Tensor, requested: Any) -> tuple[Tensor, Any]:
        with torch.cuda.device(self._device), torch.cuda.stream(self._side):
            self._side.wait_event(requested)
            rows.record_stream(self._side)  # its memory must not be reused while the side stream reads it
            values = self._features[rows]
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(self._side)
        return values, ready

    def _receive(self, values: Tensor, ready: Any) -> Tensor:
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(ready)
        values.record_stream(stream)  # the side stream must not reuse this memory too early
        return values


def reader_of(features: Rows, device: torch.device) -> Reader | None:
    """A reader, if the features say that reading them is slow (``read_ahead = True``)."""
    if not getattr(features, "read_ahead", False):
        return None
    return CudaReader(features, device) if device.type == "cuda" else Reader(features)


def in_chunks(
    features: Rows, device: torch.device | str = "cpu", *, rows: int = CHUNK_ROWS
) -> Iterator[Tensor]:
    """All rows in order, in chunks: 1024 rows where a row is a vector, else at most 64 MiB.

    Features that are slow to read are read one chunk ahead.

    Args:
        device: where the features are.
        rows: most rows of a chunk, rounded down to a power of two: matrix products of such sizes round like
            those of whole chunks.
    """
    size = min(CHUNK_ROWS, 1 << max(0, rows.bit_length() - 1))
    if len(features):
        first = features[torch.zeros(1, dtype=torch.int64, device=device)]
        if first.ndim > 2:
            size = max(1, min(size, CHUNK_BYTES // (4 * first.numel())))
    chunks = (
        torch.arange(start, min(start + size, len(features)), device=device)
        for start in range(0, len(features), size)
    )
    reader = reader_of(features, torch.device(device))
    if reader is None:
        for chunk in chunks:
            yield features[chunk]
        return
    with contextlib.closing(reader):
        for chunk in chunks:
            was_reading = reader.is_reading
            reader.request(chunk)
            if was_reading:
                yield reader.take()
        while reader.is_reading:
            yield reader.take()
