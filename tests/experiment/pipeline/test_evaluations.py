"""Test and validation images are scored where the selection reads what comes of it, and nowhere else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import zslbench
from zslbench.experiment import fitting as fitting_module, inputs as inputs_module
from zslbench.experiment.fitting import Fitter
from zslbench.training import program_run

SETTINGS = {
    "generator.hidden": 4, "generator.per_class": 2, "generator.batch_size": 256, "generator.critic_steps": 1,
    "classifier.epochs": 3, "dataset.images_per_class": 10,
}  # fmt: skip


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()
    evaluate, fit = fitting_module.evaluate_scores, Fitter.fit_classifiers

    def evaluating(*arguments: Any, **options: Any) -> Any:
        found["evaluations"] += 1
        return evaluate(*arguments, **options)

    def fitting(self: Fitter, *arguments: Any) -> Any:
        found["classifiers"] += 1
        return fit(self, *arguments)

    monkeypatch.setattr(fitting_module, "evaluate_scores", evaluating)
    monkeypatch.setattr(Fitter, "fit_classifiers", fitting)
    return found


@pytest.mark.parametrize(
    ("select", "classifiers", "evaluations"),
    [
        ("last", 1, 1),
        ("val", 3, 3),  # after epoch 2 and at the end on validation images, then once on the test images
        (
            "oracle",
            2,
            2 * (2 * 3 + 1),
        ),  # after each of three epochs of both classifiers, and of both together
        ("oracle-scripts", 4, 4 * (2 * 3 + 1)),  # the same after every epoch
    ],
)
def test_evaluations(
    select: str, classifiers: int, evaluations: int, counts: Counter[str], tmp_path: Any
) -> None:
    zslbench.run(
        "tf-vaegan", dataset="toy", select=select, epochs=4, every=None if select == "oracle-scripts" else 2,
        settings=SETTINGS, device="cpu", threads=1, store=tmp_path,
    )  # fmt: skip
    assert counts == {"classifiers": classifiers, "evaluations": evaluations}


@pytest.mark.parametrize("select", ["oracle", "oracle-scripts"])
def test_looks_along_the_schedule_share_their_noise_or_draw_anew(
    select: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Synthetic features and the classifiers' initial weights, at each of three evaluations."""
    synthesis: list[bytes] = []
    classifiers: list[bytes] = []
    plain_draw, plain_initial = inputs_module.draw, program_run.initial_networks

    def draw(*arguments: Any) -> Any:
        made = plain_draw(*arguments)
        synthesis.append(made.numpy().tobytes())
        return made

    def initial(program: Any, streams: Any) -> Any:
        made = plain_initial(program, streams)
        if "softmax" in made:
            classifiers.append(made["softmax"]["out.weight"].numpy().tobytes())
        return made

    monkeypatch.setattr(inputs_module, "draw", draw)
    monkeypatch.setattr(program_run, "initial_networks", initial)
    zslbench.run(
        "tf-vaegan", dataset="toy", select=select, epochs=3, every=1, settings=SETTINGS, device="cpu",
        threads=1, store=tmp_path,
    )  # fmt: skip
    looks = 3 if select == "oracle-scripts" else 1
    assert len(synthesis) % 3 == 0 and len(set(synthesis)) == looks * len(synthesis) // 3
    assert len(classifiers) == 3 * 2 and len(set(classifiers)) == looks * 2
