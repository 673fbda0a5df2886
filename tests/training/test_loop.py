"""The loop: which step runs when on which rows, how weights move, what an epoch's row says."""

from __future__ import annotations

import math

import pytest
import torch

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training, train


class Recorded:
    """Features that write down which rows were asked for."""

    def __init__(self, features, events):
        self.features, self.events = features, events

    def __len__(self):
        return len(self.features)

    def __getitem__(self, rows):
        self.events.append(("batch", tuple(rows.tolist())))
        return self.features[rows]


def program(losses, nets, *, n=10, features=None, **changes):
    features = torch.arange(2.0 * n).reshape(n, 2) if features is None else features
    values = {
        "initial": lambda streams: nets,
        "passes": ((Step("step", losses or quadratic, updates=("net",)),),),
        "optimizers": {"net": Optimizer("sgd", lr=0.1)},
        "features": features,
        "labels": torch.arange(len(features)) % 2,
        "epochs": 1,
        "batch_size": n,
    }
    return Program(**(values | changes))


def run(made, semantics=None, on_epoch=None, **training):
    semantics = torch.eye(2) if semantics is None else semantics
    return train(made, semantics, Training(Streams(0), stage="part", **training), on_epoch)


# --- weights -------------------------------------------------------------------------------------


def quadratic(nets, batch, noise):
    """½ c (w − 2)² with c = 3: gradient descent of rate r multiplies the error by 1 − 3 r."""
    return Losses(1.5 * ((nets["net"]["w"] - 2) ** 2).sum(), {})


def test_gradient_descent_on_a_quadratic():
    start = torch.tensor([5.0, -1.0], dtype=torch.float64)
    done = run(program(quadratic, {"net": {"w": start}}, epochs=7))
    assert torch.allclose(done.networks["net"]["w"], 2 + 0.7**7 * (start - 2), rtol=1e-14, atol=0)
    assert start.tolist() == [5.0, -1.0]  # a plugin's own tensor is left alone
    errors = 9 + 9
    for row in done.epochs:
        assert row["step_loss"] == pytest.approx(1.5 * errors * 0.7 ** (2 * (row["epoch"] - 1)), rel=1e-6)


def test_momentum_and_weight_decay_on_paper():
    rule = Optimizer("sgd", lr=0.1, momentum=0.5, weight_decay=0.25)
    nets = {"net": {"w": torch.tensor([4.0], dtype=torch.float64)}}
    done = run(program(quadratic, nets, epochs=6, optimizers={"net": rule}))
    w, velocity = 4.0, 0.0
    for _ in range(6):
        velocity = 0.5 * velocity + 3 * (w - 2) + 0.25 * w
        w -= 0.1 * velocity
    assert done.networks["net"]["w"].item() == pytest.approx(w, rel=1e-12)


def fit_line(nets, batch, noise):
    error = batch.features @ nets["net"]["w"] + nets["net"]["b"] - batch.labels
    return Losses((error**2).mean() + (nets["net"]["w"] ** 4).sum(), {})


ADAM = torch.optim.Adam
RMSPROP = torch.optim.RMSprop


@pytest.mark.parametrize(
    ("rule", "kind", "options"),
    [
        (Optimizer("adam", lr=0.05, betas=(0.5, 0.999)), ADAM, {"lr": 0.05, "betas": (0.5, 0.999)}),
        (Optimizer("adam", lr=0.02, weight_decay=0.1), ADAM, {"lr": 0.02, "weight_decay": 0.1}),
        (Optimizer("rmsprop", lr=0.01), RMSPROP, {"lr": 0.01}),
        (
            Optimizer("rmsprop", lr=1e-2, weight_decay=1e-4, momentum=0.9),
            RMSPROP,
            {"lr": 1e-2, "weight_decay": 1e-4, "momentum": 0.9},
        ),
    ],
)
def test_optimizers_are_those_of_torch(rule, kind, options):
    events = []
    features = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    nets = {"net": {"w": torch.tensor([0.5, -1.0]), "b": torch.tensor(0.25)}}
    made = program(fit_line, nets, epochs=5, batch_size=4, optimizers={"net": rule})
    done = run(Program(**(vars(made) | {"features": Recorded(features, events)})))
    by_hand = {name: value.clone().requires_grad_() for name, value in nets["net"].items()}
    optimizer = kind(by_hand.values(), **options)
    for _, rows in events:
        error = features[list(rows)] @ by_hand["w"] + by_hand["b"] - torch.tensor(rows) % 2
        optimizer.zero_grad()
        ((error**2).mean() + (by_hand["w"] ** 4).sum()).backward()
        optimizer.step()
    assert len(events) == 5 * 3
    for name, value in by_hand.items():
        torch.testing.assert_close(done.networks["net"][name], value.detach(), rtol=1e-6, atol=1e-7)


# --- order ---------------------------------------------------------------------------------------


def recorder(name, events):
    def losses(nets, batch, noise):
        events.append((name, batch.features, batch.labels, batch.semantics))
        return Losses((nets["net"]["w"] ** 2).sum(), {})

    return losses


def alternating(events, **changes):
    critic = Step("critic", recorder("critic", events), updates=("net",))
    generator = Step("generator", recorder("generator", events), updates=("net",), fresh_batch=False)
    nets = {"net": {"w": torch.tensor([1.0])}}
    changes = {"passes": ((critic,) * 5 + (generator,),) * 2, "batch_size": 4, "epochs": 3} | changes
    made = program(None, nets, n=10, **changes)
    return Program(**(vars(made) | {"features": Recorded(made.features, events)}))


def test_five_critic_steps_on_fresh_batches_then_a_generator_step_on_the_last():
    events = []
    run(alternating(events))
    # An iteration draws all it needs, then computes.
    iteration = ["batch"] * 5 + ["critic"] * 5 + ["generator"]
    # ceil(10 / 4) iterations in each of two passes, three times
    assert [event[0] for event in events] == iteration * (math.ceil(10 / 4) * 2 * 3)
    for start in range(0, len(events), len(iteration)):
        drawn = [event[1] for event in events[start : start + 5]]
        for rows, event in zip([*drawn, drawn[-1]], events[start + 5 :], strict=False):
            _, features, labels, semantics = event
            assert features[:, 0].tolist() == [2.0 * row for row in rows]
            assert labels.tolist() == [row % 2 for row in rows]
            assert semantics.tolist() == torch.eye(2)[labels].tolist()


@pytest.mark.parametrize(("n", "batch_size"), [(8, 4), (9, 4), (3, 64), (1, 1)])
def test_a_pass_is_as_many_iterations_as_cover_the_data(n, batch_size):
    events = []
    step = Step("step", recorder("step", events), updates=("net",))
    nets = {"net": {"w": torch.tensor([1.0])}}
    run(program(None, nets, n=n, batch_size=batch_size, passes=((step,),)))
    assert len(events) == math.ceil(n / batch_size)
    assert all(len(one[1]) == min(n, batch_size) for one in events)


def test_passes_follow_each_other_within_an_epoch():
    events = []
    first, second = (Step(name, recorder(name, events), updates=("net",)) for name in ("first", "second"))
    nets = {"net": {"w": torch.tensor([1.0])}}
    run(program(None, nets, n=6, batch_size=3, epochs=2, passes=((first,), (second,))))
    assert [event[0] for event in events] == ["first", "first", "second", "second"] * 2


@pytest.mark.parametrize("fresh", [(True, True, True), (True, False, True), (True, False, False)])
def test_which_batch_a_step_is_given(fresh):
    events = []
    steps = tuple(
        Step(str(number), recorder(str(number), events), updates=("net",), fresh_batch=one)
        for number, one in enumerate(fresh)
    )
    run(program(None, {"net": {"w": torch.tensor([1.0])}}, batch_size=2, passes=(steps,), iterations=1))
    seen = [event[1].flatten().tolist() for event in events]
    for number, one in enumerate(fresh[1:], 1):
        assert (seen[number] != seen[number - 1]) is one


def test_shuffled_training_sees_every_row_once_an_epoch():
    events = []
    run(alternating(events, sampler="shuffled", batch_size=5, passes=alternating([]).passes[:1]))
    rows = [row for event in events if event[0] == "batch" for row in event[1]]
    for start in range(0, len(rows), 10):
        assert sorted(rows[start : start + 10]) == list(range(10))


# --- noise, state, rows ------------------------------------------------------------------------


def test_noise_of_a_term_is_the_same_without_the_others():
    """A program with and without a term draws identical numbers for the rest, and the same batches."""

    def recorded(terms):
        seen, events = [], []

        def losses(nets, batch, noise):
            seen.append(noise)
            return Losses((nets["net"]["w"] ** 2).sum(), {})

        step = Step("critic", losses, updates=("net",), noise={name: Normal((3,)) for name in terms})
        made = program(None, {"net": {"w": torch.tensor([1.0])}}, passes=((step,),), batch_size=3, epochs=2)
        run(Program(**(vars(made) | {"features": Recorded(made.features, events)})))
        return seen, events

    both, rows = recorded(["z", "mix"])
    one, same_rows = recorded(["mix"])
    assert rows == same_rows
    assert len(both) == len(one) == 8
    assert all(torch.equal(a["mix"], b["mix"]) for a, b in zip(both, one, strict=True))
    assert not torch.equal(both[0]["z"], both[0]["mix"])


def test_means_of_the_epoch_and_a_state_that_changes():
    def losses(nets, batch, noise):
        t = nets["state"]["t"]
        return Losses((nets["net"]["w"] ** 2).sum(), {"t": t}, {"t": t + 1})

    state = {"t": torch.tensor(0.0)}
    done = run(program(losses, {"net": {"w": torch.tensor([0.0])}}, batch_size=3, epochs=2, state=state))
    assert [row["step_t"] for row in done.epochs] == [1.5, 5.5]  # means of 0 to 3 and of 4 to 7
    assert [(row["stage"], row["epoch"]) for row in done.epochs] == [("part", 1), ("part", 2)]
    assert done.networks["state"]["t"].item() == 8
    assert state["t"].item() == 0


def test_figures_and_state_are_those_of_before_the_update():
    """A logged value or new state that is one of the networks' own tensors is read before they change."""

    def losses(nets, batch, noise):
        w, old = nets["net"]["w"], nets["state"]
        new = {"last": w, "one": old["other"], "other": old["one"]}
        return Losses(1.5 * ((w - 2) ** 2).sum(), {"w": w, "last": old["last"]}, new)

    state = {name: torch.tensor(value) for name, value in {"last": 9.0, "one": 1.0, "other": 2.0}.items()}
    done = run(program(losses, {"net": {"w": torch.tensor(4.0)}}, epochs=3, state=state))
    w = [2 + 2 * 0.7**epoch for epoch in range(4)]
    assert [row["step_w"] for row in done.epochs] == pytest.approx(w[:3])
    assert [row["step_last"] for row in done.epochs] == pytest.approx([9, *w[:2]])
    assert done.networks["net"]["w"].item() == pytest.approx(w[3])
    assert {name: value.item() for name, value in done.networks["state"].items()} == pytest.approx(
        {"last": w[2], "one": 2.0, "other": 1.0}
    )


def test_frozen_networks_are_read_and_neither_changed_nor_returned():
    def losses(nets, batch, noise):
        return Losses(((nets["net"]["w"] - nets["guide"]["w"]) ** 2).sum(), {})

    guide = {"w": torch.tensor([4.0])}
    nets = {"net": {"w": torch.tensor([0.0])}}
    done = run(program(losses, nets, epochs=60, frozen={"guide": guide}))
    assert done.networks.keys() == {"net"}
    assert done.networks["net"]["w"].item() == pytest.approx(4, abs=1e-4)
    assert guide["w"].item() == 4


def test_on_epoch_gets_copies_and_its_figures_join_the_row():
    kept = []

    def on_epoch(epoch, nets):
        kept.append((epoch, nets["net"]["w"]))
        nets["net"]["w"].fill_(100.0)  # a careless observer
        return {"val_h": epoch / 10}

    start = torch.tensor([5.0], dtype=torch.float64)
    done = run(program(quadratic, {"net": {"w": start}}, epochs=3), on_epoch=on_epoch)
    assert [row["val_h"] for row in done.epochs] == [0.1, 0.2, 0.3]
    assert [epoch for epoch, _ in kept] == [1, 2, 3]
    assert done.networks["net"]["w"].item() == pytest.approx(2 + 0.7**3 * 3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_with_one_line(value):
    def losses(nets, batch, noise):
        late = nets["state"]["t"] >= 1
        bad = torch.where(late, torch.tensor(value), torch.tensor(1.0))
        return Losses((nets["net"]["w"] ** 2).sum() * bad, {}, {"t": nets["state"]["t"] + 1})

    nets, state = {"net": {"w": torch.tensor([1.0])}}, {"t": torch.tensor(0.0)}
    with pytest.raises(Diverged, match=r"'part'.*step_loss.*epoch 2") as caught:
        run(program(losses, nets, epochs=3, state=state))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("factor", "warnings"), [(1e3, 0), (1e9, 1)])
def test_a_loss_that_explodes_is_told_with_stage_name_and_epoch(caplog, factor, warnings):
    def losses(nets, batch, noise):
        late = nets["state"]["t"] >= 2
        grown = torch.where(late, torch.tensor(factor), torch.tensor(1.0))
        return Losses((nets["net"]["w"] * 0).sum(), {"vae": 2 * grown}, {"t": nets["state"]["t"] + 1})

    nets, state = {"net": {"w": torch.tensor([1.0])}}, {"t": torch.tensor(0.0)}
    done = run(program(losses, nets, epochs=4, state=state))
    assert [row["step_vae"] for row in done.epochs] == pytest.approx([2, 2, 2 * factor, 2 * factor])
    assert len(caplog.messages) == warnings
    assert all("'part': step_vae" in one and "epoch 3" in one for one in caplog.messages)


def test_a_logged_figure_that_is_not_finite_ends_the_run_too():
    def losses(nets, batch, noise):
        return Losses((nets["net"]["w"] ** 2).sum(), {"penalty": torch.tensor(math.nan)})

    with pytest.raises(Diverged, match="step_penalty"):
        run(program(losses, {"net": {"w": torch.tensor([1.0])}}))


def test_a_stop_inside_an_evaluation_keeps_the_trained_epoch(tmp_path):
    """The evaluation is repeated on resumption; the epochs before it are not trained again."""
    steps = []

    def losses(nets, batch, noise):
        steps.append(1)
        return Losses((nets["net"]["w"] ** 2).sum(), {})

    program = Program(
        initial=lambda streams: {"net": {"w": torch.ones(2)}},
        passes=((Step("step", losses, updates=("net",)),),),
        optimizers={"net": Optimizer("sgd", lr=0.1)},
        features=torch.zeros(4, 1),
        labels=torch.zeros(4, dtype=torch.int64),
        epochs=3,
        batch_size=2,
    )
    training = Training(Streams(0), folder=tmp_path / "stage", checkpoint_seconds=1e9)

    def interrupted(epoch, nets):
        if epoch == 2:
            raise Interrupted("stopped")
        return {"val_h": float(epoch)}

    with pytest.raises(Interrupted):
        train(program, torch.zeros(1, 1), training, interrupted)
    assert len(steps) == 4  # two epochs of two steps
    resumed = train(program, torch.zeros(1, 1), training, lambda epoch, nets: {"val_h": float(epoch)})
    assert len(steps) == 6
    whole = train(
        program, torch.zeros(1, 1), Training(Streams(0)), lambda epoch, nets: {"val_h": float(epoch)}
    )
    assert resumed.epochs == whole.epochs
    assert torch.equal(resumed.networks["net"]["w"], whole.networks["net"]["w"])
