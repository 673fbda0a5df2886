"""The loop, the only code that runs a Program: methods describe their training, they do not run it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Generator as Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from zslbench.errors import Interrupted, PluginError
from zslbench.plugin.boundary import located, outside_components
from zslbench.plugin.programs import Derived, Episodic, Fit, Program
from zslbench.plugin.settings import ComponentSettings, schedule_of
from zslbench.plugin.views import Networks
from zslbench.training.context import Observer as Observer, Silent as Silent, Training as Training
from zslbench.training.optimizers import fault_of
from zslbench.training.program_run import ProgramRun
from zslbench.training.replicas.group import train_together
from zslbench.training.replicas.lifted import MemberRun

Run: TypeAlias = ProgramRun | MemberRun
"""A program being trained alone, or one seed's share of several together."""

OnEpoch = Callable[[int, Networks], Mapping[str, float]]
"""Called after an epoch with its number (from 1) and the networks; returns figures for the epoch's row."""


EXPLOSION = 1e6
"""How many times larger than in all earlier epochs a loss is if training has diverged."""

log = logging.getLogger("zslbench")


@dataclass(frozen=True)
class Trained:
    """Networks, and the figures of each epoch of their training."""

    networks: Networks
    epochs: tuple[dict[str, Any], ...] = ()
    """One row per epoch and program: ``stage``, ``epoch``, mean losses, figures of ``on_epoch``."""


def complete(
    fit: Fit,
    semantics: Tensor,
    training: Training,
    on_epoch: OnEpoch | None = None,
    *,
    settings: ComponentSettings | None = None,
    until: int | None = None,
) -> Trained:
    """Turn the result of a component's ``fit`` into fitted networks, running any programs in it.

    Args:
        semantics: (classes, attributes) of the component's space, for batches.
        on_epoch: called after each epoch of the paced program, with the networks that it trains and reads.
        settings: the component's; None: whether they have a schedule is not checked.
        until: the epoch after which the paced program stops; None: its last.

    Raises:
        PluginError: it is not what :data:`zslbench.plugin.Fit` allows, or does not match the settings.
    """
    parts = _Parts(semantics, training, on_epoch, settings, until)
    kept: Any = fit
    if isinstance(fit, Program):
        kept = parts.train(fit, training)
    elif isinstance(fit, Coroutine):
        kept = parts.follow(fit)
    networks = _fitted(kept, training.stage)
    parts.check_end(networks)
    return Trained(networks, tuple(parts.rows))


@dataclass
class _Parts:
    """What a component's ``fit`` yields, computed one after the other; arguments are those of complete."""

    semantics: Tensor
    training: Training
    on_epoch: OnEpoch | None
    settings: ComponentSettings | None
    until: int | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    paced: Program | None = None
    trained: Networks = field(default_factory=dict)
    """The networks of the paced program, with those it reads."""

    def follow(self, fit: Coroutine[Program | Derived, Networks, Networks]) -> Networks:
        """Compute each part in turn; what ``fit`` returns at its end."""
        names: set[str] = set()
        try:
            part = next(fit)
            while True:
                if part.name in names:  # they would share random streams and checkpoints
                    raise self._fault(f"two programs named '{part.name}'; give each its own name")
                if self.paced is not None:
                    raise self._fault(
                        f"'{part.name}' follows '{self.paced.name}', which is paced and must come last: its "
                        "networks are evaluated after any epoch; mark preparatory programs paced=False"
                    )
                names.add(part.name)
                child = self.training.child(part.name)
                computed = derive(part, child) if isinstance(part, Derived) else self.train(part, child)
                part = fit.send(computed)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def train(self, program: Program, training: Training) -> Networks:
        """Run a program, whose length must be that of the schedule if it is paced."""
        if program.paced and self.settings is not None:
            schedule = schedule_of(type(self.settings))
            if schedule is None:
                raise self._fault(
                    f"program '{program.name}' is paced, but no setting has type Epochs; declare its "
                    "length as epochs: Epochs, or mark the program paced=False"
                )
            if program.epochs != (length := self.settings.flat()[schedule]):
                raise self._fault(
                    f"program '{program.name}' is paced and trains {program.epochs} epochs, but setting "
                    f"'{schedule}', of type Epochs, is {length}; make them equal"
                )
        done = train(program, self.semantics, training, self.on_epoch, self.until)
        self.rows.extend(done.epochs)
        if program.paced:
            self.paced, self.trained = program, {**program.frozen, **done.networks}
        return done.networks

    def check_end(self, kept: Networks) -> None:
        """Check that the networks kept are those evaluated along the schedule, and that there was one."""
        if self.paced is None:
            schedule = None if self.settings is None else schedule_of(type(self.settings))
            if schedule is not None:
                raise self._fault(f"setting '{schedule}' has type Epochs, but fit yields no paced program")
        elif changed := [net for net, tensors in kept.items() if not _same(tensors, self.trained.get(net))]:
            raise self._fault(
                f"fit returns '{changed[0]}', which is no network of its paced program '{self.paced.name}', "
                "trained or frozen; return only those, since they are evaluated after any epoch"
            )

    def _fault(self, what: str) -> PluginError:
        return PluginError(f"stage '{self.training.stage}': {what}")


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor] | None) -> bool:
    """Whether two networks are equal to the last bit; NaN equals NaN."""
    return (
        other is not None
        and one.keys() == other.keys()
        and all(
            (value.shape, value.dtype) == (other[name].shape, other[name].dtype)
            and torch.allclose(value, other[name], rtol=0, atol=0, equal_nan=True)
            for name, value in one.items()
        )
    )


def _fitted(nets: Any, stage: str) -> Networks:
    """A component's networks, checked and detached."""
    if not isinstance(nets, dict) or not all(isinstance(net, dict) for net in nets.values()):
        raise PluginError(f"stage '{stage}': fit must return programs or {{net: {{name: tensor}}}}")
    return {net: {name: tensor.detach() for name, tensor in ts.items()} for net, ts in nets.items()}


def derive(derived: Derived, training: Training) -> Networks:
    """Compute derived tensors, or find those of an earlier run."""
    stages = training.stages
    key = stages.derived_key(derived, training.streams) if stages else ""
    if stages and (found := stages.find(training.stage, key, training.streams)):
        return found[0]
    started = time.monotonic()
    with torch.no_grad():
        nets = _fitted(derived.compute(), training.stage)
    if stages:
        training.require_sound_data()
        stages.keep(training.stage, key, nets, [], time.monotonic() - started)
    return nets


def train(
    program: Program,
    semantics: Tensor,
    training: Training,
    on_epoch: OnEpoch | None = None,
    until: int | None = None,
) -> Trained:
    """Run a program to its end, from its checkpoint if there is one.

    The result of a program with a key is reused from an earlier run, unless ``on_epoch`` must see its epochs.
    ``on_epoch`` and ``until`` are for a paced program: the epoch after which it stops; None: its last.

    Raises:
        Interrupted: a stop was requested; the state is in the checkpoint.
        Diverged: a loss is NaN or infinite at the end of an epoch.
        PluginError: the program is inconsistent.
    """
    check_program(program, training.stage)
    watched = on_epoch is not None and program.paced
    last = until if until is not None and program.paced else program.epochs
    if not 1 <= last <= program.epochs:
        raise PluginError(f"stage '{training.stage}': cannot stop after epoch {last} of {program.epochs}")
    stages = None if watched else training.stages
    key = stages.program_key(program, training.streams, last) if stages else None
    if stages and key and (found := stages.find(training.stage, key, training.streams)):
        warn_of_explosion(training.stage, found[1])
        return Trained(found[0], tuple(found[1]))
    finish = partial(_finish, on_epoch=on_epoch if watched else None)
    run = train_together(program, semantics, training, last, finish) if training.member else None
    run = run or finish(ProgramRun(program, semantics, training, last))
    if stages and key:
        training.require_sound_data()
        stages.keep(training.stage, key, run.networks(), run.history, run.seconds)
    warn_of_explosion(training.stage, run.history)
    return Trained(run.networks(), tuple(run.history))


def warn_of_explosion(stage: str, epochs: Iterable[Mapping[str, Any]]) -> None:
    """Warn, so that the run's record says it, if a loss grew a million times over that of any earlier epoch.

    It is finite, so training did not fail, and the run's figures are those of networks that learnt nothing.
    """
    largest: dict[str, float] = {}
    for row in epochs:
        for name, value in row.items():
            if name in ("stage", "epoch") or not isinstance(value, float):
                continue
            if name in largest and abs(value) > EXPLOSION * max(1.0, largest[name]):
                log.warning(
                    "stage '%s': %s rose from at most %.3g to %.3g in epoch %d: training diverged, so the "
                    "figures say nothing about the method; lower its learning rate",
                    stage,
                    name,
                    largest[name],
                    value,
                    row["epoch"],
                )
                return
            largest[name] = max(abs(value), largest.get(name, 0.0))


def _finish(run: Run, on_epoch: OnEpoch | None) -> Run:
    """Train a run to its end, however it ends, and close it."""
    try:
        _train(run, on_epoch)
    except BaseException as error:
        run.close(error)
        raise
    run.close()
    return run


def _train(run: Run, on_epoch: OnEpoch | None) -> None:
    run.resume()
    training, observer, frozen = run.training, run.training.observer, run.program.frozen
    with outside_components():
        observer.stage_started(training.stage, run.last, run.epoch)
    while run.epoch < run.last:
        with located(stage=training.stage, epoch=run.epoch + 1):
            run.train_epoch()
            metrics = run.figures()
            if on_epoch is not None:
                try:
                    with run.evaluation():
                        metrics |= on_epoch(run.epoch + 1, {**frozen, **run.networks()})
                except Interrupted:  # the training is saved, only the evaluation is repeated
                    run.save()
                    raise
        with outside_components():
            observer.epoch_ended(training.stage, run.epoch + 1, run.last, metrics)
        run.end_epoch(metrics)
    with outside_components():
        observer.stage_ended(training.stage)


def check_program(program: Program, stage: str) -> None:
    """Check for faults that would otherwise surface as obscure errors deep in the loop."""
    where = f"stage '{stage}': the program"
    least = min(program.epochs, program.batch_size, 1 if program.iterations is None else program.iterations)
    if least < 1 or not program.passes:
        raise PluginError(
            f"{where} needs at least one epoch and iteration, one pass and a batch size of at least 1"
        )
    if len(program.features) != len(program.labels) or not len(program.labels):
        count = f"{len(program.features)} features and {len(program.labels)} labels"
        raise PluginError(f"{where} has {count}; it needs the same number of both, and at least one")
    if not all(steps and steps[0].fresh_batch for steps in program.passes):
        raise PluginError(f"{where} has a pass that is empty or whose first step takes no batch")
    for net, rule in program.optimizers.items():
        if fault := fault_of(rule, program.epochs):
            raise PluginError(f"{where} has an optimizer of '{net}' that cannot work: {fault}")
    steps = list(itertools.chain.from_iterable(program.passes))
    sizes = [step.batch_size for step in steps if step.batch_size is not None]
    if any(size < 1 for size in sizes) or any(s.batch_size and not s.fresh_batch for s in steps):
        raise PluginError(f"{where} has a step whose own batch_size is below 1, or that takes no fresh batch")
    if isinstance(episode := program.sampler, Episodic):
        size, classes = episode.classes * episode.images, len(torch.unique(program.labels))
        if {program.batch_size, *sizes} != {size} or episode.classes > classes:
            raise PluginError(
                f"{where} draws episodes of {episode.classes} of {classes} classes with {episode.images} "
                f"images each; that many classes must have images, and every batch size be {size}"
            )
    for step in steps:
        if missing := [net for net in step.updates if net not in program.optimizers]:
            raise PluginError(f"{where} updates {missing} in step '{step.name}' without an optimizer")
        if frozen := [net for net in step.updates if net in program.frozen]:
            raise PluginError(f"{where} updates {frozen} in step '{step.name}', which are frozen")
