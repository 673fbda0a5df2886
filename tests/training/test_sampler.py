"""Which rows a step sees."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, strategies as st

from zslbench.training.sampler import Sampler
from zslbench.training.streams import Streams

sizes = st.tuples(st.integers(1, 23), st.integers(1, 30))


def batches(sampler: Sampler, count: int) -> list[list[int]]:
    return [sampler.next().tolist() for _ in range(count)]


@given(sizes, st.sampled_from(["independent", "shuffled"]))
def test_a_batch_has_the_size_asked_for_or_all_rows(size, kind):
    n, b = size
    for rows in batches(Sampler(n, b, kind, Streams(0)), 4):
        assert len(rows) == min(n, b)
        assert set(rows) <= set(range(n))


@given(sizes)
def test_independent_batches_hold_no_row_twice(size):
    n, b = size
    assert all(len(set(rows)) == len(rows) for rows in batches(Sampler(n, b, "independent", Streams(1)), 5))


def test_independent_batches_do_not_depend_on_the_ones_before():
    counts = torch.zeros(10)
    repeated = 0
    made = batches(Sampler(10, 4, "independent", Streams(2)), 3000)
    for before, rows in pairwise(made):
        counts[rows] += 1
        repeated += len(set(before) & set(rows))
    assert counts.min() > 1080  # of 1200 expected
    assert repeated / (len(made) - 1) == pytest.approx(4 * 4 / 10, abs=0.08)


@given(sizes, st.integers(0, 3))
def test_shuffled_rows_come_once_in_every_n_draws(size, seed):
    n, b = size
    sampler = Sampler(n, b, "shuffled", Streams(seed))
    flat = [row for rows in batches(sampler, 4 * n) for row in rows]
    for start in range(0, len(flat) - n + 1, n):
        assert sorted(flat[start : start + n]) == list(range(n))


def test_shuffled_orders_are_drawn_anew():
    sampler = Sampler(50, 50, "shuffled", Streams(0))
    first, second = batches(sampler, 2)
    assert first != second != list(range(50))


@given(sizes, st.sampled_from(["independent", "shuffled"]), st.integers(0, 6))
def test_state_goes_on_with_the_same_rows(size, kind, before):
    streams = Streams(9)
    sampler = Sampler(*size, kind, streams)
    batches(sampler, before)
    state = {key: value.clone() for key, value in sampler.state().items()}
    noise = {key: value.clone() for key, value in streams.state().items()}
    expected = batches(sampler, 5)
    other = Streams(9)
    again = Sampler(*size, kind, other)
    other.restore(noise)
    again.restore(state)
    assert batches(again, 5) == expected


def test_batches_use_a_stream_of_their_own():
    quiet, busy = Streams(3), Streams(3)
    one, other = Sampler(9, 4, "shuffled", quiet), Sampler(9, 4, "shuffled", busy)
    for _ in range(6):
        busy.normal("critic.z", (5,))
        assert torch.equal(one.next(), other.next())
