"""Writes batches in a thread of its own, so that the backbone need not wait for the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from zslbench_data.extraction.resumable import ResumableWriter

_PENDING = 2
"""Batches that wait to be written."""


class Writing:
    """A thread that writes batches in order; a fault there is raised by the next call here."""

    def __init__(self, writer: ResumableWriter) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "zslbench-regions")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Writing:
        return self

    def add(self, regions: Tensor, event: torch.cuda.Event | None) -> None:
        def write() -> None:
            if event is not None:
                event.synchronize()
            self._writer.add(regions.numpy())

        self._submit(write)

    def checkpoint(self) -> None:
        self._submit(self._writer.checkpoint)

    def _submit(self, what: Callable[[], None]) -> None:
        while len(self._pending) >= _PENDING:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(what))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:
            for one in self._pending:
                one.result()
