"""CE-GZSL as a method: it learns, and its schedule is the released one."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.errors import ZslbenchError
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench_ce_gzsl.explained import explain
from zslbench_ce_gzsl.generator import CEGZSL
from zslbench_ce_gzsl.settings import CEGZSLSettings


def program(lowest=0.0, **settings):
    space = ClassSpace(("a", "b", "c"), torch.rand(3, 4), torch.tensor([0, 2]), torch.tensor([1]))
    view = TrainView(torch.rand(20, 6) + lowest, torch.tensor([0, 2] * 10))
    return CEGZSL(CEGZSLSettings(hidden=8, embedding=5, projection=3, comparator=7, **settings), space).fit(
        view
    )


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    result = zslbench.run(
        "ce-gzsl", dataset="toy", select="last", epochs=10, store=tmp_path, device="cpu", threads=1
    )
    assert result.records[0].metrics["acc"] > 0.4
    assert result.records[0].metrics["h"] > 0.2


def test_features_that_the_generator_cannot_make_are_refused():
    with pytest.raises(ZslbenchError, match="ce-gzsl"):
        program(lowest=-0.5)


def test_critic_embedding_projection_and_comparator_learn_together_before_the_generator():
    (steps,) = program(critic_steps=3).passes
    assert [step.name for step in steps] == ["critic"] * 3 + ["generator"]
    assert [step.fresh_batch for step in steps] == [True] * 3 + [False]
    assert set(steps[0].updates) == {"critic", "embedding", "projection", "comparator"}
    assert steps[-1].updates == ("generator",)


def test_one_adam_whose_rate_is_a_percent_lower_after_every_hundred_epochs():
    rules = program(epochs=2000).optimizers
    assert len({*rules.values()}) == 1
    rule = rules["critic"]
    assert (rule.kind, rule.lr, rule.betas) == ("adam", 1e-4, (0.5, 0.999))
    factors = [rule.lr_schedule.factor(epoch, 2000) for epoch in (0, 99, 100, 199, 200, 1999)]
    assert factors == pytest.approx([1, 1, 0.99, 0.99, 0.99**2, 0.99**19])


@pytest.mark.parametrize(("off", "left"), [("instance_level", "comparator"), ("class_level", "projection")])
def test_a_level_that_is_off_has_no_network(off, left):
    both = {"projection", "comparator"}
    assert set(program(**{off: False}).optimizers) & both == {left}


@pytest.mark.parametrize(("class_level", "told"), [(True, 1), (False, 0)])
def test_a_run_is_told_of_the_comparators_gradient_where_there_is_a_comparator(class_level, told):
    rows = explain({"dataset": {"name": "toy"}, "generator": {"class_level": class_level}})
    assert sum("gradient" in subject for subject, _ in rows) == told


def test_an_embedding_without_any_loss_is_refused():
    with pytest.raises(ValueError, match="instance_level"):
        program(instance_level=False, class_level=False)
    with pytest.raises(ZslbenchError, match="class_level"):
        zslbench.run(
            "ce-gzsl",
            dataset="toy",
            settings={"generator.instance_level": False, "generator.class_level": False},
        )
