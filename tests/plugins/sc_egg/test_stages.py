"""Stages 1 and 2 of SCEN on tiny inputs: what they train, what they leave alone, and g's range."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from zslbench.errors import ZslbenchError
from zslbench.plugin.programs import Batch
from zslbench.plugin.streams import Streams
from zslbench.testing import TinyInputs
from zslbench.testing.check import changed_tensors, leaves
from zslbench.testing.harness import TinyRegions
from zslbench_sc_egg.networks import initial_regressor

LEN = ("vectors", "attention", "projection")
GEN = ("sc", "cls_g")
AUTHORS = {
    "reading": "authors", "composition": "mean", "optimizer": "rmsprop", "weight_decay": 1e-4,
    "momentum": 0.9, "classes": "seen", "sampler": "balanced", "beta_std": 1.0, "iterations": 3,
}  # fmt: skip
READINGS = {"paper": {}, "authors": AUTHORS}


def of(nets, *names):
    return leaves({name: nets[name] for name in names})


@pytest.mark.parametrize("reading", READINGS)
def test_stage_2_leaves_len_as_it_is(fit_scen, reading):
    fitted = fit_scen(**READINGS[reading])
    stage1 = fitted.after["stage1"]
    assert changed_tensors(of(stage1, *LEN), of(fitted.networks, *LEN)) == []
    changed = {
        path.partition("/")[0] for path in changed_tensors(of(stage1, *GEN), of(fitted.networks, *GEN))
    }
    # Section 3.3 against rows 6 and 8: GEN is fine-tuned, or everything but a new classifier is frozen.
    assert changed == (set(GEN) if reading == "paper" else set())
    assert ("regressor" in fitted.networks) == (reading == "authors")


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({}, {"attention", "projection", "sc", "cls_g"}),
        ({"reading": "authors"}, {"vectors", "attention", "projection", "sc", "cls_g"}),
        ({"lambda_l": 0.0}, {"attention", "sc", "cls_g"}),  # W_β has no part in L_GCE
        ({"lambda_g": 0.0}, {"attention", "projection"}),
    ],
)
def test_stage_1_trains_what_its_loss_reads(fit_scen, settings, trained):
    fitted = fit_scen(**settings)
    initial = fitted.parts["stage1"].initial(Streams(0).child("stage1").child("initial"))
    after = fitted.after["stage1"]
    assert {path.partition("/")[0] for path in changed_tensors(leaves(initial), leaves(after))} == trained


def test_the_code_starts_layers_uniformly_and_ours_normally(before):
    """Row 15: weights and biases within 1/√inputs, of variance 1 / (3 inputs); ours has no biases."""
    wide = TinyInputs(attributes=40, channels=300)
    space = wide.space()
    released = before(space, wide.raw_view(space), reading="authors")
    regressor = initial_regressor(Streams(1), 300, 200, 6)["regressor"]
    layers = {
        ("sc", 40): (released["sc"]["first.weight"], released["sc"]["first.bias"]),
        ("cls_g", 300): (released["cls_g"]["out.weight"], released["cls_g"]["out.bias"]),
        ("first", 300): (regressor["first.weight"], regressor["first.bias"]),
        ("second", 200): (regressor["second.weight"], regressor["second.bias"]),
    }
    for (_, inputs), (weight, bias) in layers.items():
        bound = 1 / math.sqrt(inputs)
        assert weight.shape[1] == inputs and bias.any()
        for values in (weight, bias):
            assert values.abs().max() <= bound
        # The fourth moment tells uniform from normal: bound⁴ / 5, here within five standard errors.
        error = 5 * bound**4 * math.sqrt((1 / 9 - 1 / 25) / weight.numel())
        assert float((weight**4).mean()) == pytest.approx(bound**4 / 5, abs=error)
        assert float(weight.abs().max()) > 0.95 * bound
    ours = before(space, wide.raw_view(space))
    assert not any(ours[net][name].any() for net, name in (("sc", "first.bias"), ("cls_g", "out.bias")))
    weight = ours["cls_g"]["out.weight"]
    assert float(weight.abs().max()) > 1 / math.sqrt(300)
    assert float(weight.std()) == pytest.approx(1 / math.sqrt(900), rel=5 / math.sqrt(2 * weight.numel()))


def test_without_l_gce_stage_2_starts_from_initial_networks(fit_scen):
    """Section 9: SC and CLS_g learned from L_SCR alone."""
    fitted = fit_scen(lambda_g=0.0)
    initial = fitted.parts["stage1"].initial(Streams(0).child("stage1").child("initial"))
    assert changed_tensors(of(initial, *GEN), of(fitted.after["stage1"], *GEN)) == []
    assert changed_tensors(of(initial, *GEN), of(fitted.networks, *GEN)) != []


@pytest.mark.parametrize("reading", READINGS)
def test_without_l_scr_stage_1_is_the_same_and_g_is_stage_1s(fit_scen, reading):
    whole, without = (fit_scen(**READINGS[reading], scr=scr) for scr in (True, False))
    assert changed_tensors(leaves(whole.after["stage1"]), leaves(without.after["stage1"])) == []
    assert changed_tensors(leaves(whole.after["stage1"]), of(without.networks, *LEN, *GEN)) == []
    if reading == "paper":
        assert "stage2" not in without.parts  # section 9: stage 2 removed
        assert not torch.equal(whole.g, without.g)
    else:
        # The code's design: g does not change after stage 1; the guide learns from labels instead.
        assert torch.equal(whole.g, without.g)
        assert changed_tensors(of(whole.networks, "regressor"), of(without.networks, "regressor"))


def test_without_l_lce_stage_2_follows_untrained_scores_or_is_left_out(fit_scen):
    """Section 9: literally the teacher is noise; the other reading is an option."""
    literal, skipped = (fit_scen(lambda_l=0.0, scr_without_lce=one) for one in (True, False))
    assert "stage2" in literal.parts and "stage2" not in skipped.parts
    # With L_LCE the option changes nothing.
    with_lce = (fit_scen(scr_without_lce=one).networks for one in (True, False))
    assert changed_tensors(*map(leaves, with_lce)) == []


def test_stage_2_brings_gens_scores_nearer_to_lens(fit_scen):
    fitted = fit_scen(stage2_epochs=30, stage1_epochs=4)

    labels = fitted.view.labels
    batch = Batch(fitted.regions, labels, fitted.scen.space.semantics[labels])
    found = {}
    for stage, nets in (("1", fitted.after["stage1"]), ("2", fitted.networks)):
        found[stage] = fitted.scen.stage2_losses(nets, batch, {}).total.item()
    assert found["2"] < 0.7 * found["1"]


# --- before training, row 15 ---------------------------------------------------------------------


def test_attention_starts_uniform_and_w_beta_with_the_deviation_asked_for(before):
    wide = TinyInputs(regions=3, channels=60, attributes=6, words=50)
    space = wide.space()
    nets = before(space, wide.raw_view(space), alpha_std=0.0, beta_std=1.0, normalize_vectors=False)
    assert not nets["attention"]["w_alpha"].any()
    w_beta = nets["projection"]["w_beta"]
    assert w_beta.shape == (60, 50)
    assert w_beta.std().item() == pytest.approx(1.0, rel=5 / math.sqrt(2 * w_beta.numel()))
    assert w_beta.mean().item() == pytest.approx(0, abs=5 / math.sqrt(w_beta.numel()))
    assert torch.equal(nets["vectors"]["v"], space.attribute_vectors)
    alpha = before(space, wide.raw_view(space), alpha_std=0.5)["attention"]["w_alpha"]
    assert alpha.std().item() == pytest.approx(0.5, rel=5 / math.sqrt(2 * alpha.numel()))


def test_without_a_deviation_e_l_starts_with_unit_variance(before):
    """Whatever the scale of regions and word vectors."""
    wide = TinyInputs(regions=3, channels=60, attributes=6, words=50, seen=8, per_class=20)
    space = wide.space()
    space = replace(space, attribute_vectors=40 * space.attribute_vectors)
    view = wide.raw_view(space)
    regions = 0.01 * view.regions[torch.arange(len(view.labels))]
    found = []
    for seed in range(12):
        nets = before(space, replace(view, regions=TinyRegions(regions)), seed, beta_std=None)
        # Attention starts uniform, so that h is the mean of the regions.
        e = regions.mean(dim=1) @ nets["projection"]["w_beta"] @ nets["vectors"]["v"].T
        found.append((e**2).mean().item())
    assert 0.5 < np.mean(found) < 2


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_start_as_the_data_sets_of_unit_length_where_asked_for(before, normalize):
    space = TinyInputs().space()
    nets = before(space, TinyInputs().raw_view(space), normalize_vectors=normalize)
    v, expected = nets["vectors"]["v"].numpy(), space.attribute_vectors.numpy()
    if normalize:
        expected = expected / np.sqrt((expected**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(v, expected, rtol=1e-6)


def test_a_data_set_without_word_vectors_is_one_line(fit_scen):
    space = replace(TinyInputs().space(), attribute_vectors=None)
    with pytest.raises(ZslbenchError, match="vector") as caught:
        fit_scen(space, TinyInputs().raw_view(space))
    assert "\n" not in str(caught.value)


# --- the range of g, row 5 -----------------------------------------------------------------------


@pytest.mark.parametrize("reading", READINGS)
def test_g_of_the_training_images_fills_the_unit_interval(fit_scen, reading):
    g = fit_scen(**READINGS[reading]).g
    assert g.min() >= 0 and g.max() <= 1
    np.testing.assert_allclose(g.amin(dim=0), 0, atol=1e-6)
    np.testing.assert_allclose(g.amax(dim=0), 1, atol=1e-6)


def test_g_of_other_images_is_scaled_alike_and_not_clipped(fit_scen):
    fitted = fit_scen()
    others = 3 * fitted.regions
    g = fitted.scen.embed(fitted.networks, others)
    assert g.max() > 1.5
    net = fitted.networks["range"]
    plain = fitted.scen.embed({**fitted.networks, "range": identity_of(net)}, others)
    torch.testing.assert_close(g, (plain - net["low"]) / net["spread"])


def identity_of(net):
    return {"low": 0 * net["low"], "spread": 0 * net["spread"] + 1, "varies": 0 * net["varies"] + 1}


@pytest.mark.parametrize("reading", READINGS)
def test_a_constant_dimension_becomes_zero_and_is_told(fit_scen, caplog, reading):
    """A channel that is dead in every training image: 0/0 in the authors' code."""
    inputs = TinyInputs(regions=5, channels=7)
    space = inputs.space()
    regions = inputs.raw_view(space).regions[torch.arange(24)].clone()
    regions[:, :, 3] = 0
    view = replace(inputs.raw_view(space), regions=TinyRegions(regions))
    with caplog.at_level(logging.WARNING, "zslbench"):
        fitted = fit_scen(space, view, **READINGS[reading])
    g = fitted.g
    assert g.isfinite().all() and not g[:, 3].any()
    assert (g[:, [0, 1, 2, 4, 5, 6]].amax(dim=0) > 0.99).all()
    (message,) = [one.getMessage() for one in caplog.records if "constant" in one.getMessage()]
    assert "1 " in message
    # An image in which the channel is alive changes nothing: nothing is known of its scale.
    alive = regions.clone()
    alive[:, :, 3] = 5
    again = fitted.scen.embed(fitted.networks, alive)
    assert again.isfinite().all() and not again[:, 3].any()


def test_a_shared_scale_keeps_the_proportions_of_the_dimensions(fit_scen):
    fitted = fit_scen(scale="shared")
    net = fitted.networks["range"]
    plain = fitted.scen.embed({**fitted.networks, "range": identity_of(net)}, fitted.regions)
    torch.testing.assert_close(fitted.g, (plain - plain.min()) / (plain.max() - plain.min()))


@pytest.mark.parametrize("reading", READINGS)
def test_a_mean_is_composed_without_sc_and_an_mlp_with_it(fit_scen, reading):
    """Row 4 is a choice of its own: it goes with either reading."""
    for composition in ("mlp", "mean"):
        settings = READINGS[reading] | {"composition": composition, "weight_decay": 0.1}
        fitted = fit_scen(**settings)
        other = {**fitted.networks, "sc": {name: 2 * one for name, one in fitted.networks["sc"].items()}}
        same = torch.equal(fitted.g, fitted.scen.embed(other, fitted.regions))
        assert same == (composition == "mean")
        changed = changed_tensors(of(fitted.after["stage1"], "sc"), of(fitted.networks, "sc"))
        assert bool(changed) == (composition == "mlp" and reading == "paper")


def test_a_dimension_that_is_constant_up_to_rounding_does_not_become_noise(fit_scen):
    """A constant other than 0 is constant in g only as far as the attention's weights sum to 1."""
    inputs = TinyInputs(regions=5, channels=7)
    space = inputs.space()
    regions = inputs.raw_view(space).regions[torch.arange(24)].clone()
    regions[:, :, 3] = 0
    regions *= (1 - 0.7**2) ** 0.5 / regions.norm(dim=2, keepdim=True)
    regions[:, :, 3] = 0.7  # of unit length, so that the scaling of row 11 leaves it constant
    view = replace(inputs.raw_view(space), regions=TinyRegions(regions))
    fitted = fit_scen(space, view, reading="authors", composition="mean")
    assert not fitted.g[:, 3].any()


def test_the_range_is_that_of_the_last_networks(fit_scen):
    """Of the whole training set and after stage 2, in ``paper``: the guide and EGGN see the same g."""
    fitted = fit_scen()
    net = fitted.networks["range"]
    plain = fitted.scen.embed({**fitted.networks, "range": identity_of(net)}, fitted.regions)
    torch.testing.assert_close(net["low"], plain.amin(dim=0))
    torch.testing.assert_close(net["low"] + net["spread"], plain.amax(dim=0))


def test_stages_read_regions_by_row_in_bounded_pieces(fit_scen, monkeypatch):
    """The range and the regressor's targets do not depend on how large the pieces are."""
    from zslbench.training import batches

    whole = {reading: fit_scen(**settings) for reading, settings in READINGS.items()}
    monkeypatch.setattr(batches, "CHUNK_BYTES", 4 * 5 * 7 * 5)  # five images
    for reading, settings in READINGS.items():
        pieces = fit_scen(**settings)
        for part in {"range", "scores"} & pieces.after.keys():
            found, expected = leaves(pieces.after[part]), leaves(whole[reading].after[part])
            for path, tensor in expected.items():
                torch.testing.assert_close(found[path], tensor, msg=path)


@pytest.mark.parametrize(("batch_size", "left_over"), [(3, 0), (4, 0), (6, 2), (8, 0), (11, 3)])
def test_balanced_batches_that_classes_do_not_divide_are_told(fit_scen, caplog, batch_size, left_over):
    """Row 17: the authors' code makes them smaller; there are four seen classes."""
    with caplog.at_level(logging.WARNING, "zslbench"):
        fit_scen(sampler="balanced", batch_size=batch_size, stage1_epochs=1, stage2_epochs=1)
    messages = [one.getMessage() for one in caplog.records if "balanced" in one.getMessage()]
    assert len(messages) == bool(left_over)
    assert not messages or f" {left_over} of them" in messages[0]
