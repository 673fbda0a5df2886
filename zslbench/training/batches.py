"""Training examples of one step after the other, read ahead where reading takes time."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from zslbench.plugin.interfaces import Batch, Program
from zslbench.plugin.streams import Streams
from zslbench.training.reader import Reader, reads_ahead
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
        self._reader = Reader(program.features, streams.device) if reads_ahead(program.features) else None
        self._ahead: Tensor | None = None  # rows that were drawn and not used yet

    def next(self) -> Batch:
        """The next batch; from then on the one after it is being read."""
        rows = self.next_rows()
        if self._reader is None:
            features = self._program.features[rows]
        else:
            if not self._reader.is_reading:
                self._reader.ask(rows)
            features = self._reader.take()
            self._ahead = self._sampler.next()
            self._reader.ask(self._ahead)
        labels = self._program.labels[rows]
        return Batch(features, labels, self._semantics[labels])

    def next_rows(self) -> Tensor:
        """Row numbers of the next batch, for a caller that takes the features itself."""
        rows = self._sampler.next() if self._ahead is None else self._ahead
        self._ahead = None
        return rows

    def close(self) -> None:
        """End the second thread."""
        if self._reader is not None:
            self._reader.close()

    # --- checkpoints: rows that were drawn and not used yet are part of the state ------------------

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the streams' own state."""
        ahead = {} if self._ahead is None else {"ahead": self._ahead}
        return self._sampler.state() | ahead

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave; whether features are read ahead may have changed since."""
        self._sampler.restore(dict(state))
        if "ahead" in state:
            self._ahead = state["ahead"].to(self._program.labels.device)
        if self._reader is not None:
            self._reader.forget()
