"""EGGN's generator step, eqs. (9)-(15) and (18), on tiny networks, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import eggn_by_hand as eggn
import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch

from zslbench.errors import ZslbenchError
from zslbench.plugin.programs import Batch, Choice, Normal
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, Guide, TrainView
from zslbench.testing import TinyInputs
from zslbench.training import linear
from zslbench.training.step import draw
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.settings import EGGNSettings

B, D, A, H, Z, C = 4, 6, 5, 7, 3, 6  # the latent's width differs from A so that no two widths are mixed up
UNSEEN = torch.tensor([1, 4])
EXACT = 1e-10


class Case:
    """An EGGN with these settings, random networks, and a batch with the noise that its step asks for."""

    def __init__(self, seed: int, feedback: bool, **settings: Any) -> None:
        rng = np.random.default_rng(seed)
        self.feedback = feedback
        self.s = EGGNSettings(
            hidden=H, latent=Z, **({"a1": 0.7, "lambda_w": 2.0, "lambda_r": 0.5} | settings)
        )
        self.classes = by_hand.unit(rng.uniform(0.1, 1, size=(C, A)))
        seen = torch.tensor([0, 2, 3, 5])
        space = ClassSpace(tuple("abcdef"), torch.tensor(self.classes), seen, UNSEEN)
        self.part = EGGN(self.s, space)
        self.guide_net = {"out.weight": rng.normal(size=(C, D)), "out.bias": rng.normal(size=C)}
        held = {"held": {name: torch.tensor(value) for name, value in self.guide_net.items()}}
        self.guide = Guide(held, lambda nets, g: linear(nets["held"], "out", g))
        self.nets: eggn.Nets = {
            net: {name: rng.normal(size=tensor.shape) / 2 for name, tensor in tensors.items()}
            for net, tensors in self.part.initial(Streams(0), D).items()
        }
        self.nets["state"] = {"penalty_weight": np.array(3.0), "penalty_sum": np.array(0.2)}
        self.g = rng.uniform(0.05, 0.95, size=(B, D))
        self.labels = rng.choice(seen.numpy(), size=B)
        view = TrainView(torch.tensor(self.g), torch.tensor(self.labels), guide=self.guide)
        self.step = self.part.fit(view).passes[int(feedback)][-1]
        streams = Streams(seed)
        drawn = {name: draw(spec, B, streams, name).numpy() for name, spec in self.step.noise.items()}
        self.noise = {name: x.astype(float) if x.dtype != np.int64 else x for name, x in drawn.items()}

    def scores(self, g):
        return by_hand.affine(self.guide_net, "out", g)

    def by_hand(self, nets=None) -> float:
        nets, at = nets or self.nets, self.nets
        vg = eggn.l_vg(nets, at, self.g, self.classes[self.labels], self.noise, self.s, self.feedback)
        return vg + self.egs(nets)

    def egs(self, nets) -> float:
        return eggn.l_egs(
            nets, self.nets, self.g, self.labels, self.classes, self.noise, self.s, self.scores, self.feedback
        )

    def losses(self, nets=None):
        tensors = {
            net: {name: torch.tensor(value) for name, value in arrays.items()}
            for net, arrays in (nets or self.nets).items()
        }
        labels = torch.tensor(self.labels)
        batch = Batch(torch.tensor(self.g), labels, self.part.space.semantics[labels])
        noise = {name: torch.tensor(value) for name, value in self.noise.items()}

        def total(trained):
            return self.step.losses({**trained, **self.guide.networks}, batch, noise)

        return total, tensors

    def gradients(self):
        total, tensors = self.losses()
        return torch.func.grad(lambda nets: total(nets).total)(tensors)

    def slope(self, net: str, name: str, direction, function) -> float:
        """Central difference of a function of the networks."""
        ends = []
        for by in (1e-5, -1e-5):
            moved = {**self.nets, net: {**self.nets[net], name: self.nets[net][name] + by * direction}}
            ends.append(function(moved))
        return (ends[0] - ends[1]) / 2e-5


WEIGHTS = [(0.1, 0.1), (1.0, 0.001), (3.0, 0.0), (0.0, 3.0), (0.0, 0.0)]
CASES = [
    ({"reading": reading, "lambda_s": s, "lambda_u": u}, feedback)
    for reading in ("paper", "authors")
    for s, u in WEIGHTS
    for feedback in (False, True)
]
CASES += [({"encoded_noise": False, "lambda_s": 0.5, "lambda_u": 0.5}, False)]
CASES += [({"reconstruction_norm": "weighted"}, feedback) for feedback in (False, True)]


@pytest.mark.parametrize(("settings", "feedback"), CASES)
def test_the_loss_and_its_gradients(settings, feedback):
    case = Case(0, feedback, **settings)
    total, tensors = case.losses()
    assert by_hand.far(total(tensors).total, case.by_hand()) < EXACT
    gradients = case.gradients()
    rng = np.random.default_rng(1)
    for net in case.step.updates:
        for name, value in case.nets[net].items():
            direction = rng.normal(size=value.shape)
            found = (gradients[net][name].numpy() * direction).sum()
            assert found == pytest.approx(case.slope(net, name, direction, case.by_hand), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_the_terms_add_to_the_gradients_what_they_should(reading):
    """L_EGS alone: its gradient is the difference to a step without it."""
    case = Case(2, False, reading=reading, lambda_s=2.0, lambda_u=3.0)
    plain = Case(2, False, lambda_s=0.0, lambda_u=0.0)
    with_terms, without = case.gradients(), plain.gradients()
    rng = np.random.default_rng(3)
    for net in ("encoder", "generator", "decoder", "critic"):
        for name, value in case.nets[net].items():
            direction = rng.normal(size=value.shape)
            found = ((with_terms[net][name] - without[net][name]).numpy() * direction).sum()
            assert found == pytest.approx(case.slope(net, name, direction, case.egs), rel=1e-5, abs=1e-7)
            reached = net == "generator" or (net == "encoder" and reading == "authors")
            assert reached or found == 0


def test_the_losses_are_logged_and_the_penalty_goes_on_as_without_them():
    case, plain = Case(4, False, lambda_s=2.0, lambda_u=3.0), Case(4, False, lambda_s=0.0, lambda_u=0.0)
    total, tensors = case.losses()
    found, other = total(tensors), plain.losses()[0](plain.losses()[1])
    seen = by_hand.cross_entropy(
        case.scores(eggn.generate(case.nets, case.noise["seen_prior"], case.classes[case.labels])),
        case.labels,
    )
    unseen = (case.egs(case.nets) - 2 * seen) / 3
    added = sorted(value.item() for name, value in found.log.items() if name not in other.log)
    assert added == pytest.approx(sorted([seen, unseen]))
    assert found.state == other.state


def test_the_guidance_runs_over_all_classes():
    """Raising an unseen class's score raises the loss on seen classes, and the other way round."""
    for settings in ({"lambda_s": 1.0, "lambda_u": 0.0}, {"lambda_s": 0.0, "lambda_u": 1.0}):
        case = Case(5, False, **settings)
        total, tensors = case.losses()
        before = total(tensors).total
        side = UNSEEN if settings["lambda_s"] else torch.tensor([0, 2, 3, 5])
        case.guide.networks["held"]["out.bias"][side] += 5
        assert total(tensors).total > before + 0.5


# --- which noise is drawn, which batch is taken ---------------------------------------------------


def step_of(space=None, view=None, feedback=False, **settings):
    space = space or TinyInputs().space()
    view = view or TinyInputs().view(space, space.seen, guide=True)
    part = EGGN(EGGNSettings(hidden=8, **settings), space)
    return part.fit(view).passes[int(feedback)][-1]


PLAIN = {"reparameterisation"}


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({}, {"seen_prior", "unseen_prior", "unseen_class"}),
        ({"lambda_s": 0.0}, {"unseen_prior", "unseen_class"}),
        ({"lambda_u": 0.0}, {"seen_prior"}),
        ({"reading": "authors"}, {"unseen_prior", "unseen_class"}),
        ({"reading": "authors", "lambda_u": 0.0}, set()),
        ({"lambda_s": 0.0, "lambda_u": 0.0}, set()),
    ],
)
def test_a_switched_off_term_draws_no_noise(settings, drawn, feedback):
    assert set(step_of(feedback=feedback, **settings).noise) == PLAIN | drawn


def test_unseen_classes_are_drawn_uniformly():
    space = TinyInputs(unseen=4, seen=5).space()
    view = TinyInputs(unseen=4, seen=5).view(space, space.seen, guide=True)
    step = step_of(space, view)
    spec = step.noise["unseen_class"]
    assert isinstance(spec, Choice) and torch.equal(spec.values, space.unseen)
    drawn = draw(spec, 8000, Streams(0), "unseen_class")
    counts = torch.bincount(drawn, minlength=9)
    assert not counts[space.seen].any()
    assert (counts[space.unseen] - 2000).abs().max() < 5 * (8000 * 0.25 * 0.75) ** 0.5
    assert step.noise["unseen_prior"] == Normal((5,)) == step.noise["seen_prior"]


@pytest.mark.parametrize("weights", [{}, {"lambda_s": 0.0, "lambda_u": 0.0}])
def test_the_generators_batch_is_the_last_critic_steps_or_its_own(weights):
    """Row 24."""
    for reading, fresh in (("paper", False), ("authors", True)):
        for feedback in (False, True):
            assert step_of(feedback=feedback, reading=reading, **weights).fresh_batch is fresh


@pytest.mark.parametrize("weights", [{"lambda_s": 0.0}, {"lambda_u": 0.0}, {}])
def test_without_a_guide_it_says_so_in_one_line(weights):
    space = TinyInputs().space()
    view = TinyInputs().view(space, space.seen)
    with pytest.raises(ZslbenchError, match="eggn") as caught:
        step_of(space, view, **weights)
    message = str(caught.value)
    assert "\n" not in message and "embedding" in message and "lambda_s" in message and "lambda_u" in message


def test_without_its_terms_it_needs_no_guide():
    space = TinyInputs().space()
    step_of(space, TinyInputs().view(space, space.seen), lambda_s=0.0, lambda_u=0.0)
