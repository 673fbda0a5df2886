"""EGGN as a trained generator: without its terms it is TF-VAEGAN to the last bit; batches; the penalty."""

from __future__ import annotations

import pytest
import torch

from zslbench.plugin.streams import Streams
from zslbench.testing import TinyInputs
from zslbench.testing.check import changed_tensors, leaves
from zslbench.training import iteration
from zslbench.training.iteration import ProgramInputs
from zslbench.training.loop import Training, train
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.settings import EGGNSettings
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.settings import TFVAEGANSettings

OFF = {"lambda_s": 0.0, "lambda_u": 0.0, "reconstruction_norm": "weighted"}
SMALL = {"hidden": 8, "batch_size": 10, "critic_steps": 2, "epochs": 1, "lr": 1e-2}


def trained(part, space, view, seed=0):
    return train(part.fit(view), space.semantics, Training(Streams(seed)))


def inputs():
    tiny = TinyInputs(per_class=4)
    space = tiny.space()
    return space, tiny.view(space, space.seen, guide=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"adaptive_penalty": True},
        {"adaptive_penalty": False, "encoded_noise": False, "freeze_decoder": True},
        {"adaptive_penalty": True, "feedback": False},
        {"adaptive_penalty": False, "feedback": False, "transform": False, "decoder": False},
    ],
)
def test_without_its_terms_it_is_tf_vaegan_to_the_last_bit(settings):
    space, view = inputs()
    one = trained(TFVAEGAN(TFVAEGANSettings(**SMALL, **settings), space), space, view)
    other = trained(EGGN(EGGNSettings(**SMALL, **settings, **OFF), space), space, view)
    assert changed_tensors(leaves(one.networks), leaves(other.networks)) == []
    for mine, theirs in zip(one.epochs, other.epochs, strict=True):
        assert mine.items() <= theirs.items()


def test_the_terms_would_have_been_noticed():
    space, view = inputs()
    one = trained(TFVAEGAN(TFVAEGANSettings(**SMALL), space), space, view)
    for weights in ({"lambda_s": 1e-3, "lambda_u": 0.0}, {"lambda_s": 0.0, "lambda_u": 1e-3}):
        settings = EGGNSettings(**SMALL, adaptive_penalty=True, **weights)
        other = trained(EGGN(settings, space), space, view)
        assert {
            path.partition("/")[0] for path in changed_tensors(leaves(one.networks), leaves(other.networks))
        }


def drawn(monkeypatch, settings):
    """All noise and batches of one training, by stream."""
    seen: dict[str, list[torch.Tensor]] = {}
    plain_draw, plain_next = iteration.draw, ProgramInputs.draw_batch

    def draw(spec, rows, streams, name):
        made = plain_draw(spec, rows, streams, name)
        seen.setdefault(name, []).append(made)
        return made

    def next_batch(self, size):
        batch = plain_next(self, size)
        seen.setdefault("batches", []).append(batch.features)
        seen.setdefault("labels", []).append(batch.labels)
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(iteration, "draw", draw)
        patch.setattr(ProgramInputs, "draw_batch", next_batch)
        space, view = inputs()
        trained(EGGN(EGGNSettings(**(SMALL | settings)), space), space, view)
    return seen


def test_a_term_that_is_switched_off_disturbs_no_other(monkeypatch):
    both = drawn(monkeypatch, {})
    for settings in (OFF, {"lambda_s": 0.0}, {"lambda_u": 0.0}):
        some = drawn(monkeypatch, settings)
        assert some.keys() < both.keys()
        for name, values in some.items():
            assert len(values) == len(both[name])
            assert all(torch.equal(a, b) for a, b in zip(values, both[name], strict=True)), name
    assert both.keys() - some.keys() == {"generator.unseen_prior", "generator.unseen_class"}
    authors = drawn(monkeypatch, {"reading": "authors"})  # ĝ_s is the reconstruction, row 19
    assert both.keys() - authors.keys() == {"generator.seen_prior"}


def test_a_fresh_batch_for_the_generator(monkeypatch):
    """Row 24: the same critic batches would be drawn in another order, so only the number is looked at."""
    iterations = 2 * 2  # ceil(16 / 10) in two loops
    assert len(drawn(monkeypatch, {})["batches"]) == iterations * SMALL["critic_steps"]
    fresh = drawn(monkeypatch, {"reading": "authors"})
    assert len(fresh["batches"]) == iterations * (SMALL["critic_steps"] + 1)


def test_balanced_batches_fill_the_noise_where_classes_do_not_divide_them(monkeypatch):
    """Row 17: with M < B < 2M the authors' code takes M rows and B rows of noise."""
    seen = drawn(monkeypatch, {"sampler": "balanced", "batch_size": 6})
    for name, values in seen.items():
        assert {len(one) for one in values} == {6}, name
    for labels in seen["labels"]:
        assert sorted(torch.unique(labels, return_counts=True)[1].tolist()) == [1, 1, 2, 2]


# --- the penalty's weight, row 27 ----------------------------------------------------------------


def weights_of(settings, epochs=8):
    space, view = inputs()
    one_step = SMALL | {"batch_size": 100, "critic_steps": 1, "feedback_loops": 1, "epochs": epochs}
    rows = trained(EGGN(EGGNSettings(**(one_step | settings)), space), space, view).epochs
    return [row["generator_penalty_weight"] for row in rows], rows


def test_a_constant_weight_stays():
    weights, _ = weights_of({"adaptive_penalty": False, "lambda_gp": 7.0})
    assert weights == [7.0] * 8


def test_an_adaptive_weight_stays_within_its_bounds_and_that_is_logged():
    # The critic of small weights is flat: q is about 1 at first, and the weight falls.
    falling = {"adaptive_penalty": True, "lambda_gp": 10.0, "lr": 1e-4}
    free, rows = weights_of(falling | {"penalty_bounds": None})
    assert free[-1] == pytest.approx(10 / 1.1**7, rel=1e-4)
    held, rows = weights_of(falling | {"penalty_bounds": (8.0, 12.0)})
    assert held[:3] == pytest.approx([10.0, 10 / 1.1, 10 / 1.21])
    assert held[3:] == pytest.approx([8.0] * 5)
    assert [row["generator_penalty_bounded"] for row in rows] == [0.0] * 2 + [1.0] * 6
    # The upper bound: a start above it is drawn down to it after the first step.
    above, rows = weights_of(falling | {"penalty_bounds": (1e-3, 5.0)})
    assert above[1] == 5.0 and rows[0]["generator_penalty_bounded"] == 1.0
    assert max(above[1:]) <= 5.0
