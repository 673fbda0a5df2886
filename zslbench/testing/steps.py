"""Checks of training steps: plain functions of (networks, batch, noise) that the core can lift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Losses, Networks, Noise, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.testing.bits import changed, differing, leaves, listed, snapshot
from zslbench.testing.check import Fault, said
from zslbench.testing.subject import EPOCHS, Subject, global_seed
from zslbench.training.context import Training
from zslbench.training.iteration import STATE, initial_networks
from zslbench.training.replicas.inputs import CannotLift, Request, check_equal, signature
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.step import StepFunction, draw, step_function

_MANY = 512
"""Rows of a lifted step: torch rounds batched products of fewer than 400 multiplications differently."""


@dataclass(frozen=True)
class _Case:
    """A step with arguments to call it with."""

    where: str
    step: Step
    nets: Networks
    batch: Batch
    noise: Noise
    trained: frozenset[str]
    """Networks that any step of the program updates."""

    @property
    def arguments(self) -> tuple[Networks, Batch, Noise]:
        return self.nets, self.batch, self.noise

    def losses(self, noise: Noise | None = None) -> Any:
        return self.step.losses(self.nets, self.batch, self.noise if noise is None else noise)


def _cases(subject: Subject, rows: int | None = None) -> Iterator[_Case]:
    """Every step of every program, with ``rows`` examples; None: as many as its batches have."""
    semantics = subject.space().semantics
    for program in subject.programs():
        trained = frozenset(net for steps in program.passes for one in steps for net in one.updates)
        for step in {id(one): one for steps in program.passes for one in steps}.values():
            streams = Streams(0, subject.device)
            batch = _batch(program, semantics, rows or min(program.batch_size, len(program.labels)))
            yield _Case(
                where=f"program '{program.name}', step '{step.name}'",
                step=step,
                nets={**initial_networks(program, streams), **program.frozen},
                batch=batch,
                noise={
                    name: draw(spec, len(batch.labels), streams, name) for name, spec in step.noise.items()
                },
                trained=trained,
            )


def _batch(program: Program, semantics: Tensor, size: int) -> Batch:
    rows = torch.arange(size, device=program.labels.device) % len(program.labels)
    return Batch(program.features[rows], program.labels[rows], semantics[program.labels[rows]])


def step_losses(subject: Subject) -> None:
    """A step gives a scalar total, scalar logs, and new values of its program's state."""
    for case in _cases(subject):
        losses = case.losses()
        if not isinstance(losses, Losses):
            raise Fault(f"{case.where} gives a {type(losses).__name__}, not Losses")
        for name, value in {"total": losses.total, **losses.log}.items():
            if not isinstance(value, Tensor) or value.shape != ():
                what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise Fault(f"{case.where}: '{name}' is no scalar tensor ({what})")
        for name, tensor in (losses.state or {}).items():
            old = case.nets.get(STATE, {}).get(name)
            if old is None or (old.shape, old.dtype) != (tensor.shape, tensor.dtype):
                raise Fault(f"{case.where}: state '{name}' does not match Program.state")
        gradients, _ = _called(case, step_function(case.step), "cannot be differentiated")
        for path, tensor in leaves(gradients).items():
            if not bool(tensor.isfinite().all()):
                raise Fault(f"{case.where}: the gradient of '{path}' is not finite")


def steps_pure(subject: Subject) -> None:
    """A step changes none of its arguments and gives the same bits for the same arguments."""
    for case in _cases(subject):
        before = snapshot(case.arguments)
        results = []
        for seed in (1, 2):
            with global_seed(seed):
                results.append(leaves(case.losses()))
        paths = changed(before, case.arguments)
        if paths:
            names = ["/".join([("networks", "batch", "noise")[int(p[0])], p[2:]]) for p in paths]
            raise Fault(f"{case.where} changes its arguments in place: {listed(names)}")
        if paths := differing(*results):
            raise Fault(
                f"{case.where} gives other values when called again ({listed(paths)}); declare its noise"
            )


def steps_lift(subject: Subject) -> None:
    """A step can be batched over seeds by ``torch.func.vmap``; with one replica it gives the same bits."""
    for case in _cases(subject, _MANY):
        function = step_function(case.step)
        lifted = torch.func.vmap(function)
        plain = leaves(_called(case, function, "cannot be differentiated"))
        one = leaves(_called(case, lifted, "cannot be lifted by torch.func.vmap", _stacked(case.arguments)))
        if paths := differing(plain, {path: tensor[0] for path, tensor in one.items()}):
            raise Fault(
                f"{case.where}: one replica gives other bits than the plain step in {listed(paths)}; "
                "F.linear and F.cross_entropy do so, zslbench.training.linear, log_softmax and gather do not"
            )


def _called(case: _Case, function: StepFunction, what: str, arguments: Any = None) -> Any:
    try:
        return function(*(arguments or case.arguments))
    except Exception as error:
        raise Fault(
            f"{case.where} {what}: {said(error)[:200]}; no .item(), no branch on tensor values, derivatives "
            "by torch.func.grad"
        ) from error


def _stacked(arguments: Any) -> Any:
    """The arguments of one replica: a leading axis of length one on every tensor."""
    if isinstance(arguments, Tensor):
        return arguments[None]
    if isinstance(arguments, dict):
        return {key: _stacked(one) for key, one in arguments.items()}
    parts = [_stacked(one) for one in arguments]
    return Batch(*parts) if isinstance(arguments, Batch) else tuple(parts)


class Watched(dict[str, Tensor]):
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


def noise_declared(subject: Subject) -> None:
    """A step reads exactly the noise terms that it declares."""
    for case in _cases(subject):
        noise = Watched(case.noise)
        try:
            case.losses(noise)
        except KeyError as error:
            if error.args and error.args[0] in noise.read - case.noise.keys():
                raise Fault(f"{case.where} reads noise {error}, which it does not declare") from None
            raise
        if undeclared := sorted(noise.read - case.noise.keys()):
            raise Fault(f"{case.where} reads noise '{undeclared[0]}', which it does not declare")
        if unread := sorted(case.noise.keys() - noise.read):
            raise Fault(
                f"{case.where} declares noise '{unread[0]}' and does not read it; leave out what is off"
            )


# --- seeds that train together -------------------------------------------------------------------

SEEDS = 3


def seeds_together(subject: Subject) -> None:
    """Three seeds' programs, lifted together, give each seed the losses and gradients of its plain steps."""
    semantics = subject.space().semantics
    for programs in zip(*(subject.programs(seed) for seed in range(SEEDS)), strict=True):
        requests = {
            seed: Request(
                replace(program, epochs=min(program.epochs, EPOCHS)),
                semantics,
                Training(Streams(seed, subject.device), stage=program.name),
            )
            for seed, program in enumerate(programs)
        }
        run = LiftedRun(requests, range(SEEDS), None)
        try:
            check_equal({seed: signature(one) for seed, one in requests.items()})
            run.train_epoch()
        except CannotLift as error:
            raise Fault(f"program '{programs[0].name}' of {SEEDS} seeds: {error}") from error
        finally:
            run.close()
