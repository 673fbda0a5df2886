"""TF-VAEGAN as a method: it learns, its variants run, its noise stays put, its penalty adapts."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.errors import ZslbenchError
from zslbench.training import batches, program_run, step as steps


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc, and about 5 % U."""
    result = zslbench.run(
        "tf-vaegan",
        dataset="toy",
        select="last",
        epochs=12,
        settings={"generator.batch_size": 128, "generator.critic_steps": 1},
        store=tmp_path,
        device="cpu",
        threads=1,
    )
    metrics = result.records[0].metrics
    assert metrics["acc"] > 0.4
    assert metrics["h"] > 0.2


@pytest.mark.parametrize("variant", [None, "no-feedback", "no-transform", "f-vaegan"])
def test_variants(small_run, variant):
    record = small_run(variant=variant)
    nets = set(record.table("networks")["tensor"].str.split("/").str[1])
    missing = {"no-feedback": {"feedback"}, "f-vaegan": {"decoder", "feedback"}}.get(variant, set())
    everything = {"encoder", "generator", "critic", "decoder", "feedback", "state"}
    assert nets & everything == everything - missing
    shapes = record.table("networks").set_index("tensor")["shape"]
    transformed = variant not in ("no-transform", "f-vaegan")
    # 12 channels, and with the transform 10 attributes and a hidden layer of 16
    assert shapes["gzsl/softmax/out.weight"] == f"10x{12 + 10 + 16 if transformed else 12}"
    assert shapes["czsl/softmax/out.weight"] == f"3x{12 + 10 + 16 if transformed else 12}"
    logged = set(record.table("epochs").columns)
    assert ("generator_semantic_reconstruction" in logged) == (variant != "f-vaegan")
    assert {"critic_penalty", "generator_penalty_weight", "generator_vae"} <= logged
    assert 0 <= record.metrics["h"] <= 1


@pytest.mark.parametrize("settings", [{"generator.encoded_noise": False}, {"generator.freeze_decoder": True}])
def test_other_settings_run(small_run, settings):
    assert 0 <= small_run(settings).metrics["acc"] <= 1


def test_features_outside_the_unit_interval_are_one_line(small_run):
    with pytest.raises(ZslbenchError, match=r"generator tf-vaegan: training features lie in \[") as caught:
        small_run({"embedding.normalize": "none", "dataset.noise": 5.0})
    assert "--set embedding.normalize=minmax" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["feedback", "transform"])
def test_parts_that_need_the_decoder_are_refused_without_it(small_run, part):
    others = {"feedback": "transform", "transform": "feedback"}
    with pytest.raises(ZslbenchError, match="decoder"):
        small_run({"generator.decoder": False, f"generator.{others[part]}": False})


def test_switching_the_feedback_off_changes_neither_noise_nor_batches(small_run, monkeypatch):
    seen: dict[str, list[torch.Tensor]] = {}
    plain_draw, plain_next = steps.draw, batches.Sampler.next

    def draw(spec, rows, streams, name):
        made = plain_draw(spec, rows, streams, name)
        seen.setdefault(f"{streams.prefix}{name}", []).append(made)
        return made

    def next_rows(self):
        rows = plain_next(self)
        seen.setdefault(f"{self._streams.prefix}rows", []).append(rows)
        return rows

    monkeypatch.setattr("zslbench.training.iteration.draw", draw)
    monkeypatch.setattr(batches.Sampler, "next", next_rows)
    recorded = []
    for settings in ({}, {"generator.feedback": False}, {"generator.encoded_noise": False}):
        seen.clear()
        small_run(settings)
        recorded.append(dict(seen))
    both, without, prior = recorded
    assert both.keys() == without.keys()
    assert "final/generator/noise/critic.mix" in both
    for other in (without, prior):
        for name in both.keys() & other.keys():
            assert len(both[name]) == len(other[name]) > 0, name
            assert all(torch.equal(a, b) for a, b in zip(both[name], other[name], strict=True)), name
    # With noise from the prior another term is drawn, and one is drawn no more.
    ours = "final/generator/noise/"
    assert prior.keys() - both.keys() == {f"{ours}critic.prior", f"{ours}generator.prior"}
    assert both.keys() - prior.keys() == {f"{ours}critic.reparameterisation"}


def penalties(record):
    table = record.table("epochs").query("stage == 'final/generator'")
    return table["critic_penalty"].tolist(), table["generator_penalty_weight"].tolist()


ONE_STEP = {"generator.batch_size": 1000, "generator.feedback_loops": 1}
"""One iteration per epoch, so that the epoch's figures are that iteration's."""


def test_the_penalty_weight_follows_the_released_rule(small_run):
    # A small weight and a high rate, so that the critic's slope first is below and then above its target.
    fast = {"generator.lr": 0.05, "generator.lambda_gp": 0.01}
    penalty, weight = penalties(small_run(ONE_STEP | fast, epochs=25))
    assert weight[0] == pytest.approx(0.01)
    moves = set()
    for before, after, q in zip(weight, weight[1:], penalty, strict=False):
        factor = 1.1 if q > 1.05 else 1 / 1.1 if q < 1.001 else 1.0
        assert after == pytest.approx(before * factor, rel=1e-5)
        moves.add(factor > 1)
    assert moves == {True, False}  # it went both ways


def test_a_fixed_penalty_weight_stays(small_run):
    _, weight = penalties(small_run(ONE_STEP | {"generator.adaptive_penalty": False}, epochs=4))
    assert weight == [10.0] * 4


def test_the_schedule_is_the_released_one(small_run):
    """Per iteration decoder and critic on fresh batches, then one generator step; two runs over the data."""
    order = []
    plain = program_run.step_function

    def step_function(step, **how):
        function = plain(step, **how)

        def noted(*arguments):
            order.append(step.name)
            return function(*arguments)

        return noted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program_run, "step_function", step_function)
        small_run({"generator.critic_steps": 5}, epochs=1)
    names = [name for name in order if name != "softmax"]
    images = 7 * 12  # of seven seen classes, a fifth of fifteen images held out
    assert names == (["decoder", "critic"] * 5 + ["generator"]) * (-(-images // 32) * 2)
