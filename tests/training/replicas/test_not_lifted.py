"""Programs that cannot be lifted run seed by seed, with a reason; what the guard compares."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from zslbench.errors import PluginError
from zslbench.plugin.programs import Losses, Step
from zslbench.training import program_run, warm_up
from zslbench.training.loop import train
from zslbench.training.replicas.lifted import LiftedRun


def plain_ones(toy, make, seeds):
    ends, group = toy.together(make, seeds)
    for seed, end in zip(seeds, ends, strict=True):
        assert toy.is_same(end, toy.single(make, seed))
    assert list(group.one_by_one) == ["part"]
    return group.one_by_one["part"]


def with_losses(program, losses):
    """The losses in the second pass alone, which is compared when its turn comes."""
    (first, second), _ = program.passes
    return replace(program, passes=((first, second), (replace(first, losses=losses),)))


def test_a_step_that_looks_at_a_value_runs_seed_by_seed(toy):
    def losses(nets, batch, noise):
        if nets["state"]["scale"] > 0:
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
    assert "step 'first'" in reason and "gradient of 'one/w'" in reason
    assert "frozen" in reason


def test_a_figure_that_differs_is_found_too(toy):
    def make(seed):
        hidden = float(seed)

        def losses(nets, batch, noise):
            found = toy.first_losses(nets, batch, noise)
            return found._replace(log={"seed": torch.tensor(hidden)})

        return with_losses(toy.a_program(seed), losses)

    assert "figure 'seed'" in plain_ones(toy, make, [0, 1])


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
            return toy.in_float64(program)
        return replace(program, **made)

    reason = plain_ones(toy, make, [0, 1])
    assert named in reason


def test_seeds_that_run_one_by_one_still_share_what_is_trained_between_their_epochs(toy, monkeypatch):
    runs = []
    plain = LiftedRun._build

    def noted(self):
        runs.append((self.training.stage, sorted(self.members)))
        plain(self)

    monkeypatch.setattr(LiftedRun, "_build", noted)

    def make(seed):
        return replace(toy.a_program(seed), batch_size=30 + seed)

    def on_epoch(own, epoch, nets):
        train(toy.a_program(own.streams.seed, epochs=1), toy.semantics, own.unsaved().child("inner"))
        return {}

    ends, group = toy.together(make, [0, 1], on_epoch=on_epoch)
    assert list(group.one_by_one) == ["part"]
    assert runs == [("part/inner", [0, 1])] * 2
    assert all(not isinstance(end, BaseException) for end in ends)


def test_a_faulty_program_says_what_it_says_alone(toy):
    def losses(nets, batch, noise):
        return Losses((nets["one"]["w"] ** 2).sum(), {}, {"other": nets["one"]["w"]})

    def make(seed):
        return with_losses(toy.a_program(seed), losses)

    ends, _ = toy.together(make, [0, 1])
    for end in ends:
        assert isinstance(end, PluginError)
        assert "state 'other'" in str(end)


def test_the_first_step_of_every_pass_is_compared_and_no_later_one(toy, monkeypatch):
    calls = []
    plain = program_run.step_function

    def counted(step, **how):
        function = plain(step, **how)

        def called(*arguments):
            calls.append(step.name)
            return function(*arguments)

        return called

    monkeypatch.setattr(program_run, "step_function", counted)
    toy.together(lambda seed: toy.a_program(seed, epochs=3), [0, 1])
    # Per epoch two iterations of each pass, lifted; and each step that is one object once, for both seeds.
    lifted = 3 * (2 * 2 + 2 * 2)
    compared = 2 * (2 + 2 + 1)  # once more, with the lifted step, at the end of all warm-ups
    assert len(calls) == lifted + compared


def test_what_a_warm_up_still_hides_is_compared(toy):
    """A term that is weighed by 0 in the first epoch, and reads a tensor of the seed that is not declared."""

    def make(seed):
        hidden = toy.tensor(12, seed=seed)

        def losses(nets, batch, noise):
            weight = warm_up(batch.progress.epoch, 1, 3, to=2.0)
            return Losses((nets["one"]["w"] ** 2).mean() + weight * (nets["one"]["w"].T @ hidden).sum(), {})

        step = Step("late", losses, updates=("one",))
        return toy.a_program(seed, passes=((step,),), epochs=4)

    ends, group = toy.together(make, [0, 1])
    assert "late" in group.one_by_one["part"] and "frozen" in group.one_by_one["part"]
    for seed, end in enumerate(ends):
        assert toy.is_same(end, toy.single(make, seed))
