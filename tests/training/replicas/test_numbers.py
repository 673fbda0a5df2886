"""Replicas whose settings differ in numbers alone: each is what it is by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from pydantic import BaseModel, ConfigDict

from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training, train
from zslbench.training.replicas.lifting import NotLiftable, ReplicaNumber, merge_losses
from zslbench.training.threads import Group


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)
    weight: float = 1.0
    other: float = 0.5
    steps: int = 2
    kind: str = "a"


class Component:
    def __init__(self, settings):
        self.settings = settings

    def losses(self, nets, batch, noise, *, factor):
        return losses(nets, batch, noise, s=self.settings, factor=factor)


def losses(nets, batch, noise, *, s, factor):
    fit = ((batch.features @ nets["one"]["w"]) ** 2).mean()
    total = s.weight * fit + (nets["one"]["b"] ** 2).sum() * s.other - factor / 3 * -s.weight * fit
    if s.weight > 0 and s.other:
        total = total + torch.maximum(fit, fit * s.weight) / (1 + s.other)
    return replace_log(total, fit, s)


def replace_log(total, fit, s):
    from zslbench.plugin.programs import Losses

    return Losses(total, {"weighted": fit * s.weight})


def made(toy, form, settings, seed=0, losses=losses):
    """A program whose only step takes its settings in one of several ways."""
    program = toy.a_program(seed, per_seed=True, epochs=2)
    component = Component(settings)
    ways = {
        "keyword": partial(losses, s=settings, factor=0.25),
        "bound": partial(component.losses, factor=0.25),
        "nested": partial(partial(losses, factor=0.25), s=settings),
    }
    step = replace(program.passes[0][0], losses=ways[form], noise={}, updates=("one",))
    return replace(program, passes=((step,),))


def together(toy, programs, seeds):
    group = Group(len(programs))

    def work(member):
        training = toy.training(Streams(seeds[member.slot]), member)
        return train(programs[member.slot], toy.semantics, training)

    return group.run(dict.fromkeys(range(len(programs)), work)), group


CASES = [Settings(weight=0.5), Settings(weight=2.0, other=0.25), Settings(weight=0.5, other=1.0)]


@pytest.mark.parametrize("form", ["keyword", "bound", "nested"])
def test_each_replica_has_its_own_numbers(toy, form):
    programs = [made(toy, form, one, seed) for seed, one in enumerate(CASES)]
    ends, group = together(toy, programs, [0, 1, 2])
    assert not group.one_by_one
    for seed, program in enumerate(programs):
        alone = train(program, toy.semantics, Training(Streams(seed), stage="part"))
        for row, other in zip(ends[seed].epochs, alone.epochs, strict=True):
            for name, value in row.items():
                assert value == (other[name] if name == "stage" else pytest.approx(other[name], rel=1e-5))
        for name, value in alone.networks["one"].items():
            torch.testing.assert_close(ends[seed].networks["one"][name], value, rtol=1e-4, atol=1e-5)


def seed_by_seed(toy, settings, losses=losses):
    programs = [made(toy, "keyword", one, losses=losses) for one in settings]
    ends, group = together(toy, programs, [0] * len(programs))
    for number, program in enumerate(programs):
        alone = train(program, toy.semantics, Training(Streams(0), stage="part"))
        assert toy.is_same(ends[number], alone)
    return group.one_by_one["part"]


def test_numbers_that_make_another_step_run_seed_by_seed(toy):
    reason = seed_by_seed(toy, [Settings(weight=0.5), Settings(weight=0.0)])
    assert "'weight'" in reason


@pytest.mark.parametrize("change", [{"kind": "b"}])
def test_settings_that_differ_in_more_than_numbers_run_seed_by_seed(toy, change):
    reason = seed_by_seed(toy, [Settings(), Settings(**change)])
    assert "'kind'" in reason


def test_where_torch_wants_a_number_the_seeds_run_one_by_one(toy):
    """As a bound of clamp it would be one replica's, which the first step might not show."""

    def clamped(nets, batch, noise, *, s, factor):
        found = losses(nets, batch, noise, s=s, factor=factor)
        return found._replace(
            total=found.total.clamp(s.weight * 0 - 1e9, 1e9) + found.total.clamp(max=s.other)
        )

    assert "cannot be lifted" in seed_by_seed(toy, CASES[:2], clamped)


def test_a_number_calculates_like_one():
    number = ReplicaNumber("x", [3.0, 5.0], torch.tensor(3.0))
    cases = [
        (number + 1, 4), (1 + number, 4), (number - 1, 2), (1 - number, -2), (number * 2, 6), (2 * number, 6),
        (number / 2, 1.5), (6 / number, 2), (number**2, 9), (2**number, 8), (-number, -3), (abs(-number), 3),
        (number * number, 9), (torch.tensor(2.0) * number, 6), (torch.tensor(6.0) / number, 2),
        (torch.where(torch.tensor(True), number, torch.tensor(0.0)), 3),
    ]  # fmt: skip
    for found, value in cases:
        assert isinstance(found, torch.Tensor) and found.item() == value
    assert number > 2 and number >= 3 and number < 6 and number != 4.5 and bool(number) and not number < 3
    assert bool(number > torch.tensor(2.5)) and bool(torch.tensor(2.5) < number)
    for undecided in (
        lambda: number > 4,
        lambda: number == 3,
        lambda: bool(ReplicaNumber("y", [0.0, 1.0], number.tensor)),
    ):
        with pytest.raises(NotLiftable, match=r"'[xy]'"):
            undecided()
    for impossible in (float, int, hash):
        with pytest.raises(TypeError):
            impossible(number)


def test_equal_settings_need_no_numbers():
    build, numbers = merge_losses([partial(losses, s=Settings(), factor=1.0) for _ in range(3)])
    assert numbers == []
    assert build([]).keywords["s"] == Settings()
    one, other = Component(Settings()), Component(Settings(weight=3.0))
    build, numbers = merge_losses([one.losses, other.losses])
    assert numbers == [(1.0, 3.0)]
    owner = build([torch.tensor(7.0)]).__self__
    assert owner is not one and one.settings.weight == 1.0
    assert owner.settings.weight.tensor.item() == 7.0
