"""A small program that uses all that changes while training, and noise and batches of other shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.plugin.programs import (
    Batch,
    Choice,
    Cosine,
    Episodic,
    Exponential,
    Losses,
    MultiStep,
    Normal,
    Optimizer,
    Permutation,
    Program,
    Step,
    Uniform,
    WarmUp,
)
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, Noise
from zslbench.training import linear, warm_up

ROWS, WIDTH, HIDDEN, CLASSES, ATTRIBUTES = 60, 12, 16, 5, 6
EPOCHS, BATCH, OWN = 4, 40, 24
ITERATIONS = 2
"""Of each of two passes in an epoch: ceil(60 / 40)."""


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SEMANTICS = drawn(CLASSES, ATTRIBUTES, seed=1)
LABELS = torch.arange(ROWS) % CLASSES


def first(nets: Networks, batch: Batch, noise: Noise) -> Losses:
    """Shuffles rows, reads noise that has no row per example, warms a weight up over epochs."""
    assert noise["few"].shape == (7, WIDTH) and noise["classes"].shape == (3,)
    assert noise["two"].shape == (len(batch.labels), 2)
    hidden = torch.tanh(linear(nets["one"], "in", batch.features[noise["order"]] + noise["z"]))
    fake = torch.tanh(linear(nets["one"], "in", noise["few"]))
    weight = warm_up(batch.progress.epoch, 1, 3, to=2.0)
    chosen = (noise["classes"][:, None] == batch.labels).float().mean() + (noise["two"] == 1).float().mean()
    total = (hidden**2).mean() + weight * (fake.mean(dim=0) ** 2).sum() + 0.1 * chosen * hidden.mean()
    return Losses(total, {"weight": weight, "chosen": chosen})


def second(nets: Networks, batch: Batch, noise: Noise) -> Losses:
    """Two updates on batches of a size of their own; reads the iteration and the share."""
    hidden = torch.tanh(linear(nets["one"], "in", batch.features)) @ nets["two"]["v"]
    scale = 1 + batch.progress.iteration / 10 - batch.progress.share
    target = batch.semantics[:, 0] * noise["tilt"] + 0.1 * noise["jitter"]
    assert noise["jitter"].shape == batch.labels.shape
    total = scale * (hidden.mean(dim=1) - target).square().mean()
    return Losses(total, {"rows": torch.full_like(total, len(batch.labels)), "scale": scale})


FIRST = Step(
    "first",
    first,
    updates=("one",),
    noise={
        "order": Permutation(),
        "z": Normal((WIDTH,)),
        "few": Normal((7, WIDTH), per_row=False),
        "classes": Choice(torch.arange(CLASSES), (3,), per_row=False),
        "two": Choice(torch.arange(CLASSES), (2,)),
    },
)
SECOND = Step(
    "second",
    second,
    updates=("two",),
    noise={"tilt": Uniform((), per_row=False), "jitter": Normal(())},
    batch_size=OWN,
)
AGAIN = replace(SECOND, name="again", fresh_batch=False, batch_size=None)


def initial(streams: Streams) -> Networks:
    return {
        "one": {"in.weight": 0.1 * streams.normal("w", (HIDDEN, WIDTH)), "in.bias": torch.zeros(HIDDEN)},
        "two": {"v": 0.1 * streams.normal("v", (HIDDEN, 30))},
    }


RULES = {
    "adam": Optimizer("adam", lr=0.02, amsgrad=True, eps=1e-6, clip_norm=0.05, restart_every=3),
    "rmsprop": Optimizer("rmsprop", lr=0.01, momentum=0.5, clip_value=0.01, restart_every=2),
    "sgd": Optimizer("sgd", lr=0.05, momentum=0.9, weight_decay=1e-2, clip_norm=0.1, restart_every=2),
}
SCHEDULES = {
    "exponential": Exponential(0.7),
    "milestones": MultiStep((1, 3), 0.5),
    "cosine": WarmUp(2, Cosine(0.1), start=0.25),
}


def scheduled(kind: str = "adam", schedule: str = "cosine", **changes: Any) -> Program:
    rule = replace(RULES[kind], lr_schedule=SCHEDULES[schedule])
    values: dict[str, Any] = {
        "initial": initial,
        "passes": ((FIRST, SECOND, AGAIN), (FIRST, SECOND)),
        "optimizers": {"one": rule, "two": rule},
        "features": drawn(ROWS, WIDTH, seed=2),
        "labels": LABELS,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "sampler": "shuffled",
    }
    return Program(**(values | changes))


def episodes(classes: int = 4, images: int = 10) -> dict[str, Any]:
    """Changes that make it draw episodes; its steps then take batches of one size."""
    plain = replace(SECOND, batch_size=None)
    return {
        "sampler": Episodic(classes, images),
        "batch_size": classes * images,
        "passes": ((FIRST, plain, AGAIN), (FIRST, plain)),
    }


def moved(program: Program, device: torch.device) -> Program:
    """The program on another device."""

    def noise(spec: Any) -> Any:
        return replace(spec, values=spec.values.to(device)) if isinstance(spec, Choice) else spec

    def step(one: Step) -> Step:
        return replace(one, noise={name: noise(spec) for name, spec in one.noise.items()})

    def networks(streams: Streams) -> Networks:
        return tree_map(lambda tensor: tensor.to(device), program.initial(streams))  # type: ignore[no-any-return]

    return replace(
        program,
        initial=networks,
        passes=tuple(tuple(map(step, steps)) for steps in program.passes),
        features=program.features[torch.arange(ROWS)].to(device),
        labels=program.labels.to(device),
    )
