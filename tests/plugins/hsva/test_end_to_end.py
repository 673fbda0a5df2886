"""HSVA as a method: it learns, its steps are the released ones, it knows no test image unless it says so."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.errors import SettingsError
from zslbench.plugin import ClassSpace, Streams, TrainView, Transductive
from zslbench_hsva.generator import HSVA
from zslbench_hsva.settings import HSVASettings

SPACE = ClassSpace(tuple("abcd"), torch.rand(4, 4), torch.tensor([0, 2]), torch.tensor([1, 3]))
SMALL = {"latent": 3, "hidden": 8, "structure": 7, "classifier_hidden": 6, "directions": 4}
TINY = {f"generator.{name}": value for name, value in SMALL.items()} | {
    "dataset.images_per_class": 10,
    "classifier.epochs": 1,
}


def view(**more):
    return TrainView(torch.rand(20, 6), torch.tensor([0, 2] * 10), **more)


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    options = {"select": "last", "epochs": 20, "every": 20, "store": tmp_path, "device": "cpu", "threads": 1}
    options["settings"] = {"generator.batch_size": 100}
    metrics = zslbench.run("hsva", dataset="toy", **options).records[0].metrics
    assert metrics["acc"] > 0.4
    assert metrics["h"] > 0.2


def test_the_steps_are_the_released_ones_on_one_batch():
    program = HSVA(HSVASettings(**SMALL), SPACE).fit(view())
    (steps,) = program.passes
    encoders, classifiers = {"visual_encoder", "semantic_encoder"}, {"classifier1", "classifier2"}
    decoders = {"visual_decoder", "semantic_decoder"}
    assert [step.name for step in steps] == ["supervised", "maximise", "minimise", "minimise", "distribution"]
    assert [set(step.updates) for step in steps] == [
        encoders | classifiers,
        classifiers,
        encoders,
        encoders,
        encoders | decoders | {"common_encoder"},
    ]
    assert [step.fresh_batch for step in steps] == [True, False, False, False, False]
    for net, rule in program.optimizers.items():
        theirs = (1e-3, False) if net in classifiers else (1.5e-4, True)
        assert (rule.kind, rule.lr, rule.amsgrad) == ("adam", *theirs)
    assert program.optimizers.keys() == encoders | classifiers | decoders | {"common_encoder"}


@pytest.mark.parametrize(
    ("off", "steps", "noise"),
    [
        ("structure_adaptation", 2, {"visual", "semantic", "unseen", "unseen_semantic"}),
        ("coral", 5, {"visual", "semantic"}),
    ],
)
def test_parts_that_are_off_draw_nothing(off, steps, noise):
    (found,) = HSVA(HSVASettings(**SMALL, **{off: False}), SPACE).fit(view()).passes
    assert len(found) == steps
    assert set(found[-1].noise) == noise


def test_labels_become_places_among_the_seen_classes_in_their_order():
    space = ClassSpace(tuple("abcd"), torch.rand(4, 4), torch.tensor([3, 0, 2]), torch.tensor([1]))
    places = HSVA(HSVASettings(), space).place_among_seen(torch.tensor([0, 3, 2, 0]))
    assert places.tolist() == [1, 0, 2, 1]


def test_unseen_classes_are_drawn_alike_and_test_images_are_not_asked():
    told = view(test=Transductive(class_prior=torch.tensor([0.9, 0.1])))
    program = HSVA(HSVASettings(**SMALL), SPACE).fit(told)
    assert program.passes[0][-1].noise["unseen"].values.tolist() == [1, 3]
    assert not program.frozen


def test_unseen_classes_by_their_shares_of_the_test_images():
    component = HSVA(HSVASettings(**SMALL, unseen_prior="test"), SPACE)
    program = component.fit(view(test=Transductive(class_prior=torch.tensor([0.75, 0.25]))))
    nets = program.initial(Streams(0)) | program.frozen
    numbers = torch.tensor([0.0, 0.5, 0.74, 0.76, 1 - 2**-24])
    assert component.unseen_classes(nets, {"unseen": numbers}).tolist() == [1, 1, 1, 3, 3]


def test_the_shares_are_only_for_the_reading_that_says_so(tmp_path):
    run = {"dataset": "toy", "epochs": 1, "select": "last", "store": tmp_path, "settings": TINY, "threads": 1}
    with pytest.raises(SettingsError, match="authors"):
        zslbench.run("hsva", **run | {"settings": TINY | {"generator.unseen_prior": "test"}})
    assert zslbench.run("hsva", **run, reading="authors").records[0].metrics["h"] >= 0
