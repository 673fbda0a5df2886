"""Programs of several seeds as one: each seed gets what its single run gets."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from zslbench.errors import Diverged, PluginError
from zslbench.interfaces import Losses
from zslbench.training import iteration, program_run
from zslbench.training.loop import train
from zslbench.training.replicas import lifted as lifted_module
from zslbench.training.replicas.group import Group
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.streams import Streams

CLOSE = 1e-9
"""Largest relative distance of figures and networks in float64."""


@pytest.mark.parametrize("sampler", ["shuffled", "independent", "balanced"])
@pytest.mark.parametrize("per_seed", [False, True])
def test_one_replica_is_the_plain_loop_bit_for_bit(toy, sampler, per_seed):
    def make(seed):
        return toy.a_program(seed, per_seed=per_seed, sampler=sampler)

    (end,), group = toy.together(make, [4])
    assert toy.is_same(end, toy.single(make, 4))
    assert not group.plain


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
    assert not group.plain
    assert len(seen) == len(singles[0]) == 3 * 2 * 2
    for place in range(len(seeds)):
        for one, other in zip(singles[place], seen, strict=True):
            for mine, theirs in zip(one.batches, other.batches, strict=True):
                for a, b in zip(mine, theirs, strict=True):
                    assert a.dtype == b.dtype and torch.equal(a, b[place])
            for mine, theirs in zip(one.noise, other.noise, strict=True):
                assert mine.keys() == theirs.keys()
                assert all(torch.equal(mine[name], theirs[name][place]) for name in mine)


def numbers(row):
    return {name: value for name, value in row.items() if name != "stage"}


def in_float64(program):
    """The program with networks, features and noise in float64; the numbers drawn stay the same."""

    def cast(tree):
        if isinstance(tree, torch.Tensor):
            return tree.double() if tree.is_floating_point() else tree
        return {name: cast(one) for name, one in tree.items()}

    def casting(losses):
        return lambda nets, batch, noise: losses(
            nets, batch._replace(semantics=batch.semantics.double()), cast(noise)
        )

    passes = tuple(tuple(replace(s, losses=casting(s.losses)) for s in steps) for steps in program.passes)
    initial = program.initial
    return replace(
        program,
        passes=passes,
        initial=lambda streams: cast(initial(streams)),
        frozen=cast(program.frozen),
        features=cast(program.features),
    )


@pytest.mark.parametrize("per_seed", [False, True])
def test_many_replicas_are_single_runs_in_float64(toy, per_seed):
    def make(seed):
        return in_float64(toy.a_program(seed, per_seed=per_seed))

    seeds = [0, 1, 5]
    ends, group = toy.together(make, seeds)
    assert not group.plain
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
    assert not group.plain
    longest, _ = toy.together(lambda seed: toy.a_program(seed, per_seed=True, epochs=3), [0, 1, 2])
    for seed, end in enumerate(ends):
        assert [row["epoch"] for row in end.epochs] == list(range(1, lengths[seed] + 1))
        assert repr(end.epochs) == repr(longest[seed].epochs[: lengths[seed]])
    assert toy.is_same(ends[0], longest[0])


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
            bad = torch.where(nets["clock"]["t"] >= 5, nets["clock"]["bad"], 0.0)
            clock = {"t": nets["clock"]["t"] + 1, "bad": nets["clock"]["bad"]}
            return found._replace(total=found.total + bad, buffers={**found.buffers, "clock": clock})

        program = toy.a_program(seed, per_seed=True, epochs=4)
        initial, bad = program.initial, torch.tensor(float("nan") if seed == broken else 0.0)
        (first, second), _ = program.passes
        first = replace(first, losses=losses)
        return replace(
            program,
            passes=((first, second), (first, first)),
            initial=lambda streams: {
                **initial(streams),
                "clock": {"t": torch.zeros(()), "bad": bad},
            },
        )

    ends, group = toy.together(make, [0, 1, 2])
    healthy, _ = toy.together(lambda seed: make(seed, broken=None), [0, 1, 2])
    assert not group.plain
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

    def noted(self, asked, slots, folder):
        plain(self, asked, slots, folder)
        runs.append((self.training.stage, sorted(asked), tuple(slots)))

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
    assert isinstance(ends[1], ValueError)
    assert toy.is_same(ends[0], whole[0]) and toy.is_same(ends[2], whole[2])


# --- what cannot be lifted ---------------------------------------------------------------------------


def plain_ones(toy, make, seeds):
    ends, group = toy.together(make, seeds)
    for seed, end in zip(seeds, ends, strict=True):
        assert toy.is_same(end, toy.single(make, seed))
    assert list(group.plain) == ["part"]
    return group.plain["part"]


def with_losses(program, losses):
    """The losses in the second pass alone, which is compared when its turn comes."""
    (first, second), _ = program.passes
    return replace(program, passes=((first, second), (replace(first, losses=losses),)))


def test_a_step_that_looks_at_a_value_runs_seed_by_seed(toy):
    def losses(nets, batch, noise):
        if nets["memory"]["scale"] > 0:
            return toy.first_losses(nets, batch, noise)
        return Losses((nets["one"]["w"] ** 2).sum(), {})

    reason = plain_ones(toy, lambda seed: with_losses(toy.a_program(seed), losses), [0, 1])
    assert reason.startswith("stage 'part': step 'first' cannot be lifted: ")


def test_a_step_that_hides_a_tensor_of_its_seed_runs_seed_by_seed(toy):
    def make(seed):
        hidden = 1 + 0.01 * seed

        def losses(nets, batch, noise):
            found = toy.first_losses(nets, batch, noise)
            return found._replace(total=found.total * torch.tensor(hidden))

        return with_losses(toy.a_program(seed), losses)

    reason = plain_ones(toy, make, [0, 1, 2])
    assert "step 'first' gives another gradient of 'one/w' when it is lifted" in reason
    assert "frozen" in reason


def test_a_figure_that_differs_is_found_too(toy):
    def make(seed):
        hidden = float(seed)

        def losses(nets, batch, noise):
            found = toy.first_losses(nets, batch, noise)
            return found._replace(log={"seed": torch.tensor(hidden)})

        return with_losses(toy.a_program(seed), losses)

    assert "another figure 'seed'" in plain_ones(toy, make, [0, 1])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 30}, "batch_size"),
        ({"sampler": "independent"}, "sampler"),
        ({"iterations": 3}, "iterations"),
        ({"features": "other"}, "features"),
        ({"optimizers": "other"}, "optimizers"),
        ({"initial": "other"}, "networks"),
        ({"passes": "other"}, "steps"),
    ],
)
def test_programs_that_differ_run_seed_by_seed(toy, change, named):
    def make(seed):
        program = toy.a_program(seed)
        if seed == 0:
            return program
        made = dict(change)
        if named == "optimizers":
            rules = program.optimizers
            made = {"optimizers": {**rules, "one": replace(rules["one"], lr=0.02)}}
        if named == "networks":
            made = {"initial": lambda s: program.initial(s) | {"extra": {"x": torch.zeros(2)}}}
        if named == "steps":
            made = {"passes": program.passes[:1]}
        if named == "features":
            return in_float64(program)
        return replace(program, **made)

    reason = plain_ones(toy, make, [0, 1])
    assert reason.startswith("the programs differ in their ") and named in reason


def test_seeds_that_run_one_by_one_still_share_what_is_trained_between_their_epochs(toy, monkeypatch):
    runs = []
    plain = LiftedRun._build

    def noted(self):
        runs.append((self.training.stage, sorted(self.asked)))
        plain(self)

    monkeypatch.setattr(LiftedRun, "_build", noted)

    def make(seed):
        return replace(toy.a_program(seed), batch_size=30 + seed)

    def on_epoch(own, epoch, nets):
        train(toy.a_program(own.streams.seed, epochs=1), toy.semantics, own.unsaved().child("inner"))
        return {}

    ends, group = toy.together(make, [0, 1], on_epoch=on_epoch)
    assert list(group.plain) == ["part"]
    assert runs == [("part/inner", [0, 1])] * 2
    assert all(not isinstance(end, BaseException) for end in ends)


def test_a_faulty_program_says_what_it_says_alone(toy):
    def losses(nets, batch, noise):
        return Losses((nets["one"]["w"] ** 2).sum(), {}, {"one": {"w": nets["one"]["w"]}})

    def make(seed):
        return with_losses(toy.a_program(seed), losses)

    ends, _ = toy.together(make, [0, 1])
    for end in ends:
        assert isinstance(end, PluginError)
        assert "buffers must not live in the trained network 'one'" in str(end)


def test_the_first_step_of_every_pass_is_compared_and_no_later_one(toy, monkeypatch):
    calls = []
    plain = program_run.step_function

    def counted(step):
        function = plain(step)

        def called(*arguments):
            calls.append(step.name)
            return function(*arguments)

        return called

    monkeypatch.setattr(program_run, "step_function", counted)
    monkeypatch.setattr(lifted_module.program_run, "step_function", counted)
    toy.together(lambda seed: toy.a_program(seed, epochs=3), [0, 1])
    # Per epoch two iterations of each pass, lifted; and each step that is one object once, for both seeds.
    lifted = 3 * (2 * 2 + 2 * 2)
    compared = 2 * 2
    assert len(calls) == lifted + compared


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
