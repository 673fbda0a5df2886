"""Random streams: numbers depend on the seed and the stream's name, on nothing else."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, strategies as st

from zslbench.plugin.programs import Choice, Normal, Uniform
from zslbench.plugin.streams import Streams
from zslbench.training.step import draw

names = st.text(st.characters(codec="utf-8"), max_size=12)


def numbers(streams: Streams, name: str, count: int = 5) -> list[float]:
    return streams.uniform(name, (count,)).tolist()


@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 2**40))
def test_order_of_first_use_is_irrelevant(order, seed):
    one, other = Streams(seed), Streams(seed)
    expected = {name: numbers(one, name) for name in "abcd"}
    assert {name: numbers(other, name) for name in order} == expected


@given(st.lists(st.sampled_from("ab"), max_size=20))
def test_draws_from_one_stream_do_not_move_another(interleaving):
    alone = Streams(3)
    expected = [alone.normal("a", (2,)).tolist() for _ in range(interleaving.count("a"))]
    mixed = Streams(3)
    found = [(name, mixed.normal(name, (2,)).tolist()) for name in interleaving]
    assert [value for name, value in found if name == "a"] == expected


def test_streams_of_different_names_seeds_and_prefixes_differ():
    made = [
        numbers(streams, name)
        for seed in (0, 1)
        for streams in (Streams(seed), Streams(seed).child("x"), Streams(seed).child("x").child("y"))
        for name in ("a", "b", "")
    ]
    assert len({tuple(one) for one in made}) == len(made)


def test_a_child_is_the_same_however_it_is_reached_and_whatever_its_parent_drew():
    parent = Streams(5)
    expected = numbers(parent.child("final").child("noise"), "critic.mix")
    numbers(parent, "critic.mix", 1000)
    assert numbers(parent.child("final").child("noise"), "critic.mix") == expected
    assert numbers(Streams(5, prefix="final/noise/"), "critic.mix") == expected


def test_the_global_generator_neither_changes_streams_nor_is_changed():
    torch.manual_seed(1)
    before, one = torch.get_rng_state(), numbers(Streams(0), "a")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert numbers(Streams(0), "a") == one


@given(names, st.integers(0, 7), st.integers(1, 7))
def test_state_restores_every_stream_bit_for_bit(name, before, after):
    streams = Streams(11)
    for _ in range(before):
        streams.normal(name, (3,))
    streams.uniform("other", (2,))
    state = {key: value.clone() for key, value in streams.state().items()}
    expected = [streams.normal(name, (3,)) for _ in range(after)], streams.uniform("other", (2,))
    again = Streams(11)
    again.uniform("other", (9,))  # where it stood before does not matter
    again.restore(state)
    found = [again.normal(name, (3,)) for _ in range(after)], again.uniform("other", (2,))
    assert all(torch.equal(a, b) for a, b in zip(*(one[0] for one in (expected, found)), strict=True))
    assert torch.equal(expected[1], found[1])


def test_numbers_have_the_declared_distribution():
    streams, n = Streams(0), 200_000
    normal, uniform = streams.normal("n", (n,), 0.02), streams.uniform("u", (n,))
    assert normal.dtype == uniform.dtype == torch.float32
    assert normal.mean().item() == pytest.approx(0, abs=5 * 0.02 / n**0.5)
    assert normal.std().item() == pytest.approx(0.02, rel=5 / (2 * n) ** 0.5)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / n) ** 0.5)


def test_device_is_where_numbers_are_drawn():
    assert Streams(0, "cpu").normal("a", (2,)).device == torch.device("cpu")
    assert Streams(0, torch.device("cpu")).child("b").device == torch.device("cpu")


def test_noise_of_each_kind():
    streams = Streams(0)
    assert draw(Normal((3, 2)), 4, streams, "n").shape == (4, 3, 2)
    assert draw(Uniform((1,)), 4, streams, "u").shape == (4, 1)
    values = torch.tensor([7, 3, 11])
    chosen = draw(Choice(values), 3000, streams, "c")
    assert chosen.shape == (3000,)
    counts = {value: int((chosen == value).sum()) for value in values.tolist()}
    assert sum(counts.values()) == 3000
    assert min(counts.values()) > 850  # drawn uniformly and with replacement


def test_a_term_left_out_changes_no_other_term():
    """For every subset of terms, each remaining one draws what it draws when all are there."""
    specs = {"a": Normal((2,)), "b": Uniform((1,)), "c": Choice(torch.arange(5)), "d": Normal((1,))}

    def program(terms):
        streams = Streams(4)
        return [{name: draw(specs[name], 3, streams, f"step.{name}") for name in terms} for _ in range(4)]

    everything = program(specs)
    for length in range(len(specs)):
        for kept in itertools.combinations(specs, length):
            for full, part in zip(everything, program(kept), strict=True):
                assert all(torch.equal(full[name], part[name]) for name in kept)
