"""A program that is stopped anywhere and started again ends with the bits of one that was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from zslbench.errors import Interrupted, PluginError
from zslbench.plugin.programs import Cosine, Losses, Normal, Optimizer, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training, train

EPOCHS = 2
SEMANTICS = torch.rand(3, 2, generator=torch.Generator().manual_seed(1))
FEATURES = torch.randn(10, 4, generator=torch.Generator().manual_seed(2))


def losses(nets, batch, noise):
    """Uses everything that a checkpoint must hold: noise, both networks, a state, a logged figure."""
    z = noise["z"] * nets["state"]["scale"]
    out = (batch.features + z) @ nets["one"]["w"] - batch.semantics @ nets["two"]["v"]
    total = (out**2).mean()
    return Losses(total, {"out": out.mean()}, {"scale": nets["state"]["scale"] * 0.9 + 0.01 * total})


def program(kind: str, sampler: str) -> Program:
    rule = Optimizer(kind, lr=0.05, momentum=0.0 if kind == "adam" else 0.9, weight_decay=1e-3)
    noise = {"z": Normal((4,))}
    first = Step("first", losses, updates=("one",), noise=noise)
    second = Step("second", losses, updates=("two", "one"), noise=noise, fresh_batch=False)

    def initial(streams):
        return {"one": {"w": streams.normal("w", (4, 3))}, "two": {"v": streams.normal("v", (2, 3))}}

    return Program(
        initial=initial,
        passes=((first, second), (first,)),
        optimizers={"one": rule, "two": rule},
        features=FEATURES,
        labels=torch.arange(10) % 3,
        epochs=EPOCHS,
        batch_size=4,
        sampler=sampler,
        state={"scale": torch.ones(())},
    )


def on_epoch(epoch, nets):
    return {"val_h": nets["one"]["w"].sum().item()}


ITERATIONS = 3 * 2 * EPOCHS  # ceil(10 / 4) in each of two passes


def same(one, other) -> bool:
    tensors = [
        torch.equal(one.networks[net][name], value)
        for net, values in other.networks.items()
        for name, value in values.items()
    ]
    return all(tensors) and one.networks.keys() == other.networks.keys() and one.epochs == other.epochs


def stops_after(calls: Iterator[bool]):
    return lambda: next(calls)


@pytest.mark.parametrize(
    ("kind", "sampler"), [("adam", "independent"), ("rmsprop", "shuffled"), ("sgd", "shuffled")]
)
def test_stopped_after_any_iteration(tmp_path, kind, sampler):
    made = program(kind, sampler)
    whole = train(made, SEMANTICS, Training(Streams(5)), on_epoch)
    # A stop can be seen between the iterations of an epoch: 5 times in each.
    for count in range(ITERATIONS - EPOCHS):
        folder = tmp_path / str(count)
        answers = iter([False] * count + [True])
        training = Training(Streams(5), folder=folder, stop_requested=stops_after(answers))
        with pytest.raises(Interrupted):
            train(made, SEMANTICS, training, on_epoch)
        again = train(made, SEMANTICS, Training(Streams(5), folder=folder), on_epoch)
        assert same(again, whole), count


def test_stopped_after_every_iteration(tmp_path):
    made = program("adam", "shuffled")
    whole = train(made, SEMANTICS, Training(Streams(5)), on_epoch)
    starts = 0
    while starts < 100:
        starts += 1
        # The first question is asked after one iteration, so that every start moves on by one.
        try:
            training = Training(Streams(5), folder=tmp_path, stop_requested=lambda: True)
            again = train(made, SEMANTICS, training, on_epoch)
            break
        except Interrupted:
            continue
    assert starts == ITERATIONS - EPOCHS + 1
    assert same(again, whole)


def test_checkpoints_change_no_number(tmp_path):
    made = program("adam", "independent")
    whole = train(made, SEMANTICS, Training(Streams(5)), on_epoch)
    often = train(made, SEMANTICS, Training(Streams(5), folder=tmp_path, checkpoint_seconds=0.0), on_epoch)
    assert same(often, whole)


def test_a_finished_program_is_not_trained_again(tmp_path):
    made = program("adam", "independent")
    first = train(made, SEMANTICS, Training(Streams(5), folder=tmp_path), on_epoch)

    def forbidden(*_):
        raise AssertionError("ran again")

    training = Training(Streams(5), folder=tmp_path, stop_requested=forbidden)
    assert same(train(made, SEMANTICS, training, forbidden), first)


def test_other_seeds_give_other_numbers():
    made = program("adam", "independent")
    one, other = (train(made, SEMANTICS, Training(Streams(seed))) for seed in (5, 6))
    assert not torch.equal(one.networks["one"]["w"], other.networks["one"]["w"])


# --- until an earlier epoch ----------------------------------------------------------------------


def scheduled(until):
    """A program of four epochs whose learning rate falls with its whole schedule."""
    made = program("adam", "shuffled")
    rules = {net: replace(rule, lr_schedule=Cosine()) for net, rule in made.optimizers.items()}
    return lambda **training: train(
        replace(made, optimizers=rules, epochs=4),
        SEMANTICS,
        Training(Streams(5), **training),
        on_epoch,
        until,
    )


@pytest.mark.parametrize("until", [1, 2, 3])
def test_training_until_an_epoch_is_the_beginning_of_the_whole(until):
    whole, part = scheduled(None)(), scheduled(until)()
    assert part.epochs == whole.epochs[:until]
    assert part.networks["one"]["w"].sum().item() == whole.epochs[until - 1]["val_h"]


@pytest.mark.parametrize("count", range(10))
def test_training_until_an_epoch_resumes(tmp_path, count):
    answers = iter([False] * count + [True])
    with pytest.raises(Interrupted):
        scheduled(2)(folder=tmp_path, stop_requested=stops_after(answers))
    assert same(scheduled(2)(folder=tmp_path), scheduled(2)())


@pytest.mark.parametrize(("first", "then"), [(3, 2), (1, 2), (None, 2), (2, None)])
def test_a_checkpoint_serves_who_stops_later_and_nobody_who_stops_earlier(tmp_path, first, then):
    scheduled(first)(folder=tmp_path)
    assert same(scheduled(then)(folder=tmp_path), scheduled(then)())


def test_training_cannot_stop_beyond_its_end_and_preparations_never_stop_early():
    with pytest.raises(PluginError, match="after epoch 3 of 2"):
        train(program("adam", "shuffled"), SEMANTICS, Training(Streams(5)), until=3)
    unpaced = replace(program("adam", "shuffled"), paced=False)
    assert len(train(unpaced, SEMANTICS, Training(Streams(5)), until=1).epochs) == EPOCHS
