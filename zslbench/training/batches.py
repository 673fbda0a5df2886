"""Training examples of one step after the other, read ahead where reading takes time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from zslbench.interfaces import Batch, Program, Streams
from zslbench.training.sampler import Sampler


class Batches:
    """The batches of a program.

    Features that say ``read_ahead = True`` (region features on a disk) are read in a second thread while the
    step before is computed; which rows a batch has does not depend on it.
    """

    def __init__(self, program: Program, semantics: Tensor, streams: Streams) -> None:
        self._program, self._semantics = program, semantics
        self._sampler = Sampler(
            len(program.labels), program.batch_size, program.sampler, streams, program.labels
        )
        self._reader = ThreadPoolExecutor(1) if getattr(program.features, "read_ahead", False) else None
        self._next: tuple[Tensor, Future[Tensor]] | None = None

    def next(self) -> Batch:
        """The next batch; from then on the one after it is being read."""
        if self._reader is None:
            rows = self._sampler.next()
            features = self._program.features[rows]
        else:
            rows, reading = self._next or self._begin(self._sampler.next())
            features = reading.result()
            self._next = self._begin(self._sampler.next())
        labels = self._program.labels[rows]
        return Batch(features, labels, self._semantics[labels])

    def _begin(self, rows: Tensor) -> tuple[Tensor, Future[Tensor]]:
        assert self._reader is not None
        return rows, self._reader.submit(self._program.features.__getitem__, rows)

    def close(self) -> None:
        """End the second thread."""
        if self._reader is not None:
            self._reader.shutdown(wait=True, cancel_futures=True)

    # --- checkpoints: rows that were drawn and not used yet are part of the state ------------------

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the streams' own state."""
        ahead = {"ahead": self._next[0]} if self._next else {}
        return self._sampler.state() | ahead

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        self._sampler.restore(dict(state))
        if "ahead" in state:
            rows = state["ahead"].to(self._program.labels.device)
            self._next = self._begin(rows)
