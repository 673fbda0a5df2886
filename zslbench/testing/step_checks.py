"""Checks of training steps: plain functions of (networks, batch, noise) that the core can lift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.plugin.interfaces import Batch, Losses, Networks, Noise, Program, Step
from zslbench.plugin.lookup import one_line
from zslbench.plugin.streams import Streams
from zslbench.testing.check import (
    Fault,
    global_seed,
    leaves,
    require,
    require_same,
    unchanged,
)
from zslbench.testing.harness import ComponentCase, shortened
from zslbench.training.context import Training
from zslbench.training.iteration import STATE, draw_noise, initial_networks
from zslbench.training.replicas.inputs import CannotLift, Request, check_equal, signature
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.step import StepFunction, step_function

_MANY = 512
"""Rows of a lifted step: torch rounds batched products of fewer than 400 multiplications differently."""
_SEEDS = 3


@dataclass(frozen=True)
class _Call:
    """A step and arguments for it."""

    where: str
    step: Step
    nets: Networks
    batch: Batch
    noise: Noise

    @property
    def arguments(self) -> tuple[Networks, Batch, Noise]:
        return self.nets, self.batch, self.noise

    def apply(self, function: StepFunction, what: str, arguments: Any = None) -> dict[str, Tensor]:
        """The results of a function of the arguments, by path."""
        try:
            return leaves(function(*(arguments or self.arguments)))
        except Exception as error:
            raise Fault(
                f"{self.where} {what}: {one_line(error)[:200]}; no .item(), no branch on tensor values, "
                "derivatives by torch.func.grad"
            ) from error


def _calls(case: ComponentCase, rows: int | None = None) -> Iterator[_Call]:
    """Every step of every program, with ``rows`` examples; None: as many as its batches have."""
    semantics = case.space().semantics
    for program in case.programs():
        for step in {id(one): one for steps in program.passes for one in steps}.values():
            streams = Streams(0, case.device)
            batch = _batch(program, semantics, rows or min(program.batch_size, len(program.labels)))
            yield _Call(
                where=f"program '{program.name}', step '{step.name}'",
                step=step,
                nets={**initial_networks(program, streams), **program.frozen},
                batch=batch,
                noise=draw_noise(step, len(batch.labels), streams),
            )


def _batch(program: Program, semantics: Tensor, size: int) -> Batch:
    rows = torch.arange(size, device=program.labels.device) % len(program.labels)
    return Batch(program.features[rows], program.labels[rows], semantics[program.labels[rows]])


def step_losses(case: ComponentCase) -> None:
    """A step returns a scalar total, scalar logs, and new values of its program's state."""
    for call in _calls(case):
        losses = call.step.losses(*call.arguments)
        if not isinstance(losses, Losses):
            raise Fault(f"{call.where} returns a {type(losses).__name__}, not Losses")
        for name, value in {"total": losses.total, **losses.log}.items():
            tensor = isinstance(value, Tensor)
            what = f"shape {tuple(value.shape)}" if tensor else type(value).__name__
            require(tensor and value.shape == (), f"{call.where}: '{name}' is not a scalar tensor ({what})")
        for name, new in (losses.state or {}).items():
            old = call.nets.get(STATE, {}).get(name)
            known = old is not None and (old.shape, old.dtype) == (new.shape, new.dtype)
            require(known, f"{call.where}: state '{name}' does not match Program.state")

        def gradients(*arguments: Any, step: Step = call.step) -> Any:
            return step_function(step)(*arguments)[0]

        for path, gradient in call.apply(gradients, "cannot be differentiated").items():
            require(gradient.isfinite().all(), f"{call.where}: the gradient of '{path}' is not finite")


def steps_pure(case: ComponentCase) -> None:
    """A step changes none of its arguments and returns the same bits for the same arguments."""
    for call in _calls(case):
        with unchanged(call.where, {"networks": call.nets, "batch": call.batch, "noise": call.noise}):
            with global_seed(1):
                first = leaves(call.step.losses(*call.arguments))
            with global_seed(2):
                second = leaves(call.step.losses(*call.arguments))
        fault = f"{call.where} returns other values when called again ({{}}); declare its noise"
        require_same(first, second, fault)


def steps_lift(case: ComponentCase) -> None:
    """A step can be batched over seeds by ``torch.func.vmap``; with one replica it gives the same bits."""
    for call in _calls(case, _MANY):
        function = step_function(call.step)
        lifted = torch.func.vmap(function)
        plain = call.apply(function, "cannot be differentiated")
        replica = tree_map(lambda tensor: tensor[None], call.arguments)
        one = call.apply(lifted, "cannot be lifted by torch.func.vmap", replica)
        require_same(
            plain,
            {path: tensor[0] for path, tensor in one.items()},
            f"{call.where}: one replica gives other bits than the plain step in {{}}; instead "
            "of F.linear and F.cross_entropy use linear and cross_entropy of zslbench.training",
        )


class WatchedNoise(dict[str, Tensor]):
    """Noise that remembers which terms were read."""

    def __init__(self, noise: Noise) -> None:
        super().__init__(noise)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of any dictionary."""
        self.read.add(name)
        return super().get(name, default)

    def require_read(self, who: str, declared_in: str) -> None:
        """Require that every term, and nothing else, was read."""
        if undeclared := sorted(self.read - self.keys()):
            raise Fault(f"{who} reads noise '{undeclared[0]}', which is not declared in {declared_in}")
        if unread := sorted(self.keys() - self.read):
            raise Fault(f"{who} does not read noise '{unread[0]}', which is declared in {declared_in}")


def noise_declared(case: ComponentCase) -> None:
    """A step reads exactly the noise terms that it declares."""
    for call in _calls(case):
        noise = WatchedNoise(call.noise)
        try:
            call.step.losses(call.nets, call.batch, noise)
        except KeyError:
            if noise.read <= noise.keys():
                raise
        noise.require_read(call.where, "its noise")


def seeds_together(case: ComponentCase) -> None:
    """Three seeds' programs, lifted together, give each seed the losses and gradients of its plain steps."""
    semantics = case.space().semantics
    for programs in zip(*(case.programs(seed) for seed in range(_SEEDS)), strict=True):
        requests = {
            seed: Request(
                shortened(program), semantics, Training(Streams(seed, case.device), stage=program.name)
            )
            for seed, program in enumerate(programs)
        }
        run = LiftedRun(requests, range(_SEEDS), None)
        try:
            check_equal({seed: signature(one) for seed, one in requests.items()})
            run.train_epoch()
        except CannotLift as error:
            raise Fault(f"program '{programs[0].name}' of {_SEEDS} seeds: {error}") from error
        finally:
            run.close()
