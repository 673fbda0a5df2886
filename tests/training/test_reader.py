"""Reading ahead: order, faults, and what the computing and the reading side wait for."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from zslbench.training.batches import Reader, in_chunks

REGIONS = torch.arange(3000 * 4.0).reshape(3000, 2, 2)


class Slow:
    """Region features that are read in pieces."""

    read_ahead = True

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[list[int]] = []
        self.threads: set[int] = set()
        self.fails = fails

    def __len__(self) -> int:
        return len(REGIONS)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        self.threads.add(threading.get_ident())
        self.asked.append(rows.tolist())
        if self.fails and len(self.asked) > 2:
            raise OSError("the disk is gone")
        return REGIONS[rows]


class Noted(Reader):
    """Notes who does what; marks are numbers."""

    def __init__(self) -> None:
        super().__init__(Slow())
        self.notes: list[tuple[str, Any, int]] = []
        self.marks = 0

    def _mark(self) -> Any:
        self.marks += 1
        self.notes.append(("asked", self.marks, threading.get_ident()))
        return self.marks

    def _read(self, rows: torch.Tensor, requested: Any) -> tuple[torch.Tensor, Any]:
        self.notes.append(("read", requested, threading.get_ident()))
        return self._features[rows], f"there {requested}"

    def _receive(self, values: torch.Tensor, ready: Any) -> torch.Tensor:
        self.notes.append(("taken", ready, threading.get_ident()))
        return values


def test_each_side_waits_for_the_others_mark() -> None:
    reader = Noted()
    for numbers in ([1, 2], [7]):
        reader.request(torch.tensor(numbers))
    assert reader.is_reading
    assert torch.equal(reader.take(), REGIONS[[1, 2]]) and torch.equal(reader.take(), REGIONS[[7]])
    assert not reader.is_reading
    reader.close()
    here = threading.get_ident()
    of = {
        name: [(mark, where) for what, mark, where in reader.notes if what == name]
        for name in ("asked", "read", "taken")
    }
    assert of["asked"] == [(1, here), (2, here)]
    assert of["taken"] == [("there 1", here), ("there 2", here)]
    assert [mark for mark, _ in of["read"]] == [1, 2] and all(where != here for _, where in of["read"])


def test_what_is_forgotten_is_not_given() -> None:
    reader = Reader(Slow())
    reader.request(torch.tensor([1]))
    reader.forget()
    assert not reader.is_reading
    reader.request(torch.tensor([5]))
    assert torch.equal(reader.take(), REGIONS[[5]])
    reader.close()


def test_pieces_come_in_order_and_are_read_in_a_second_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zslbench.training.batches.CHUNK_BYTES", 4 * 4 * 700)
    slow = Slow()
    before = threading.active_count()
    pieces = list(in_chunks(slow))
    assert [len(one) for one in pieces] == [700] * 4 + [200]
    assert torch.equal(torch.cat(pieces), REGIONS)
    assert threading.active_count() == before
    assert slow.asked[1:] == [list(range(k, min(k + 700, 3000))) for k in range(0, 3000, 700)]
    assert len(slow.threads) == 2  # the size of a row was looked at here


def test_at_most_two_pieces_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zslbench.training.batches.CHUNK_BYTES", 4 * 4 * 500)
    slow = Slow()
    for given, _ in enumerate(in_chunks(slow), 1):
        assert len(slow.asked) - 1 <= given + 1


def test_a_fault_is_raised_where_the_piece_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zslbench.training.batches.CHUNK_BYTES", 4 * 4 * 500)
    before = threading.active_count()
    pieces = in_chunks(Slow(fails=True))
    next(pieces)
    with pytest.raises(OSError, match="the disk is gone"):
        list(pieces)
    assert threading.active_count() == before


def test_whoever_stops_early_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zslbench.training.batches.CHUNK_BYTES", 4 * 4 * 500)
    before = threading.active_count()
    pieces = in_chunks(Slow())
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
