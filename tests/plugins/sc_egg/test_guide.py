"""The guide that SCEN offers to EGGN, and what guidance does to the networks that it does not train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch

from zslbench.plugin.programs import Batch
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import TrainView
from zslbench.testing import TinyInputs
from zslbench.testing.check import changed_tensors, leaves
from zslbench.testing.harness import TinyRegions
from zslbench.training import loop
from zslbench.training.step import draw, step_function
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.scen import LEN, AuthorsLEN
from zslbench_sc_egg.settings import EGGNSettings

LOCAL = (("vectors", "v"), ("attention", "w_alpha"))
AUTHORS = {"reading": "authors", "composition": "mean", "regressor_hidden": 9}


def arrays(net):
    return {name: tensor.double().numpy() for name, tensor in net.items()}


def synthetic(width: int, rows: int = 6) -> torch.Tensor:
    """Features that no image has."""
    return torch.rand(rows, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("settings", [{}, {"scr": False}])
def test_cls_g_sees_g_mapped_back_to_its_own_scale(fit_scen, settings):
    """CLS_g(ĝ·(max − min) + min), with the least and largest g of the training images."""
    fitted = fit_scen(**settings)
    net = fitted.networks["range"]
    unscaled = {"low": 0 * net["low"], "spread": 0 * net["spread"] + 1, "varies": 0 * net["varies"] + 1}
    g = fitted.scen.embed({**fitted.networks, "range": unscaled}, fitted.regions).double().numpy()
    fake = synthetic(g.shape[1])
    back = fake.double().numpy() * (g.max(axis=0) - g.min(axis=0)) + g.min(axis=0)
    expected = by_hand.affine(arrays(fitted.networks["cls_g"]), "out", back)
    guide = fitted.scen.guide(fitted.networks)
    np.testing.assert_allclose(guide.scores(guide.networks, fake), expected, rtol=1e-4, atol=1e-5)


def test_on_real_g_the_guide_is_cls_g_as_it_was_trained(fit_scen):
    fitted = fit_scen()
    guide = fitted.scen.guide(fitted.networks)
    h = by_hand.local_features(
        fitted.regions.double().numpy(),
        *(fitted.networks[net][name].double().numpy() for net, name in LOCAL),
    )
    p_g = by_hand.affine(
        arrays(fitted.networks["cls_g"]), "out", by_hand.compress(h, arrays(fitted.networks["sc"]))
    )
    np.testing.assert_allclose(guide.scores(guide.networks, fitted.g), p_g, rtol=1e-4, atol=1e-5)


def test_the_regressor_sees_scaled_g(fit_scen):
    """Row 9: the code's second classifier was trained on scaled g."""
    fitted = fit_scen(**AUTHORS)
    fake = synthetic(fitted.g.shape[1])
    net = arrays(fitted.networks["regressor"])
    hidden = by_hand.leaky(by_hand.affine(net, "first", fake.double().numpy()))
    guide = fitted.scen.guide(fitted.networks)
    found = guide.scores(guide.networks, fake)
    np.testing.assert_allclose(found, by_hand.affine(net, "second", hidden), rtol=1e-4, atol=1e-5)


def test_a_shared_scale_leaves_a_constant_dimension_its_value(fit_scen):
    """The guide maps g back, so the scores of real images are those of g before it was scaled."""
    inputs = TinyInputs(regions=5, channels=7)
    space = inputs.space()
    regions = inputs.raw_view(space).regions[torch.arange(24)].clone()
    regions[:, :, 3] = 5.0
    view = replace(inputs.raw_view(space), regions=TinyRegions(regions))
    fitted = fit_scen(space, view, scale="shared", composition="mean")
    guide = fitted.scen.guide(fitted.networks)
    _, g = fitted.scen.local_and_global(fitted.networks, fitted.regions)
    assert not fitted.g[:, 3].any()
    expected = fitted.scen.global_scores(fitted.networks, g)
    torch.testing.assert_close(guide.scores(guide.networks, fitted.g), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, AUTHORS])
def test_the_regressor_was_trained_on_what_the_guide_is_given(fit_scen, settings):
    """Stage 2's g and the g that EGGN learns have one scale."""
    fitted = fit_scen(**settings, stage2_epochs=60, stage1_epochs=6)
    guide = fitted.scen.guide(fitted.networks)
    found = guide.scores(guide.networks, fitted.g).double().numpy()
    regions = fitted.regions.double().numpy()
    regions = by_hand.unit(regions) if settings else regions  # row 11
    v, w_alpha = (fitted.networks[net][name].double().numpy() for net, name in LOCAL)
    w_beta = fitted.networks["projection"]["w_beta"].double().numpy()
    e = by_hand.attribute_scores(by_hand.local_features(regions, v, w_alpha), v, w_beta)
    p_l = e @ fitted.scen.space.semantics.double().numpy().T
    assert ((found - p_l) ** 2).mean() < 0.5 * ((p_l - p_l.mean()) ** 2).mean()


def test_a_constant_dimension_has_no_say(fit_scen):
    """max − min is 0 there, whatever a generator puts into it."""
    inputs = TinyInputs(regions=5, channels=7)
    space = inputs.space()
    regions = inputs.raw_view(space).regions[torch.arange(24)].clone()
    regions[:, :, 3] = 0
    fitted = fit_scen(space, replace(inputs.raw_view(space), regions=TinyRegions(regions)))
    guide = fitted.scen.guide(fitted.networks)
    fake = synthetic(7)
    other = fake.clone()
    other[:, 3] += 1
    torch.testing.assert_close(guide.scores(guide.networks, fake), guide.scores(guide.networks, other))


# --- EGGN under the guide ------------------------------------------------------------------------


def eggn(fitted, **settings):
    small = {"hidden": 8, "batch_size": 12, "critic_steps": 2, "epochs": 2, "lr": 1e-2}
    part = EGGN(EGGNSettings(**(small | settings)), fitted.scen.space)
    guide = fitted.scen.guide(fitted.networks)
    return part, TrainView(fitted.g.detach(), fitted.view.labels, guide=guide)


@pytest.mark.parametrize("settings", [{}, AUTHORS])
@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_the_guide_is_the_same_to_the_last_bit_after_training(fit_scen, settings, reading):
    fitted = fit_scen(**settings)
    part, view = eggn(fitted, reading=reading, lambda_s=1.0, lambda_u=1.0)
    networks = {"guide": view.guide.networks, "scen": fitted.networks}
    before = {path: tensor.clone() for path, tensor in leaves(networks).items()}
    program = part.fit(view)
    trained = loop.train(program, fitted.scen.space.semantics, loop.Training(Streams(0)))
    assert changed_tensors(before, leaves({"guide": view.guide.networks, "scen": fitted.networks})) == []
    assert set(program.frozen) == set(view.guide.networks)
    assert not set(program.optimizers) & set(program.frozen)
    assert not set(trained.networks) & set(program.frozen)


def guidance_gradients(part, view, feedback: bool):
    """What the two terms add to the gradients of the generator's step."""
    streams = Streams(3)
    program = part.fit(view)
    nets = {**program.initial(streams), "state": dict(program.state), **view.guide.networks}
    nets = {  # far from the small initial weights, where little flows
        net: {k: 20 * t if k.endswith("weight") and t.ndim else t for k, t in tensors.items()}
        for net, tensors in nets.items()
    }
    step = program.passes[int(feedback)][-1]
    batch = Batch(view.features[:8], view.labels[:8], part.space.semantics[view.labels[:8]])
    noise = {name: draw(spec, 8, streams, name) for name, spec in step.noise.items()}
    everything = replace(step, updates=tuple(nets))
    with_terms = step_function(everything)(nets, batch, noise)[0]
    plain_part = EGGN(part.settings.model_copy(update={"lambda_s": 0.0, "lambda_u": 0.0}), part.space)
    plain = replace(plain_part.fit(view).passes[int(feedback)][-1], updates=tuple(nets))
    without = step_function(plain)(nets, batch, noise)[0]
    moved = set()
    for net, tensors in with_terms.items():
        for name, tensor in tensors.items():
            if not torch.allclose(tensor, without[net][name], rtol=1e-5, atol=1e-7):
                moved.add(net)
    return moved


@pytest.mark.parametrize("feedback", [False, True])
def test_guidance_reaches_the_generator(fit_scen, feedback):
    """From the prior it reaches nothing else that a step trains; the code's reconstruction comes from E."""
    fitted = fit_scen()
    part, view = eggn(fitted, lambda_s=5.0, lambda_u=5.0, reading="paper")
    trained = {"encoder", "generator", "critic", "decoder", "feedback"}
    assert guidance_gradients(part, view, feedback) & trained == {"generator"}
    part, view = eggn(fitted, lambda_s=5.0, lambda_u=0.0, reading="authors")
    reached = guidance_gradients(part, view, feedback) & trained
    assert {"encoder", "generator"} <= reached <= {"encoder", "generator", "feedback"}


@pytest.mark.parametrize(("term", "side"), [("lambda_s", "seen"), ("lambda_u", "unseen")])
def test_training_under_guidance_makes_features_that_the_guide_knows(term, side):
    """Cross-entropy of the guide on synthetic features of a side's classes falls with that side's weight."""
    space = TinyInputs().space()
    view = TinyInputs().view(space, space.seen, guide=True)
    found = {}
    for weight in (0.0, 20.0):
        given = {"lambda_s": 0.0, "lambda_u": 0.0, term: weight, "feedback": False, "feedback_loops": 1}
        part = EGGN(EGGNSettings(hidden=8, batch_size=12, critic_steps=1, epochs=10, lr=5e-2, **given), space)
        nets = loop.train(part.fit(view), space.semantics, loop.Training(Streams(0))).networks
        labels = getattr(space, side).repeat(20)
        noise = {"prior": draw(part.sample_noise["prior"], len(labels), Streams(5), "prior")}
        fake = part.sample(nets, space.semantics[labels], noise)
        scores = view.guide.scores(view.guide.networks, fake).double().numpy()
        found[weight] = by_hand.cross_entropy(scores, labels.numpy())
    assert found[20.0] < 0.8 * found[0.0]


@pytest.mark.parametrize(("settings", "kind"), [({}, LEN), (AUTHORS, AuthorsLEN)])
def test_len_alone_gives_the_attribute_scores_that_scen_sees_and_no_guide(fit_scen, settings, kind):
    fitted = fit_scen(**settings)
    alone = LEN(fitted.scen.settings, fitted.scen.space)
    assert type(alone) is kind
    _, expected, _ = fitted.scen.attention(fitted.networks, fitted.regions)
    np.testing.assert_allclose(alone.embed(fitted.networks, fitted.regions), expected, rtol=1e-6)
    assert alone.guide(fitted.networks) is None
