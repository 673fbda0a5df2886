"""Which rows a step sees."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, strategies as st

from zslbench.plugin.streams import Streams
from zslbench.training.batches import Sampler

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


@given(sizes, st.sampled_from(["independent", "shuffled", "balanced"]), st.integers(0, 6))
def test_state_goes_on_with_the_same_rows(size, kind, before):
    streams, labels = Streams(9), torch.arange(size[0]) % 5
    sampler = Sampler(*size, kind, streams, labels)
    batches(sampler, before)
    state = {key: value.clone() for key, value in sampler.state().items()}
    noise = {key: value.clone() for key, value in streams.state().items()}
    expected = batches(sampler, 5)
    other = Streams(9)
    again = Sampler(*size, kind, other, labels)
    other.restore(noise)
    again.restore(state)
    assert batches(again, 5) == expected


# --- balanced over classes ------------------------------------------------------------------------

class_sizes = st.lists(st.integers(1, 6), min_size=1, max_size=9)


def balanced(counts: list[int], b: int, seed: int = 0) -> tuple[Sampler, torch.Tensor]:
    """A sampler of classes of these sizes, whose ids are no contiguous block, in mixed order."""
    labels = torch.repeat_interleave(3 * torch.arange(len(counts)) + 1, torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    return Sampler(len(labels), b, "balanced", Streams(seed), labels), labels


@given(class_sizes, st.integers(1, 30), st.integers(0, 3))
def test_balanced_batches_have_every_class_as_often_as_any_other(counts, b, seed):
    """Of b examples from M classes each gets b // M or one more; with b <= M there are b classes."""
    sampler, labels = balanced(counts, b, seed)
    size = min(b, len(labels))
    for rows in batches(sampler, 5):
        assert len(rows) == size
        drawn = torch.bincount(labels[rows], minlength=3 * len(counts))[labels.unique()]
        share, more = divmod(size, len(counts))
        assert sorted(drawn.tolist()) == [share] * (len(counts) - more) + [share + 1] * more
        # A class's examples are all different as long as it has so many, and else equally often there.
        times = torch.bincount(torch.tensor(rows), minlength=len(labels))
        for one, count in zip(labels.unique(), drawn, strict=True):
            of_class = times[labels == one]
            assert of_class.sum() == count
            assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize("b", [40, 64, 79, 80, 100])
def test_balanced_batches_of_more_than_the_classes_are_whole(b):
    """AWA2 has 40 seen classes; of 64 or 79 the authors' sampler would give 40 rows."""
    sampler, labels = balanced([30] * 40, b)
    for rows in batches(sampler, 3):
        drawn = torch.bincount(labels[rows])[labels.unique()]
        assert len(rows) == b == len(set(rows))
        assert set(drawn.tolist()) <= {b // 40, -(-b // 40)}


def test_balanced_batches_are_drawn_anew_and_without_favour():
    """Every class as often as any other whatever its size, and in it every example."""
    counts = [1, 2, 5, 12]
    sampler, labels = balanced(counts, 2)
    made = batches(sampler, 4000)
    seen = torch.bincount(torch.tensor(made).flatten(), minlength=len(labels)).double()
    for one, count in zip(labels.unique(), counts, strict=True):
        expected = 2 * 4000 / 4 / count
        assert (seen[labels == one] - expected).abs().max() < 5 * expected**0.5
    first = torch.bincount(labels[torch.tensor(made)[:, 0]])[labels.unique()]
    assert (first - 1000).abs().max() < 5 * 1000**0.5  # nor do the same classes always come first


def test_the_classes_that_get_one_more_change():
    sampler, labels = balanced([5] * 4, 6)
    doubled = torch.zeros(4)
    for rows in batches(sampler, 2000):
        doubled += (torch.bincount(labels[rows])[labels.unique()] == 2).double()
    assert (doubled - 1000).abs().max() < 5 * 500**0.5


def test_batches_use_a_stream_of_their_own():
    quiet, busy = Streams(3), Streams(3)
    one, other = Sampler(9, 4, "shuffled", quiet), Sampler(9, 4, "shuffled", busy)
    for _ in range(6):
        busy.normal("critic.z", (5,))
        assert torch.equal(one.next(), other.next())
