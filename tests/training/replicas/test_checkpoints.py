"""Programs that train together and are stopped: they go on with the same bits, whoever is there."""

from __future__ import annotations

import itertools

import pytest

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training, train
from zslbench.training.replicas import group as groups
from zslbench.training.threads import Group

EPOCHS = {0: 2, 1: 1, 2: 3}
"""Where each seed stops."""
ITERATIONS = 2 * 2


@pytest.fixture
def make(toy):
    return lambda seed: toy.a_program(seed, per_seed=True, epochs=3)


def on_epoch(own, epoch, nets):
    return {"val_h": nets["one"]["w"].sum().item()}


def stops_after(count):
    calls = itertools.count()
    return lambda: next(calls) == count


def test_stopped_after_any_iteration(toy, make, tmp_path):
    """Also once the seed with the shortest schedule has ended."""
    whole, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch)
    # Between the iterations of an epoch a stop can be seen.
    for count in range(3 * (ITERATIONS - 1)):
        here = tmp_path / str(count)
        places = {"folder": here / "own", "group_folder": here / "group"}
        stopped, _ = toy.together(
            make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch, stop_requested=stops_after(count), **places
        )
        ended = [seed for seed in (0, 1, 2) if not isinstance(stopped[seed], Interrupted)]
        assert ended == [seed for seed in (0, 1, 2) if count // (ITERATIONS - 1) >= EPOCHS[seed]]
        again, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch, **places)
        for one, other in zip(again, whole, strict=True):
            assert toy.is_same(one, other), count


def test_stopped_after_every_iteration(toy, make, tmp_path):
    whole, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch)
    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group"}
    starts, ends = 0, [Interrupted()]
    while any(isinstance(end, Interrupted) for end in ends) and starts < 100:
        starts += 1
        ends, _ = toy.together(
            make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch, stop_requested=lambda: True, **places
        )
    assert starts == 3 * (ITERATIONS - 1) + 1
    assert all(toy.is_same(one, other) for one, other in zip(ends, whole, strict=True))


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("stopper", [0, 1, 2])
def test_stopped_in_the_evaluation_of_any_seed(toy, make, tmp_path, stopper, seconds):
    whole, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch)

    def stopping(own, epoch, nets):
        if (own.streams.seed, epoch) == (stopper, 1):
            raise Interrupted("stop")
        return on_epoch(own, epoch, nets)

    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group", "checkpoint_seconds": seconds}
    stopped, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=stopping, **places)
    # A seed may have ended its schedule with the epoch whose evaluation was stopped for another.
    assert all(isinstance(end, Interrupted) for seed, end in enumerate(stopped) if seed != 1)
    steps = []
    again, _ = toy.together(
        make,
        [0, 1, 2],
        until=EPOCHS,
        on_epoch=on_epoch,
        stop_requested=lambda: bool(steps.append(1)),
        **places,
    )
    assert all(toy.is_same(one, other) for one, other in zip(again, whole, strict=True))
    assert len(steps) == 2 * (ITERATIONS - 1)  # the first epoch is evaluated again, not trained


def test_a_checkpoint_of_other_parts_is_left_alone(toy, tmp_path, monkeypatch):
    """On another machine more replicas may fit: what they are lifted with would be something else."""
    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group"}
    toy.together(toy.a_program, [0, 1, 2], stop_requested=stops_after(4), **places)
    monkeypatch.setattr(groups, "parts", lambda request, count: 3)
    steps = []
    again, _ = toy.together(toy.a_program, [0, 1, 2], stop_requested=lambda: bool(steps.append(1)), **places)
    assert len(steps) == 3 * 2 * (ITERATIONS - 1)
    assert all(toy.is_same(one, toy.single(toy.a_program, seed)) for seed, one in enumerate(again))


def test_seeds_that_are_found_elsewhere_leave_a_checkpoint_to_the_others(toy, make, tmp_path):
    whole, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch)
    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group"}
    toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch, stop_requested=stops_after(4), **places)
    steps = []

    def later(slots):
        group = Group(3, tmp_path / "group")

        def work(member):
            training = Training(
                Streams(member.slot), stage="part", member=member, folder=tmp_path / "own",
                stop_requested=lambda: bool(steps.append(1)),
            )  # fmt: skip
            called = lambda epoch, nets: on_epoch(training, epoch, nets)  # noqa: E731
            return train(make(member.slot), toy.semantics, training, called, EPOCHS[member.slot])

        return group.run(dict.fromkeys(slots, work))

    ends = later([0, 2])
    assert len(steps) == 3 * (ITERATIONS - 1) - 5
    assert toy.is_same(ends[0], whole[0]) and toy.is_same(ends[2], whole[2])
    # What is there now knows nothing of slot 1, so that all begin again.
    assert all(toy.is_same(end, whole[slot]) for slot, end in later([0, 1, 2]).items())


@pytest.mark.parametrize("stopped", [None, 7])
def test_a_checkpoint_of_seeds_that_stopped_elsewhere_is_left_alone(toy, make, tmp_path, stopped):
    """Those that had ended, ended elsewhere; those that go on are beyond where they stop now."""
    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group"}
    at = stops_after(stopped) if stopped else lambda: False
    toy.together(make, [0, 1, 2], until={0: 3, 1: 3, 2: 3}, stop_requested=at, **places)
    until = {0: 2, 1: 1, 2: 1}
    again, _ = toy.together(make, [0, 1, 2], until=until, **places)
    fresh, _ = toy.together(make, [0, 1, 2], until=until)
    assert all(toy.is_same(one, other) for one, other in zip(again, fresh, strict=True))


def test_a_seed_that_diverged_does_so_again_and_the_others_go_on(toy, tmp_path):
    def make(seed):
        program = toy.a_program(seed, epochs=3)
        return program if seed else toy.a_program(seed, epochs=3, features=program.features * float("nan"))

    whole, _ = toy.together(make, [0, 1])
    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group"}
    stopped, _ = toy.together(make, [0, 1], stop_requested=stops_after(4), **places)
    assert isinstance(stopped[1], Interrupted)
    again, _ = toy.together(make, [0, 1], **places)
    assert isinstance(again[0], Diverged) and str(again[0]) == str(whole[0])
    assert toy.is_same(again[1], whole[1])


def test_a_seed_that_failed_otherwise_begins_again(toy, make, tmp_path):
    """What it failed of may have been the disk: its part of the checkpoint is no good, so all begin again."""
    whole, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch)

    def failing(own, epoch, nets):
        if (own.streams.seed, epoch) == (2, 1):
            raise OSError("disk full")
        return on_epoch(own, epoch, nets)

    places = {"folder": tmp_path / "own", "group_folder": tmp_path / "group", "checkpoint_seconds": 0.0}
    first, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=failing, **places)
    assert isinstance(first[2], OSError)
    again, _ = toy.together(make, [0, 1, 2], until=EPOCHS, on_epoch=on_epoch, **places)
    assert all(toy.is_same(one, other) for one, other in zip(again, whole, strict=True))


def test_a_stopped_group_whose_program_runs_seed_by_seed_goes_on(toy, tmp_path):
    def make(seed):
        return toy.a_program(seed, batch_size=30 + seed)

    whole = [toy.single(make, seed) for seed in (0, 1)]

    def places(seed):
        return tmp_path / str(seed)

    def run(stop):
        group = Group(2, tmp_path / "group")

        def work(member):
            training = Training(
                Streams(member.slot), stage="part", member=member, folder=places(member.slot),
                stop_requested=stop,
            )  # fmt: skip
            return train(make(member.slot), toy.semantics, training)

        return group.run(dict.fromkeys((0, 1), work))

    ends = run(stops_after(5))
    assert any(isinstance(end, Interrupted) for end in ends.values())
    assert all(toy.is_same(end, whole[seed]) for seed, end in run(lambda: False).items())
