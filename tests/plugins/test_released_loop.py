"""TF-VAEGAN and SC-EGG's stage 3, trained by the core, against the released loops in plain torch.

Equal weights, batches and draws, in float64, over two epochs with and without feedback.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from released_loop import Iteration, ReleasedLoop
from torch.utils._pytree import tree_map

from zslbench.plugin import ClassSpace, Program, Progress, Streams, TrainView
from zslbench.testing import TinyInputs
from zslbench.training.iteration import Inputs, ProgramInputs, batch_numbers
from zslbench.training.loop import Training, train
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.settings import EGGNSettings
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.settings import TFVAEGANSettings

TINY = TinyInputs(per_class=4)  # 16 images: two batches a pass
SMALL: dict[str, Any] = {
    "hidden": 7, "latent": 3, "batch_size": 8, "critic_steps": 2, "epochs": 2, "lr": 1e-2,
    "decoder_lr": 2e-2, "feedback_lr": 1e-2, "lambda_w": 2.0, "lambda_r": 0.5, "a1": 0.7,
}  # fmt: skip


def doubled(tree: Any) -> Any:
    return tree_map(lambda x: x.double() if x.is_floating_point() else x, tree)


def inputs() -> tuple[ClassSpace, TrainView]:
    """In float64; class semantics are as long as those of original_att, which the codes scale."""
    space = TINY.space()
    view = TINY.view(space, space.seen, guide=True)
    assert view.guide is not None
    guide = replace(view.guide, networks=doubled(view.guide.networks))
    return (
        replace(space, semantics=300 * space.semantics.double()),
        replace(view, features=view.features.double(), guide=guide),
    )


def in_float64(program: Program) -> Program:
    """With larger weights, so that every term shows."""

    def initial(streams: Streams) -> Any:
        return tree_map(lambda x: 10 * x + 0.01, doubled(program.initial(streams)))

    return replace(program, initial=initial, state=doubled(dict(program.state)))


def iterations(program: Program, drawn: list[tuple[int, Inputs]]) -> list[list[list[Iteration]]]:
    """What was drawn, by epoch and pass."""
    epochs: list[list[list[Iteration]]] = []
    for number, given in drawn:
        steps = program.passes[number]
        parts: dict[str, list[Any]] = {}
        for step, batch, noise in zip(steps, batch_numbers(steps), given.noise, strict=True):
            g, labels, *_ = given.batches[batch]
            parts.setdefault(step.name, []).append((g, labels, doubled(noise)))
        if number == 0 and (not epochs or len(epochs[-1]) == len(program.passes)):
            epochs.append([])
        if len(epochs[-1]) == number:
            epochs[-1].append([])
        epochs[-1][number].append(Iteration(parts["critic"], parts["generator"][-1]))
    return epochs


GUIDED = {"lambda_s": 1.0, "lambda_u": 0.3}
CODE = {"reading": "authors", "adaptive_penalty": True, "reconstruction_norm": "weighted"}
CASES: dict[str, tuple[type[TFVAEGAN], dict[str, Any]]] = {
    "tf-vaegan": (TFVAEGAN, {}),
    "prior samples": (TFVAEGAN, {"encoded_noise": False}),
    "frozen decoder": (TFVAEGAN, {"freeze_decoder": True}),
    "three passes": (TFVAEGAN, {"feedback_loops": 3}),
    "sc-egg, authors": (EGGN, GUIDED | CODE),
    "sc-egg, paper": (EGGN, GUIDED | {"reading": "paper"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_two_epochs_are_those_of_the_released_loop(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    component, given = CASES[case]
    space, view = inputs()
    settings = (EGGNSettings if component is EGGN else TFVAEGANSettings)(**(SMALL | given))
    program = in_float64(component(settings, space).fit(view))
    drawn: list[tuple[int, Inputs]] = []
    plain_draw = ProgramInputs.draw

    def draw(self: ProgramInputs, number: int, progress: Progress) -> Inputs:
        drawn.append((number, plain_draw(self, number, progress)))
        return drawn[-1][1]

    monkeypatch.setattr(ProgramInputs, "draw", draw)
    found = train(program, space.semantics, Training(Streams(5))).networks

    guide = view.guide if component is EGGN else None
    loop = ReleasedLoop(
        {net: ts for net, ts in program.initial(Streams(5).child("initial")).items() if net != "state"},
        space.semantics,
        SimpleNamespace(**dict(settings)),
        None if guide is None else lambda g: guide.scores(guide.networks, g),
    )
    before = {name: tensor.detach().clone() for name, tensor in loop.nets["feedback"].items()}
    epochs = iterations(program, drawn)
    assert [[len(one) for one in passes] for passes in epochs] == [[2] * settings.feedback_loops] * 2
    for passes in epochs:
        loop.train(passes)
    assert loop.nets["feedback"]["first.weight"].sub(before["first.weight"]).abs().max() > 1e-3
    for net, tensors in loop.nets.items():
        for name, expected in tensors.items():
            torch.testing.assert_close(found[net][name], expected.detach(), rtol=1e-9, atol=1e-11, msg=net)
    weight = found["state"]["penalty_weight"]
    assert float(weight) == pytest.approx(loop.penalty_weight, rel=1e-12)
    assert (loop.penalty_weight == settings.lambda_gp) is not settings.adaptive_penalty
