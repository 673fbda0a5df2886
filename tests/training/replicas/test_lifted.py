"""Programs of several seeds as one: each seed gets what its single run gets."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch.utils._pytree import tree_leaves

from zslbench.errors import Diverged
from zslbench.plugin.programs import Cosine
from zslbench.plugin.streams import Streams
from zslbench.training import iteration
from zslbench.training.loop import train
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.threads import Group

CLOSE = 1e-9
"""Largest relative distance of figures and networks in float64."""


@pytest.mark.parametrize("sampler", ["shuffled", "independent", "balanced"])
@pytest.mark.parametrize("per_seed", [False, True])
def test_one_replica_is_the_plain_loop_bit_for_bit(toy, sampler, per_seed):
    def make(seed):
        return toy.a_program(seed, per_seed=per_seed, sampler=sampler)

    (end,), group = toy.together(make, [4])
    assert toy.is_same(end, toy.single(make, 4))
    assert not group.one_by_one


def recorded(monkeypatch):
    """Everything that iterations read from now on."""
    seen = []
    plain = iteration.Iteration.__call__

    def noted(one, inputs):
        seen.append(inputs)
        plain(one, inputs)

    monkeypatch.setattr(iteration.Iteration, "__call__", noted)
    return seen


@pytest.mark.parametrize("sampler", ["shuffled", "independent", "balanced"])
@pytest.mark.parametrize("per_seed", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_batches_and_noise_are_those_of_single_runs(toy, monkeypatch, sampler, per_seed, read):
    class Read:
        """Features that are no tensor, and are read in a second thread."""

        read_ahead = True

        def __init__(self, rows):
            self.rows = rows

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, rows):
            return self.rows[rows]

    def make(seed):
        program = toy.a_program(seed, per_seed=per_seed, sampler=sampler, epochs=3)
        return replace(program, features=Read(program.features)) if read else program

    seeds, singles = [3, 0, 8], []
    for seed in seeds:
        with monkeypatch.context() as patch:
            singles.append(recorded(patch))
            toy.single(make, seed)
    with monkeypatch.context() as patch:
        seen = recorded(patch)
        _, group = toy.together(make, seeds)
    assert not group.one_by_one
    assert len(seen) == len(singles[0]) == 3 * 2 * 2
    for place in range(len(seeds)):
        for one, other in zip(singles[place], seen, strict=True):
            for mine, theirs in zip(one.batches, other.batches, strict=True):
                for a, b in zip(tree_leaves(mine), tree_leaves(theirs), strict=True):
                    assert a.dtype == b.dtype and torch.equal(a, b[place])
            for mine, theirs in zip(one.noise, other.noise, strict=True):
                assert mine.keys() == theirs.keys()
                assert all(torch.equal(mine[name], theirs[name][place]) for name in mine)


def numbers(row):
    return {name: value for name, value in row.items() if name != "stage"}


@pytest.mark.parametrize("per_seed", [False, True])
def test_many_replicas_are_single_runs_in_float64(toy, per_seed):
    def make(seed):
        return toy.in_float64(toy.a_program(seed, per_seed=per_seed))

    seeds = [0, 1, 5]
    ends, group = toy.together(make, seeds)
    assert not group.one_by_one
    for seed, end in zip(seeds, ends, strict=True):
        alone = toy.single(make, seed)
        for row, other in zip(end.epochs, alone.epochs, strict=True):
            assert numbers(row) == pytest.approx(numbers(other), rel=CLOSE)
        for net, tensors in alone.networks.items():
            for name, value in tensors.items():
                found = end.networks[net][name]
                assert found.dtype == torch.float64
                torch.testing.assert_close(found, value, rtol=CLOSE, atol=CLOSE)


def test_in_float32_figures_are_close(toy):
    ends, _ = toy.together(toy.a_program, [0, 1, 2])
    for seed, end in enumerate(ends):
        for row, other in zip(end.epochs, toy.single(toy.a_program, seed).epochs, strict=True):
            assert numbers(row) == pytest.approx(numbers(other), rel=1e-4)


def test_seeds_may_have_schedules_of_different_length(toy):
    lengths = {0: 3, 1: 1, 2: 2}

    def make(seed):
        return toy.a_program(seed, per_seed=True, epochs=lengths[seed])

    ends, group = toy.together(make, [0, 1, 2])
    assert not group.one_by_one
    longest, _ = toy.together(lambda seed: toy.a_program(seed, per_seed=True, epochs=3), [0, 1, 2])
    for seed, end in enumerate(ends):
        assert [row["epoch"] for row in end.epochs] == list(range(1, lengths[seed] + 1))
        assert repr(end.epochs) == repr(longest[seed].epochs[: lengths[seed]])
    assert toy.is_same(ends[0], longest[0])


def test_seeds_may_stop_at_different_epochs_of_one_schedule(toy):
    """As refits do: what follows from its length is that of the whole schedule."""
    until = {0: 3, 1: 1, 2: 2}

    def make(seed):
        program = toy.a_program(seed, per_seed=True, epochs=4)
        decaying = {net: replace(rule, lr_schedule=Cosine()) for net, rule in program.optimizers.items()}
        return replace(program, optimizers=decaying)

    ends, group = toy.together(make, [0, 1, 2], until=until)
    assert not group.one_by_one
    whole, _ = toy.together(make, [0, 1, 2])
    looks, _ = toy.together(
        make, [0, 1, 2], on_epoch=lambda own, epoch, nets: {"w": nets["one"]["w"].sum().item()}
    )
    for seed, end in enumerate(ends):
        assert repr(end.epochs) == repr(whole[seed].epochs[: until[seed]])
        assert end.networks["one"]["w"].sum().item() == looks[seed].epochs[until[seed] - 1]["w"]


def test_what_a_seed_gets_does_not_depend_on_who_else_is_there(toy):
    """A seed at the same place among padding: as where the others' runs were found."""

    def make(seed):
        return toy.a_program(seed, per_seed=True)

    whole, _ = toy.together(make, [0, 1, 2])

    for slots in ([0], [1], [2], [0, 2], [1, 2]):

        def work(member):
            training = toy.training(Streams(member.slot), member)
            return train(make(member.slot), toy.semantics, training)

        ends = Group(3).run(dict.fromkeys(slots, work))
        for slot in slots:
            assert toy.is_same(ends[slot], whole[slot]), slots


def test_a_seed_that_diverges_leaves_and_the_others_go_on(toy):
    def make(seed, broken=1):
        def losses(nets, batch, noise):
            found = toy.first_losses(nets, batch, noise)
            bad = torch.where(nets["state"]["t"] >= 5, nets["state"]["bad"], 0.0)
            return found._replace(total=found.total + bad, state={**found.state, "t": nets["state"]["t"] + 1})

        program = toy.a_program(seed, per_seed=True, epochs=4)
        bad = torch.tensor(float("nan") if seed == broken else 0.0)
        (first, second), _ = program.passes
        first = replace(first, losses=losses)
        return replace(
            program,
            passes=((first, second), (first, first)),
            state={**program.state, "t": torch.zeros(()), "bad": bad},
        )

    ends, group = toy.together(make, [0, 1, 2])
    healthy, _ = toy.together(lambda seed: make(seed, broken=None), [0, 1, 2])
    assert not group.one_by_one
    assert isinstance(ends[1], Diverged)
    with pytest.raises(Diverged) as alone:
        toy.single(make, 1)
    assert str(ends[1]) == str(alone.value)
    assert toy.is_same(ends[0], healthy[0])
    assert toy.is_same(ends[2], healthy[2])


# --- evaluations between epochs --------------------------------------------------------------------


def test_epochs_are_evaluated_seed_by_seed_and_what_is_trained_in_them_is_lifted_too(toy, monkeypatch):
    runs = []
    plain = LiftedRun.__init__

    def noted(self, members, slots, folder):
        plain(self, members, slots, folder)
        runs.append((self.training.stage, sorted(members), tuple(slots)))

    monkeypatch.setattr(LiftedRun, "__init__", noted)

    def on_epoch(own, epoch, nets):
        inner = toy.a_program(own.streams.seed, epochs=1)
        done = train(inner, toy.semantics, own.unsaved().child("inner"))
        return {"val_h": done.epochs[0]["first_loss"] + nets["one"]["w"].sum().item()}

    ends, _ = toy.together(toy.a_program, [0, 1], on_epoch=on_epoch)
    assert runs == [("part", [0, 1], (0, 1))] + [("part/inner", [0, 1], (0, 1))] * 2
    for seed, end in enumerate(ends):
        (one, _), _ = toy.together(toy.a_program, [seed, 7], on_epoch=on_epoch)
        assert [row["val_h"] for row in end.epochs] == pytest.approx(
            [row["val_h"] for row in one.epochs], rel=1e-4
        )


def test_a_seed_whose_evaluation_fails_leaves(toy):
    def on_epoch(own, epoch, nets):
        if own.streams.seed == 1 and epoch == 1:
            raise ValueError("no figures")
        return {"val_h": float(epoch)}

    ends, _ = toy.together(toy.a_program, [0, 1, 2], on_epoch=on_epoch)
    whole, _ = toy.together(
        toy.a_program, [0, 1, 2], on_epoch=lambda own, epoch, nets: {"val_h": float(epoch)}
    )
    assert isinstance(ends[1].__cause__, ValueError)
    assert toy.is_same(ends[0], whole[0]) and toy.is_same(ends[2], whole[2])


def test_seeds_whose_features_do_not_fit_say_so(toy, monkeypatch):
    def full(each, sources):
        raise MemoryError("out of memory")

    monkeypatch.setattr("zslbench.training.replicas.inputs._taking", full)
    ends, _ = toy.together(toy.a_program, [0, 1])
    assert [repr(end) for end in ends] == ["MemoryError('out of memory')"] * 2


def test_what_has_a_replica_axis_goes_with_the_last_seed(toy, monkeypatch):
    """At once, not when Python next looks for cycles: it is the most that lies on a GPU."""
    held = []
    plain = LiftedRun._begin

    def noted(self, nets, frozen, function_of):
        plain(self, nets, frozen, function_of)
        held.extend(weakref.ref(tensor) for net in nets.values() for tensor in net.values())

    monkeypatch.setattr(LiftedRun, "_begin", noted)
    gc.collect()
    gc.disable()
    try:
        ends, _ = toy.together(toy.a_program, [0, 1])
        assert held and not [one for one in held if one() is not None]
    finally:
        gc.enable()
    assert all(end.networks["one"]["w"].shape == (12, 16) for end in ends)
