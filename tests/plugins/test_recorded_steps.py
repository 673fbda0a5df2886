"""Losses and gradients of every training step, against values recorded earlier.

Only the interfaces are used: ``fit`` gives programs, the test draws batches and noise and updates the
networks itself, in float64. To record again, after a change that is meant to change numbers:
``RECORD=1 pytest tests/plugins/test_recorded_steps.py``.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zslbench.experiment.recipe import resolve
from zslbench.plugin import (
    Batch,
    Choice,
    ClassSpace,
    Derived,
    Losses,
    Networks,
    Normal,
    Program,
    Step,
    Streams,
    TrainView,
    load_class,
    registry,
)
from zslbench.testing.harness import TinyRegions

RECORDED = Path(__file__).parent / "recorded" / "steps.json"
SEEN, UNSEEN = [0, 2, 3, 5], [1, 4]
ATTRIBUTES, WORDS, REGIONS, CHANNELS, IMAGES = 5, 4, 6, 7, 24

SCEN = {
    "embedding.stage1.epochs": 1,
    "embedding.stage2.epochs": 1,
    "embedding.stage1.batch_size": 8,
    "embedding.stage2.batch_size": 8,
}
EGGN = {"generator.hidden": 6, "generator.critic_steps": 2, "generator.batch_size": 8, "generator.epochs": 1}
PAPER = {"method": "sc-egg", "reading": "paper"}
AUTHORS = {"method": "sc-egg", "reading": "authors"}
TFVAEGAN = {"method": "tf-vaegan"}
CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "paper": (PAPER, SCEN | EGGN),
    "paper no-lce": (PAPER | {"variant": "no-lce"}, SCEN | EGGN),
    "paper no-gce": (PAPER | {"variant": "no-gce"}, SCEN | EGGN),
    "paper no-scr": (PAPER | {"variant": "no-scr"}, SCEN | EGGN),
    "paper no-egs": (PAPER | {"variant": "no-egs"}, SCEN | EGGN),
    "authors": (AUTHORS, SCEN | EGGN),
    "authors no-lce": (AUTHORS | {"variant": "no-lce"}, SCEN | EGGN),
    "authors no-gce": (AUTHORS | {"variant": "no-gce"}, SCEN | EGGN),
    "authors no-scr": (AUTHORS | {"variant": "no-scr"}, SCEN | EGGN),
    "authors no-egs": (AUTHORS | {"variant": "no-egs"}, SCEN | EGGN),
    "tf-vaegan": (TFVAEGAN, EGGN),
    "tf-vaegan fixed": (TFVAEGAN, EGGN | {"generator.adaptive_penalty": False, "generator.latent": 3}),
    "tf-vaegan bounded": (TFVAEGAN, EGGN | {"generator.penalty_bounds": [9.5, 9.7]}),
    "tf-vaegan prior": (TFVAEGAN, EGGN | {"generator.encoded_noise": False}),
    "tf-vaegan frozen": (TFVAEGAN, EGGN | {"generator.freeze_decoder": True}),
    "tf-vaegan f-vaegan": (TFVAEGAN | {"variant": "f-vaegan"}, EGGN),
}


def numbers(name: str, *shape: int) -> Tensor:
    """Normal float64 numbers that depend on the name alone."""
    return torch.from_numpy(np.random.default_rng(zlib.crc32(name.encode())).normal(size=shape))


def space() -> ClassSpace:
    classes = len(SEEN) + len(UNSEEN)
    return ClassSpace(
        names=tuple(f"class {one}" for one in range(classes)),
        semantics=torch.nn.functional.normalize(numbers("semantics", classes, ATTRIBUTES).abs()) * 1.5,
        seen=torch.tensor(SEEN),
        unseen=torch.tensor(UNSEEN),
        attribute_names=tuple(f"attribute {one}" for one in range(ATTRIBUTES)),
        attribute_vectors=numbers("words", ATTRIBUTES, WORDS),
    )


def doubled(nets: Networks) -> Networks:
    return {net: {name: tensor.double() for name, tensor in tensors.items()} for net, tensors in nets.items()}


def summary(tensor: Tensor) -> list[float]:
    """The length of a tensor, and its product with a fixed direction."""
    flat = tensor.detach().double().flatten()
    return [float(flat.norm()), float(flat @ torch.cos(torch.arange(1, len(flat) + 1).double()))]


def close(found: Any, expected: Any, where: str) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            close(found[key], value, f"{where}: {key}")
    elif isinstance(expected, list) and len(expected) == 2 and isinstance(expected[0], float):
        # A projection may cancel out, so it is compared with the length.
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * expected[0] + 1e-15), where
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            close(one, other, f"{where}: {number}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-15), where
    else:
        assert found == expected, where


def changed(losses: Losses) -> Networks:
    """New values of tensors that a step changes and does not train."""
    return {"state": dict(losses.state)} if losses.state else {}


class Trainer:
    """Runs one program by plain gradient steps and keeps what each step gave."""

    def __init__(self, program: Program, semantics: Tensor) -> None:
        self.program, self.semantics = program, semantics
        self.nets = doubled(program.initial(Streams(3).child(program.name)) | {"state": dict(program.state)})
        self.rows: list[dict[str, Any]] = []

    def run(self) -> Networks:
        for number, steps in enumerate(self.program.passes):
            for iteration in range(2):
                batch = None
                for place, step in enumerate(steps):
                    at = f"{self.program.name} {number} {iteration} {place}"
                    batch = self.batch(at) if step.fresh_batch or batch is None else batch
                    self.update(step, batch, at)
        return self.nets

    def batch(self, at: str) -> Batch:
        size = min(self.program.batch_size, len(self.program.labels))
        order = np.random.default_rng(zlib.crc32(f"rows {at}".encode())).permutation(len(self.program.labels))
        rows = torch.from_numpy(order[:size])
        labels = self.program.labels[rows]
        return Batch(self.program.features[rows], labels, self.semantics[labels])

    def noise(self, step: Step, rows: int, at: str) -> dict[str, Tensor]:
        found = {}
        for name, spec in step.noise.items():
            random = np.random.default_rng(zlib.crc32(f"{name} {at}".encode()))
            if isinstance(spec, Choice):
                found[name] = spec.values[torch.from_numpy(random.integers(len(spec.values), size=rows))]
            else:
                draw = random.normal if isinstance(spec, Normal) else random.uniform
                found[name] = torch.from_numpy(draw(size=(rows, *spec.shape)))
        return found

    def update(self, step: Step, batch: Batch, at: str) -> None:
        noise = self.noise(step, len(batch.labels), at)
        everything = self.nets | doubled(self.program.frozen)
        trained = {name: everything.pop(name) for name in step.updates}

        def total(nets: Networks) -> tuple[Tensor, Any]:
            made = step.losses({**everything, **nets}, batch, noise)
            return made.total, (made.total, made.log, changed(made))

        gradients, (loss, log, moved) = torch.func.grad(total, has_aux=True)(trained)
        flat = {f"{net} {name}": g for net, named in gradients.items() for name, g in named.items()}
        self.rows.append(
            {
                "step": step.name,
                "loss": float(loss),
                "log": {name: float(value) for name, value in log.items()},
                "gradients": {name: summary(g) for name, g in flat.items()},
            }
        )
        length = math.sqrt(sum(float((g**2).sum()) for g in flat.values()))
        for net, named in gradients.items():
            self.nets[net] = {name: trained[net][name] - 0.05 / (1 + length) * g for name, g in named.items()}
        for net, named in moved.items():
            self.nets[net] = self.nets[net] | named


def facts(program: Program) -> dict[str, Any]:
    """What of a program decides numbers beside its losses."""
    return {
        "steps": [
            [[step.name, sorted(step.updates), sorted(step.noise), step.fresh_batch] for step in steps]
            for steps in program.passes
        ],
        "optimizers": {
            name: [rule.kind, rule.lr, *rule.betas, rule.momentum, rule.weight_decay]
            for name, rule in program.optimizers.items()
        },
        "lengths": [program.epochs, program.iterations or "all", program.batch_size],
        "sampler": program.sampler,
        "paced": program.paced,
        "frozen": sorted(program.frozen),
    }


def parts(fit: Any, semantics: Tensor, found: dict[str, Any]) -> Networks:
    """Go through what ``fit`` gave; every part's record is added to ``found``."""

    def one(part: Program | Derived) -> Networks:
        if isinstance(part, Derived):
            nets = doubled(part.compute())
            found[part.name] = {net: summary_of(named) for net, named in nets.items()}
            return nets
        trainer = Trainer(part, semantics)
        before = {net: summary_of(named) for net, named in trainer.nets.items() if net in part.optimizers}
        nets = trainer.run()
        found[part.name] = {"program": facts(part), "initial": before, "steps": trainer.rows}
        return nets

    if isinstance(fit, dict):
        return fit
    if isinstance(fit, Program):
        return one(fit)
    try:
        part = next(fit)
        while True:
            part = fit.send(one(part))
    except StopIteration as stop:
        return stop.value


def rounded(value: Any) -> Any:
    """The same with nine digits, for a smaller file."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def summary_of(named: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: summary(tensor) for name, tensor in named.items()}


def record(names: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that a method computes on fixed inputs."""
    recipe = resolve(registry(), "sim-cub", **names, settings=settings)
    made = {kind: load_class(part.registered) for kind, part in recipe.parts.items()}
    ours, found = space(), {}
    labels = ours.seen.repeat(IMAGES // len(SEEN))
    regions = numbers("regions", IMAGES, REGIONS, CHANNELS).abs()
    embedding = made["embedding"](recipe.parts["embedding"].settings, ours)
    view = TrainView(regions.mean(dim=1), labels, TinyRegions(regions))
    found["embedding"] = {}
    nets = doubled(parts(embedding.fit(view), ours.semantics, found["embedding"]))
    takes = regions if embedding.inputs == "regions" else view.features
    g = embedding.embed(nets, takes)
    found["g"], guide = summary(g), embedding.guide(nets)
    if guide is not None:
        found["guide"] = summary(guide.scores(guide.networks, numbers("guided", 5, CHANNELS)))
        seen = embedding.attention(nets, takes)
        found["attention"] = [summary(seen.maps), summary(seen.scores), summary(seen.overall)]
    generator = made["generator"](recipe.parts["generator"].settings, ours)
    found["generator"] = {}
    fitted = parts(generator.fit(TrainView(g, labels, guide=guide)), ours.semantics, found["generator"])
    noise = {n: numbers(n, len(UNSEEN), *spec.shape) for n, spec in generator.sample_noise.items()}
    fake = generator.sample(fitted, ours.semantics[ours.unseen], noise)
    found["fake"], found["seen by the classifier"] = (
        summary(fake),
        summary(generator.transform(fitted, fake, {})),
    )
    return found


@pytest.fixture(scope="module")
def recorded() -> Iterator[dict[str, Any]]:
    if not os.environ.get("RECORD"):
        yield json.loads(RECORDED.read_text("utf-8"))
        return
    made: dict[str, Any] = {}
    yield made
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in made.items())
    RECORDED.write_text(f"{{\n{lines}\n}}\n", "utf-8")


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_recorded(case: str, recorded: dict[str, Any]) -> None:
    found = record(*CASES[case])
    if os.environ.get("RECORD"):
        recorded[case] = rounded(json.loads(json.dumps(found)))
    close(found, recorded[case], case)


def test_every_step_of_the_readings_was_recorded(recorded: dict[str, Any]) -> None:
    for reading, last in (("paper", "gen"), ("authors", "regressor")):
        stages = recorded[reading]["embedding"]
        assert [one["step"] for one in stages["stage1"]["steps"]] == ["scen"] * 2
        assert [one["step"] for one in stages["stage2"]["steps"]] == [last] * 2
    for case in ("paper", "authors", "tf-vaegan"):
        steps = recorded[case]["generator"]["training"]["steps"]
        assert [one["step"] for one in steps] == ["decoder", "critic", "decoder", "critic", "generator"] * 4
