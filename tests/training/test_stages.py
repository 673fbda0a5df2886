"""Stages that are computed once: what shares a result, what never does, and that reuse changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from zslbench.errors import DataError, Diverged, Interrupted
from zslbench.plugin.programs import (
    Choice,
    Cosine,
    Derived,
    Episodic,
    Exponential,
    Losses,
    Normal,
    Optimizer,
    Permutation,
    Program,
    Step,
    Uniform,
    WarmUp,
)
from zslbench.plugin.streams import Streams
from zslbench.store.stages import StageStore
from zslbench.training.loop import Trained, Training, complete, derive, train
from zslbench.training.stages import Stages

SEMANTICS = torch.eye(3)
FEATURES = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(9) % 3
IDENTITY = {"data": {"features": "abc"}, "execution": {"device": "cpu", "threads": 1}, "zslbench": "1"}


def losses(nets, batch, noise):
    scale = nets["teacher"]["scale"] if "teacher" in nets else 1.0
    out = (batch.features + noise["z"]) @ nets["net"]["w"] - scale * batch.semantics
    return Losses((out**2).mean(), {"out": out.mean()}, {"count": nets["state"]["count"] + 1})


STEP = Step("step", losses, updates=("net",), noise={"z": Normal((2,))})
TEACHER = {"teacher": {"scale": torch.tensor(0.5)}}


def initial(streams):
    return {"net": {"w": streams.normal("w", (2, 3))}}


PROGRAM = Program(
    initial=initial,
    passes=((STEP,),),
    optimizers={"net": Optimizer("adam", lr=0.05)},
    features=FEATURES,
    labels=LABELS,
    epochs=2,
    batch_size=4,
    frozen=TEACHER,
    name="stage1",
    paced=False,
    key={"classes": "all", "weight": 1.0},
    state={"count": torch.zeros(())},
)


class Lab:
    """A place for results, and a run after the other that uses it."""

    def __init__(self, folder: Path) -> None:
        self.store = StageStore(folder)
        self.said: list[str] = []

    def stages(self, fresh: bool = False, **identity: Any) -> Stages:
        return Stages(self.store, IDENTITY | identity, fresh, self.said.append)

    def training(
        self, stages: Stages | None = None, seed: int = 0, part: str = "final", **more: Any
    ) -> Training:
        stages = stages or self.stages()
        return Training(Streams(seed), stages=stages, **more).child(part).child("embedding")

    def run(
        self, program: Program = PROGRAM, until: int | None = None, **options: Any
    ) -> tuple[Trained, bool]:
        """Train it in a run of its own; the second value tells whether it was found."""
        training = self.training(**options)
        done = train(program, SEMANTICS, training, until=until)
        (event,) = training.stages.events
        return done, event["reused"]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "stages")


def same(one, other):
    tensors = {f"{net}/{k}": t for net, ts in one.networks.items() for k, t in ts.items()}
    others = {f"{net}/{k}": t for net, ts in other.networks.items() for k, t in ts.items()}
    return tensors.keys() == others.keys() and all(torch.equal(t, others[k]) for k, t in tensors.items())


def test_the_second_run_finds_it_and_has_the_same_bits_and_figures(lab):
    plain = train(PROGRAM, SEMANTICS, replace(lab.training(), stages=None))
    first, found = lab.run()
    assert not found
    second, found = lab.run()
    assert found
    assert same(first, plain) and same(second, plain)
    assert first.epochs == second.epochs == plain.epochs
    assert [row["stage"] for row in second.epochs] == ["final/embedding"] * 2
    (said,) = lab.said
    assert "final/embedding" in said and "reusing" in said


def test_nothing_is_looked_up_where_nothing_is_kept():
    training = Training(Streams(0)).child("final").child("embedding")
    assert training.stages is None
    assert train(PROGRAM, SEMANTICS, training).epochs


def noisy(**specs):
    """The step with this noise; the losses read ``z``, whatever it is."""
    return ((replace(STEP, noise={"z": Normal((2,)), **specs}),),)


OTHERS = {
    "a setting of the key": {"key": {"classes": "seen", "weight": 1.0}},
    "a number in the key": {"key": {"classes": "all", "weight": 1.0 + 1e-12}},
    "another key in the key": {"key": {"classes": "all", "weight": 1.0, "scr": True}},
    "the learning rate": {"optimizers": {"net": Optimizer("adam", lr=0.051)}},
    "the optimiser": {"optimizers": {"net": Optimizer("rmsprop", lr=0.05)}},
    "weight decay": {"optimizers": {"net": Optimizer("adam", lr=0.05, weight_decay=1e-4)}},
    "the optimiser's decays": {"optimizers": {"net": Optimizer("adam", lr=0.05, betas=(0.5, 0.999))}},
    **{
        f"the optimiser's {name}": {"optimizers": {"net": Optimizer("adam", lr=0.05, **{name: value})}}
        for name, value in {
            "amsgrad": True,
            "eps": 1e-3,
            "clip_norm": 1e9,
            "clip_value": 1e9,
            "restart_every": 9,
        }.items()
    },
    "the schedule": {"optimizers": {"net": Optimizer("adam", lr=0.05, lr_schedule=Exponential(0.5))}},
    "the length": {"epochs": 3},
    "the batch": {"batch_size": 3},
    "the sampler": {"sampler": "shuffled"},
    "episodes": {"sampler": Episodic(2, 2)},
    "a batch of another size": {"passes": ((replace(STEP, batch_size=4),),)},
    "the number of batches": {"iterations": 2},
    "a pass": {"passes": ((STEP,), (STEP,))},
    "a step": {"passes": ((STEP, STEP),)},
    "a step's name": {"passes": ((replace(STEP, name="other"),),)},
    "whether a batch is fresh": {"passes": ((STEP, replace(STEP, fresh_batch=False)),)},
    "more noise": {"passes": noisy(mix=Uniform((1,)))},
    "noise of another kind": {"passes": noisy(z=Uniform((2,)))},
    "noise for all rows": {"passes": noisy(z=Normal((2,), per_row=False))},
    "an order": {"passes": noisy(order=Permutation())},
    "the initial state": {"state": {"count": torch.ones(())}},
    "the initial networks": {"initial": lambda streams: {**initial(streams), "net": {"w": torch.ones(2, 3)}}},
    "another frozen value": {"frozen": {"teacher": {"scale": torch.tensor(0.5000001)}}},
    "no frozen network": {"frozen": {}},
    "the features": {"features": FEATURES + 1e-6},
    "the labels": {"labels": LABELS.flip(0)},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_a_program_that_differs_shares_nothing(lab, change):
    lab.run()
    other = replace(PROGRAM, **change)
    found, reused = lab.run(other)
    assert not reused
    assert same(found, train(other, SEMANTICS, Training(Streams(0)).child("final").child("embedding")))
    assert lab.run(other)[1] and lab.run()[1]  # each finds its own


def test_the_classes_of_a_choice_matter(lab):
    one, other = (replace(PROGRAM, passes=noisy(u=Choice(torch.tensor(v)))) for v in ([1, 2], [1, 3]))
    assert not lab.run(one)[1] and not lab.run(other)[1] and lab.run(one)[1]


def test_where_a_schedule_stops_matters_and_how_long_it_is(lab):
    paced = replace(PROGRAM, paced=True)
    assert not lab.run(paced, until=1)[1]
    assert not lab.run(replace(paced, epochs=1))[1] and not lab.run(paced)[1]
    found, reused = lab.run(paced, until=1)
    assert reused and len(found.epochs) == 1
    assert lab.run(paced, until=2)[1]  # its end


def test_schedules_with_the_same_numbers_share_nothing(lab):
    """Also one inside another."""
    for schedule in (
        Exponential(0.5),
        Cosine(0.5),
        WarmUp(1),
        WarmUp(1, Exponential(0.5)),
        WarmUp(1, Cosine(0.5)),
    ):
        rule = Optimizer("adam", lr=0.05, lr_schedule=schedule)
        assert not lab.run(replace(PROGRAM, optimizers={"net": rule}))[1]
        assert lab.run(replace(PROGRAM, optimizers={"net": rule}))[1]


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"part": "validation"},
        {"stages": {"data": {"features": "abd"}}},
        {"stages": {"execution": {"device": "cpu", "threads": 2}}},
        {"stages": {"execution": {"device": "cuda", "threads": 1}}},
        {"stages": {"zslbench": "2"}},
        {"stages": {"source": "a plugin's digest"}},
    ],
)
def test_another_seed_fold_data_machine_or_version_shares_nothing(lab, options):
    lab.run()
    if "stages" in options:
        options = {"stages": lab.stages(**options["stages"])}
    assert not lab.run(**options)[1]
    assert lab.run()[1]


def test_stages_of_a_part_depend_on_more(lab):
    training = lab.training()
    for source in ("one", "other", "one"):
        part = replace(training, stages=training.stages.of_part(component="scen", source=source))
        train(PROGRAM, SEMANTICS, part)
    assert [event["reused"] for event in training.stages.events] == [
        False,
        False,
        True,
    ]  # and told in one place


def test_a_setting_that_no_stage_reads_changes_nothing(lab):
    """What Program holds for the core alone."""
    lab.run()
    assert lab.run(replace(PROGRAM, paced=True))[1]


def test_without_a_key_nothing_is_kept(lab):
    training = lab.training()
    train(replace(PROGRAM, key=None), SEMANTICS, training)
    assert training.stages.events == [] and not lab.store.folder.exists()


def test_a_program_whose_epochs_are_watched_is_trained(lab):
    lab.run()
    seen = []
    paced = replace(PROGRAM, paced=True)
    training = lab.training()
    train(paced, SEMANTICS, training, lambda epoch, nets: seen.append(epoch) or {})
    assert seen == [1, 2] and training.stages.events == []
    # A preparatory program is not watched, so it is found.
    training = lab.training()
    train(PROGRAM, SEMANTICS, training, lambda epoch, nets: seen.append(epoch) or {})
    assert seen == [1, 2] and [event["reused"] for event in training.stages.events] == [True]


def test_force_computes_anew_and_keeps_it(lab):
    lab.run()
    forced, found = lab.run(stages=lab.stages(fresh=True))
    assert not found
    assert same(forced, lab.run()[0])
    # But within one run what was computed is there: the same stage is not computed twice.
    training = lab.training(lab.stages(fresh=True))
    for _ in range(2):
        train(PROGRAM, SEMANTICS, training)
    assert [event["reused"] for event in training.stages.events] == [False, True]


@pytest.mark.parametrize("damage", ["flip", "truncate", "lose"])
def test_a_damaged_result_is_computed_again(lab, damage, caplog):
    first, _ = lab.run()
    for suffix in ("safetensors", "json"):
        (path,) = lab.store.folder.glob(f"*.{suffix}")
        data = bytearray(path.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 4
        elif damage == "truncate":
            del data[-5:]
        path.write_bytes(data)
        if damage == "lose":
            path.unlink()
        again, found = lab.run()
        assert not found and same(first, again)
        assert ("damaged" in caplog.text) == (damage != "lose")
        caplog.clear()
        assert lab.run()[1]  # put right


def test_what_is_handed_out_is_nobody_elses(lab):
    first, _ = lab.run()
    expected = first.networks["net"]["w"].clone()
    for _ in range(2):
        found, _ = lab.run()
        assert torch.equal(found.networks["net"]["w"], expected)
        found.networks["net"]["w"].zero_()
        found.epochs[0]["step_loss"] = -1.0
    assert lab.run()[0].epochs == first.epochs


def test_an_interrupted_stage_is_not_kept_and_then_is(lab, tmp_path):
    whole, _ = lab.run()
    elsewhere = Lab(tmp_path / "elsewhere")
    stopping = elsewhere.training(folder=tmp_path / "run", stop_requested=lambda: True)
    with pytest.raises(Interrupted):
        train(PROGRAM, SEMANTICS, stopping)
    assert stopping.stages.events == [] and not elsewhere.store.folder.exists()
    training = elsewhere.training(folder=tmp_path / "run")
    done = train(PROGRAM, SEMANTICS, training)
    assert same(done, whole) and done.epochs == whole.epochs
    assert [event["reused"] for event in training.stages.events] == [False]
    assert elsewhere.run()[1]


def test_a_stage_that_diverged_is_not_kept(lab):
    broken = replace(PROGRAM, features=FEATURES * float("inf"))
    with pytest.raises(Diverged):
        lab.run(broken)
    assert not lab.store.folder.exists()


def test_events_tell_what_it_cost_when_it_was_computed(lab):
    training = lab.training()
    train(PROGRAM, SEMANTICS, training)
    again = lab.training()
    train(PROGRAM, SEMANTICS, again)
    (computed,), (found,) = training.stages.events, again.stages.events
    assert computed["seconds"] == found["seconds"] > 0
    assert computed["key"] == found["key"] and computed["stage"] == found["stage"] == "final/embedding"


# --- derived tensors -----------------------------------------------------------------------------


def derived(calls, value=2.0, **more):
    def compute():
        calls.append(1)
        return {"g": {"train": torch.full((3,), value)}}

    source = more.pop("source", {"net": {"w": torch.ones(2)}})
    return Derived(compute, source, **({"key": {"composition": "mlp"}, "name": "g"} | more))


def test_derived_tensors_are_computed_once(lab):
    calls = []
    for _ in range(3):
        found = derive(derived(calls), lab.training())
        assert found["g"]["train"].tolist() == [2.0] * 3
        found["g"]["train"].zero_()
    assert len(calls) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"net": {"w": torch.tensor([1.0, 1.0000001])}}},
        {"source": {"other": {"w": torch.ones(2)}}},
        {"key": {"composition": "mean"}},
    ],
)
def test_of_another_source_or_key_they_are_computed(lab, change):
    calls = []
    derive(derived(calls), lab.training())
    assert derive(derived(calls, 5.0, **change), lab.training())["g"]["train"].tolist() == [5.0] * 3
    assert len(calls) == 2


def test_a_seed_matters_to_them_through_their_source_alone(lab):
    """As the mean over regions, which has no source: every seed of a run shares it; another fold does not."""
    calls = []
    for seed in (0, 1):
        derive(derived(calls), lab.training(seed=seed))
    assert len(calls) == 1
    derive(derived(calls), lab.training(part="validation"))
    derive(derived(calls), lab.training(lab.stages(data={"features": "abd"})))
    assert len(calls) == 3


def test_without_a_place_they_are_computed_and_free_of_gradients():
    calls = []
    weights = torch.ones(2, requires_grad=True)
    made = Derived(lambda: {"g": {"train": 2 * weights}}, {}, key={})
    for _ in range(2):
        assert not derive(made, Training(Streams(0)))["g"]["train"].requires_grad
        derive(derived(calls), Training(Streams(0)))
    assert len(calls) == 2


# --- several stages ------------------------------------------------------------------------------


def stages_of(calls, rate2=0.05, weight3=1.0):
    """Three stages, each on the one before: a program, derived tensors, a program."""
    first = yield PROGRAM
    net = {"net": first["net"]}
    second = yield replace(
        PROGRAM,
        name="stage2",
        initial=lambda streams: net,
        optimizers={"net": Optimizer("sgd", lr=rate2)},
    )
    made = yield derived(calls, name="g", source=second)
    third = yield replace(
        PROGRAM, name="stage3", key={"weight": weight3}, features=FEATURES + made["g"]["train"][0]
    )
    return {**third, "net": third["net"]}


def reused(lab, **settings):
    calls = []
    training = lab.training()
    complete(stages_of(calls, **settings), SEMANTICS, training)
    return {event["stage"].rpartition("/")[2]: event["reused"] for event in training.stages.events}


def test_a_change_of_a_stage_leaves_the_ones_before_it(lab):
    names = ("stage1", "stage2", "g", "stage3")
    assert reused(lab) == dict.fromkeys(names, False)
    assert reused(lab) == dict.fromkeys(names, True)
    assert reused(lab, weight3=2.0) == dict.fromkeys(names, True) | {"stage3": False}
    # The derived tensors are the same numbers here, so that the stage after them is found again.
    changed = reused(lab, rate2=0.06)
    assert changed == {"stage1": True, "stage2": False, "g": False, "stage3": True}


@pytest.mark.parametrize("kind", ["program", "derived"])
def test_a_stage_of_data_that_cannot_be_trusted_is_not_shared(lab: Lab, kind: str) -> None:
    """Without checkpoints too, before which the data are also checked."""

    def refuse() -> None:
        raise DataError("regions", ["changed"])

    def compute(training: Training) -> None:
        if kind == "program":
            train(PROGRAM, SEMANTICS, training)
        else:
            derive(Derived(lambda: TEACHER, {}, key={"of": "regions"}), training)

    with pytest.raises(DataError):
        compute(lab.training(require_sound_data=refuse))
    sound = lab.training()
    compute(sound)
    assert [one["reused"] for one in sound.stages.events] == [False]
