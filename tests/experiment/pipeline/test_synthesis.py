"""Synthesis of unseen classes: one class at a time or several in a pass, the same images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from zslbench.experiment import inputs
from zslbench.plugin.interfaces import Generator
from zslbench.plugin.programs import Normal, Uniform
from zslbench.plugin.streams import Streams


class Recorded(Generator):
    """A generator of features [a, noise], which counts its passes."""

    sample_noise = {"z": Normal((3,)), "u": Uniform((1,))}  # noqa: RUF012

    per_class = 0

    def __init__(self, per_class):
        self.per_class, self.passes = per_class, []

    def fit(self, view):
        return {}

    def sample(self, nets, semantics, noise):
        self.passes.append(len(semantics))
        return torch.cat([semantics, noise["z"], noise["u"]], dim=1)

    def transform(self, nets, g, noise):
        return 2 * g


def synthesised(monkeypatch, most, per_class, classes=7):
    monkeypatch.setattr(inputs, "_PASS", most)
    generator = Recorded(per_class)
    space = SimpleNamespace(unseen=torch.arange(classes) * 2, semantics=torch.arange(2.0 * classes)[:, None])
    made, labels = inputs.ClassifierInputs(generator, {}, Streams(0)).synthetic(space, "gzsl")
    return torch.cat(made), labels, generator.passes


@pytest.mark.parametrize("per_class", [1, 5, 16, 33])
@pytest.mark.parametrize("most", [1, 12, 40, 1000])
def test_classes_that_share_a_pass_have_the_images_that_they_have_alone(monkeypatch, most, per_class):
    alone, labels, passes = synthesised(monkeypatch, 1, per_class)
    assert passes == [per_class] * 7
    found, same_labels, passes = synthesised(monkeypatch, most, per_class)
    assert torch.equal(found, alone)
    assert torch.equal(labels, same_labels)
    assert torch.equal(found[:, 0], 2.0 * labels)
    assert sum(passes) == len(labels) == 7 * per_class
    assert max(passes) <= max(most, per_class)
    assert len(passes) == -(-7 // max(1, most // per_class))
