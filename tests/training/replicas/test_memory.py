"""How many replicas fit, and what happens where not all do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from zslbench.plugin.programs import Optimizer
from zslbench.plugin.streams import Streams
from zslbench.training.context import Training
from zslbench.training.replicas import group as groups
from zslbench.training.replicas.group import replica_memory
from zslbench.training.replicas.lifted import LiftedRun, MemberRun


def request(toy, program):
    return MemberRun(program, toy.semantics, Training(Streams(0), stage="part"))


def test_the_estimate_lies_above_what_is_held(toy):
    program = toy.a_program()
    nets = program.initial(Streams(0))
    held = 4 * sum(t.numel() * 4 for net in ("one", "two") for t in nets[net].values())
    held += program.frozen["guide"]["g"].numel() * 4 + program.features.numel() * 4
    batch = 40 * (12 * 4 + 6 * 4 + 8) + 40 * (12 * 4 + 4 + 8)
    hidden = 2 * 40 * 16 * 4  # of one layer alone, forwards and backwards
    found = replica_memory(request(toy, program))
    assert held + batch + hidden < found < 20 * (held + batch + hidden)


@pytest.mark.parametrize("name", ["batch_size", "a step's batch_size", "features", "initial", "amsgrad"])
def test_it_grows_with_all_that_takes_memory(toy, name):
    program = toy.a_program()
    before = replica_memory(request(toy, program))
    if name == "batch_size":
        larger = replace(program, batch_size=60)
    elif name == "a step's batch_size":
        first, second = program.passes[0]
        larger = replace(program, passes=((replace(first, batch_size=60), second),))
    elif name == "amsgrad":
        larger = replace(program, optimizers=program.optimizers | {"one": Optimizer(amsgrad=True)})
    elif name == "features":
        larger = replace(
            program, features=torch.cat([program.features] * 3), labels=torch.cat([program.labels] * 3)
        )
    else:
        initial = program.initial
        larger = replace(program, initial=lambda s: initial(s) | {"more": {"x": torch.zeros(500)}})
    assert replica_memory(request(toy, larger)) > before


def test_it_draws_from_none_of_the_run_s_streams(toy):
    one = request(toy, toy.a_program())
    replica_memory(one)
    assert one.training.streams.state() == {}


def test_the_width_follows_from_the_total_alone(toy, monkeypatch):
    one = request(toy, toy.a_program())
    each = replica_memory(one)
    for room, count in [(0, 7), (1, 7), (2.5, 4), (3, 3), (7, 1), (100, 1)]:
        monkeypatch.setattr(
            groups, "total_memory", lambda device, room=room: int((room + 0.01) * each / groups.SHARE)
        )
        assert groups.parts(one, 7) == count, room


def test_replicas_that_do_not_fit_are_trained_in_parts_one_after_the_other(toy, monkeypatch):
    events = []
    each = replica_memory(request(toy, toy.a_program()))
    monkeypatch.setattr(groups, "total_memory", lambda device: int(2.1 * each / groups.SHARE))
    plain = LiftedRun.train_epoch

    def noted(self):
        plain(self)
        events.append((self.training.stage, tuple(self.slots), self.epoch))

    monkeypatch.setattr(LiftedRun, "train_epoch", noted)

    def on_epoch(own, epoch, nets):
        from zslbench.training.loop import train

        train(toy.a_program(own.streams.seed, epochs=1), toy.semantics, own.unsaved().child("inner"))
        return {}

    ends, group = toy.together(toy.a_program, range(5), on_epoch=on_epoch)
    assert group.split["part"] == 3
    assert events == [
        (stage, slots, epoch if stage == "part" else 0)
        for slots in ((0, 1), (2, 3), (4,))
        for epoch in (0, 1)
        for stage in ("part", "part/inner")
    ]
    pair, _ = toy.together(toy.a_program, [2, 3])
    for net, tensors in pair[0].networks.items():
        assert all(torch.equal(ends[2].networks[net][name], value) for name, value in tensors.items())


def test_the_machine_s_memory_is_read():
    assert 2**28 < groups.total_memory(torch.device("cpu")) < 2**50
