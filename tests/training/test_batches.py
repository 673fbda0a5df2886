"""Batches that are read ahead in a second thread: the same as others, wherever training is stopped."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from torch.utils._pytree import tree_leaves

from zslbench.errors import Interrupted
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.training import program_run
from zslbench.training.iteration import ProgramInputs
from zslbench.training.loop import Training, train

SEMANTICS = torch.eye(3)
LABELS = torch.arange(10) % 3
REGIONS = torch.randn(10, 4, 2, generator=torch.Generator().manual_seed(0))
EPOCHS, ITERATIONS = 2, 3


class Slow:
    """Region features on a disk: read by row, in whichever thread asks."""

    read_ahead = True

    def __init__(self, fails_at: int | None = None) -> None:
        self.threads: list[str] = []
        self.fails_at = fails_at

    def __len__(self) -> int:
        return len(REGIONS)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        self.threads.append(threading.current_thread().name)
        if len(self.threads) == self.fails_at:
            raise OSError("the disk is gone")
        return REGIONS[rows]


def losses(nets, batch, noise):
    out = batch.features.mean(dim=1) @ nets["net"]["w"] - batch.semantics + noise["z"]
    return Losses((out**2).mean(), {})


def program(features, sampler="shuffled"):
    step = Step("step", losses, updates=("net",), noise={"z": Normal((3,))})
    return Program(
        initial=lambda streams: {"net": {"w": streams.normal("w", (2, 3))}},
        passes=((step, replace(step, name="again", fresh_batch=False)), (step, step)),
        optimizers={"net": Optimizer("adam", lr=0.05)},
        features=features,
        labels=LABELS,
        epochs=EPOCHS,
        batch_size=4,
        sampler=sampler,
        iterations=ITERATIONS,
    )


def same(one, other):
    return torch.equal(one.networks["net"]["w"], other.networks["net"]["w"]) and one.epochs == other.epochs


@pytest.mark.parametrize("sampler", ["shuffled", "independent", "balanced"])
def test_reading_ahead_changes_no_batch(sampler):
    plain = ProgramInputs(program(REGIONS, sampler), SEMANTICS, Streams(3))
    ahead = ProgramInputs(program(Slow(), sampler), SEMANTICS, Streams(3))
    for _ in range(8):
        one, other = plain.draw_batch(4), ahead.draw_batch(4)
        for mine, theirs in zip(tree_leaves(one), tree_leaves(other), strict=True):
            assert torch.equal(mine, theirs)
    ahead.close()


def test_it_is_read_in_a_second_thread_one_batch_ahead():
    features = Slow()
    batches = ProgramInputs(program(features), SEMANTICS, Streams(0))
    for _ in range(3):
        batches.draw_batch(4)
    batches.close()
    assert threading.current_thread().name not in features.threads
    assert len(features.threads) in (3, 4)  # the fourth was asked for, and may have been called off


def test_the_thread_ends_with_training():
    before = threading.active_count()
    train(program(Slow()), SEMANTICS, Training(Streams(0)))
    assert threading.active_count() == before
    with pytest.raises(Interrupted):
        train(program(Slow()), SEMANTICS, Training(Streams(0), stop_requested=lambda: True))
    assert threading.active_count() == before


def test_a_fault_while_reading_ahead_is_raised_where_the_batch_is_used():
    before = threading.active_count()
    for at in (1, 2, 5):
        with pytest.raises(OSError, match="the disk is gone"):
            train(program(Slow(at)), SEMANTICS, Training(Streams(0)))
    assert threading.active_count() == before


@pytest.mark.parametrize("sampler", ["shuffled", "independent", "balanced"])
def test_stopped_anywhere_it_goes_on_with_the_same_bits(tmp_path, sampler):
    """Rows that were drawn ahead and not used are part of a checkpoint."""
    whole = train(program(REGIONS, sampler), SEMANTICS, Training(Streams(5)))
    for features in (REGIONS, Slow()):
        assert same(train(program(features, sampler), SEMANTICS, Training(Streams(5))), whole)
    stops = EPOCHS * (2 * ITERATIONS - 1)
    for count in range(stops):
        folder = tmp_path / str(count)
        answers = iter([False] * count + [True])
        training = Training(Streams(5), folder=folder, stop_requested=lambda a=answers: next(a))
        with pytest.raises(Interrupted):
            train(program(Slow(), sampler), SEMANTICS, training)
        # Whether it is read ahead is no part of the result: another machine may have room for all of it.
        for kind in (Slow, lambda: REGIONS):
            again = train(program(kind(), sampler), SEMANTICS, Training(Streams(5), folder=folder))
            assert same(again, whole), count


def test_stopped_after_every_iteration(tmp_path):
    whole = train(program(Slow()), SEMANTICS, Training(Streams(5)))
    stops = 0
    while stops < 100:
        try:
            training = Training(Streams(5), folder=tmp_path, stop_requested=lambda: True)
            again = train(program(Slow()), SEMANTICS, training)
            break
        except Interrupted:
            stops += 1
    assert stops == EPOCHS * (2 * ITERATIONS - 1)
    assert same(again, whole)


def test_checkpoints_between_batches_change_nothing(tmp_path, monkeypatch):
    saved = []
    plain = program_run.ProgramRun.save
    monkeypatch.setattr(program_run.ProgramRun, "save", lambda self: (saved.append(1), plain(self)))
    whole = train(program(REGIONS), SEMANTICS, Training(Streams(5)))
    often = train(program(Slow()), SEMANTICS, Training(Streams(5), folder=tmp_path, checkpoint_seconds=0.0))
    assert same(often, whole) and len(saved) > EPOCHS
