"""Programs: faults that are told before training starts, and several programs in one fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from zslbench.errors import PluginError
from zslbench.plugin.programs import Losses, Optimizer, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training, complete, train


def toward(target):
    return lambda nets, batch, noise: Losses(((nets["net"]["w"] - target) ** 2).sum(), {})


STEP = Step("step", toward(1.0), updates=("net",))
GOOD = Program(
    initial=lambda streams: {"net": {"w": torch.tensor([0.0])}},
    passes=((STEP,),),
    optimizers={"net": Optimizer("sgd", lr=0.5)},
    features=torch.zeros(4, 2),
    labels=torch.zeros(4, dtype=torch.int64),
    epochs=2,
    batch_size=4,
)
SEMANTICS = torch.ones(1, 1)


def training(folder=None):
    return Training(Streams(0), stage="part", folder=folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "one epoch"),
        ({"epochs": -1}, "one epoch"),
        ({"batch_size": 0}, "batch size"),
        ({"passes": ()}, "one pass"),
        ({"passes": ((STEP,), ())}, "empty"),
        ({"passes": ((replace(STEP, fresh_batch=False), STEP),)}, "first step"),
        ({"optimizers": {}}, r"\['net'\] in step 'step'.*optimizer"),
        ({"frozen": {"net": {"w": torch.zeros(1)}}}, r"\['net'\] in step 'step'.*frozen"),
        ({"passes": ((replace(STEP, updates=("net", "nte")),),)}, r"\['nte'\].*optimizer"),
        ({"optimizers": {"net": Optimizer(), "critic": Optimizer()}}, r"optimizers for \['critic'\]"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "4 features and 3 labels"),
        (
            {"features": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.int64)},
            "0 features and 0 labels",
        ),
    ],
)
def test_faults_are_one_line(change, said):
    with pytest.raises(PluginError, match=said) as caught:
        train(replace(GOOD, **change), SEMANTICS, training())
    assert "program" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["optimizers", "frozen"])
def test_state_is_neither_trained_nor_frozen(where):
    taken = {
        "optimizers": {"net": Optimizer(), "state": Optimizer()},
        "frozen": {"state": {"sum": torch.ones(1)}},
    }
    program = replace(GOOD, state={"sum": torch.zeros(1)}, **{where: taken[where]})
    with pytest.raises(PluginError, match="'state'"):
        train(program, SEMANTICS, training())


@pytest.mark.parametrize(
    ("new", "named"),
    [
        ({"sum": torch.zeros(2)}, "sum"),
        ({"sum": torch.zeros(1, dtype=torch.float64)}, "sum"),
        ({"other": torch.zeros(1)}, "other"),
    ],
)
def test_state_that_the_program_does_not_declare_is_a_fault(new, named):
    step = replace(STEP, losses=lambda nets, b, z: Losses((nets["net"]["w"] ** 2).sum(), {}, new))
    with pytest.raises(PluginError, match=f"step 'step': state '{named}'"):
        train(replace(GOOD, state={"sum": torch.zeros(1)}, passes=((step,),)), SEMANTICS, training())


def test_state_goes_on_in_the_next_program():
    """Networks of one program that the next one starts from bring their state along."""

    def counted(nets, batch, noise):
        return Losses((nets["net"]["w"] ** 2).sum(), {}, {"calls": nets["state"]["calls"] + 1})

    one = replace(GOOD, state={"calls": torch.zeros(())}, passes=((replace(STEP, losses=counted),),))

    def fit():
        first = yield replace(one, paced=False)
        return (yield replace(one, name="second", initial=lambda streams: first))

    assert complete(fit(), SEMANTICS, training()).networks["state"]["calls"].item() == 4


def test_fitted_networks_are_taken_as_they_are():
    weights = torch.ones(2, requires_grad=True)
    done = complete({"net": {"w": weights}}, SEMANTICS, training())
    assert torch.equal(done.networks["net"]["w"], weights)
    assert not done.networks["net"]["w"].requires_grad
    assert done.epochs == ()


def sequence(seen):
    """Two preparatory programs, then the paced one on the first's result; keeps two networks."""
    first = yield replace(GOOD, name="prepare", paced=False)
    seen.append(first)
    start = {"net": {"w": first["net"]["w"] + 10}}
    second = yield replace(GOOD, name="more", paced=False, epochs=1)
    step, read = replace(STEP, losses=toward(20.0)), {"more": second["net"]}
    last = yield replace(
        GOOD, name="main", initial=lambda streams: start, passes=((step,),), frozen=read, epochs=3
    )
    seen.append(last)
    return last | read


def test_programs_in_sequence_and_figures_for_the_paced_one_alone():
    seen, called = [], []

    def on_epoch(epoch, nets):
        called.append((epoch, nets["net"]["w"].item(), nets["more"]["w"].item()))
        return {"val_h": 0.5}

    done = complete(sequence(seen), SEMANTICS, training(), on_epoch)
    # rate 0.5 on (w − t)² reaches t in one step
    assert [nets["net"]["w"].item() for nets in seen] == [1.0, 20.0]
    assert called == [(1, 20.0, 1.0), (2, 20.0, 1.0), (3, 20.0, 1.0)]
    assert {name: net["w"].item() for name, net in done.networks.items()} == {"net": 20.0, "more": 1.0}
    assert [(row["stage"], row["epoch"]) for row in done.epochs] == [
        ("part/prepare", 1),
        ("part/prepare", 2),
        ("part/more", 1),
        ("part/main", 1),
        ("part/main", 2),
        ("part/main", 3),
    ]
    assert ["val_h" in row for row in done.epochs] == [False] * 3 + [True] * 3


def test_a_sequence_goes_on_where_it_was(tmp_path):
    done = complete(sequence([]), SEMANTICS, training(tmp_path))
    seen = []
    again = complete(sequence(seen), SEMANTICS, training(tmp_path))
    assert [nets["net"]["w"].item() for nets in seen] == [1.0, 20.0]
    assert again.epochs == done.epochs
    assert again.networks["net"]["w"].item() == 20.0


def test_two_programs_of_one_name_are_a_fault(tmp_path):
    """They would share checkpoints and random streams: the second would take the first one's result."""

    def twice():
        yield GOOD
        return (yield replace(GOOD, passes=((replace(STEP, losses=toward(7.0)),),)))

    for folder in (None, tmp_path):
        with pytest.raises(PluginError, match="'training'"):
            complete(twice(), SEMANTICS, training(folder))


@pytest.mark.parametrize("kept", [None, 3, {"w": torch.zeros(1)}])
def test_a_sequence_that_ends_with_no_networks_is_a_fault(kept):
    def ends_with():
        yield GOOD
        return kept

    with pytest.raises(PluginError, match="stage 'part'"):
        complete(ends_with(), SEMANTICS, training())


def test_programs_of_a_sequence_draw_different_numbers():
    def starts():
        preparatory = replace(GOOD, paced=False, epochs=1)
        first = yield replace(preparatory, name="one", initial=lambda s: {"net": {"w": s.normal("w", (1,))}})
        start = {}

        def initial(streams):
            start["w"] = streams.normal("w", (1,))
            return {"net": {"w": start["w"]}}

        yield replace(preparatory, name="two", initial=initial)
        return {"first": first["net"], "start": start}

    steps = ((replace(STEP, losses=lambda n, b, z: Losses(0 * n["net"]["w"].sum(), {})),),)
    plain = replace(GOOD, passes=steps, initial=lambda s: {"net": {"w": s.normal("w", (1,))}}, epochs=1)
    one, two = (train(plain, SEMANTICS, training().child(name)).networks for name in ("one", "two"))
    assert one["net"]["w"].item() != two["net"]["w"].item()
    assert complete(starts(), SEMANTICS, training()).networks["start"]["w"].item() == two["net"]["w"].item()
