"""Checks of ``fit``: what it gives and leaves alone, its randomness, and what its stages depend on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.plugin.interfaces import Choice, Normal, Program, TrainView, Uniform
from zslbench.plugin.settings import ComponentSettings, build, fields_of
from zslbench.plugin.streams import Streams
from zslbench.store.stages import StageStore
from zslbench.testing.bits import changed, differing, leaves, listed, same_bits, snapshot
from zslbench.testing.check import Fault
from zslbench.testing.subject import Subject, finish, global_seed
from zslbench.training.iteration import initial_networks
from zslbench.training.loop import check_program
from zslbench.training.stages import Stages


def fit_form(subject: Subject) -> None:
    """``fit`` gives networks, a program, or a generator function's programs, each consistent in itself."""
    space = subject.space()
    given = subject.make(space).fit(subject.view(space))
    if not isinstance(given, dict | Program) and not inspect.isgenerator(given):
        raise Fault(f"fit gave a {type(given).__name__}; give networks, a Program, or yield programs")
    for program in subject.programs():
        _consistent(program)


def _consistent(program: Program) -> None:
    check_program(program, program.name)
    nets = {**initial_networks(program, Streams(0, program.labels.device)), **program.frozen}
    for step in {id(one): one for steps in program.passes for one in steps}.values():
        where = f"program '{program.name}', step '{step.name}'"
        if not step.updates:
            raise Fault(f"{where}: updates no network")
        for net in step.updates:
            if net not in nets:
                raise Fault(f"{where}: updates '{net}', which initial does not make")
            for name, tensor in nets[net].items():
                if not tensor.is_floating_point():
                    raise Fault(f"{where}: updates '{net}', whose '{name}' is {tensor.dtype}")
        for name, spec in step.noise.items():
            if not isinstance(spec, Normal | Uniform | Choice):
                raise Fault(f"{where}: noise '{name}' is no Normal, Uniform or Choice")


def networks_well_formed(subject: Subject) -> None:
    """Fitted networks are two levels of finite tensors on the run's device, without gradients."""
    device, space = torch.device(subject.device), subject.space()
    given = subject.make(space).fit(subject.view(space))
    # Before the core touches them: it would detach them, or stumble.
    if isinstance(given, dict):
        _well_formed("fit's networks", given, device)
    for program in subject.programs():
        _well_formed("initial's networks", program.initial(Streams(0, device)), device)
    _well_formed("the fitted networks", subject.fitted()[1], device)


def _well_formed(where: str, nets: Any, device: torch.device) -> None:
    if not isinstance(nets, dict):
        raise Fault(f"{where} are a {type(nets).__name__}, not a dictionary")
    for net, tensors in nets.items():
        if not isinstance(net, str) or not net or "/" in net:
            raise Fault(f"{where}: network name {net!r} must be text without '/'")
        if not isinstance(tensors, dict):
            raise Fault(f"{where}: '{net}' is a {type(tensors).__name__}, not a dictionary of tensors")
        for name, tensor in tensors.items():
            path = f"{where}: '{net}', '{name}'"
            if not isinstance(name, str) or not isinstance(tensor, Tensor):
                raise Fault(f"{path} is a {type(tensor).__name__}, not a tensor under a text name")
            if tensor.device.type != device.type:
                raise Fault(f"{path} is on {tensor.device}, not on {device}; take streams.device or a view's")
            if tensor.requires_grad:
                raise Fault(f"{path} requires gradients; the core differentiates, give plain tensors")
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise Fault(f"{path} holds NaN or infinite values")


def view_unchanged(subject: Subject) -> None:
    """Fitting changes neither the view nor the space, not by one bit."""
    space = subject.space()
    view = subject.view(space)
    before = snapshot({"view": _parts(view), "space": space})
    finish(subject.make(space).fit(view), space, 0)
    paths = changed(before, {"view": _parts(view), "space": space})
    if paths:
        raise Fault(f"fit changed {listed(paths)}; work on a copy")


def _parts(view: TrainView) -> dict[str, Any]:
    guide = view.guide.networks if view.guide else None
    return {"features": view.features, "labels": view.labels, "regions": view.regions, "guide": guide}


def same_seed_same_bits(subject: Subject) -> None:
    """Fitting twice with the same streams gives the same networks, bit for bit."""
    paths = differing(leaves(subject.fit()[1]), leaves(subject.fit()[1]))
    if paths:
        raise Fault(f"two fits with the same streams differ in {listed(paths)}; draw from the streams alone")


def follows_the_seed(subject: Subject) -> None:
    """Initial networks that are random differ with the run's seed."""
    for number, program in enumerate(subject.programs(seed=0)):
        drawn = Streams(0, subject.device)
        first = program.initial(drawn)
        again = program.initial(Streams(1, subject.device))
        differ = set(differing(leaves(first), leaves(again)))
        if drawn.state() and not differ:
            raise Fault("initial draws from its streams, yet gives the same networks for every seed")
        # What follows neither the seed nor the data though its values vary is hard-wired chance.
        elsewhere = leaves(subject.programs(seed=1, data=1)[number].initial(Streams(1, subject.device)))
        trained = {net for steps in program.passes for step in steps for net in step.updates}
        for path, tensor in leaves({net: first[net] for net in trained & first.keys()}).items():
            fixed = path in elsewhere and same_bits(tensor, elsewhere[path])
            if fixed and len(torch.unique(tensor)) > 2:
                raise Fault(
                    f"initial gives '{path}' the same values for every seed; draw them from the streams"
                )


def no_global_randomness(subject: Subject) -> None:
    """The fitted networks do not depend on the global random state of torch, numpy or random."""
    with global_seed(1):
        first = leaves(subject.fit()[1])
    for source, seeds in {"torch": (2, 1, 1), "numpy.random": (1, 2, 1), "random": (1, 1, 2)}.items():
        with global_seed(*seeds):
            paths = differing(first, leaves(subject.fit()[1]))
        if paths:
            raise Fault(f"{listed(paths)} depend on {source}'s global state; draw from the streams alone")


def state_in_networks(subject: Subject) -> None:
    """A component that was not fitted itself gives the same results from the networks of one that was."""
    space = subject.space()
    fitted = subject.make(space)
    nets = finish(fitted.fit(subject.view(space)), space, 0)
    fresh = subject.make(space)
    call = {"embedding": "embed", "generator": "transform", "classifier": "scores"}[subject.kind]
    with torch.no_grad():
        one = getattr(fitted, call)(nets, subject.rows())
        try:
            other = getattr(fresh, call)(nets, subject.rows())
        except (AttributeError, TypeError) as error:
            raise Fault(
                f"{call} needs something that fit left on the component ({error}); put it into the networks"
            ) from None
    if not same_bits(one, other):
        raise Fault(f"{call} depends on something that fit left on the component; put it into the networks")


def guide_is_optional(subject: Subject) -> None:
    """Without a guide ``fit`` works, or says in one line (ZslbenchError) that it needs one."""
    space = subject.space()
    view = subject.inputs.view(space, space.seen)
    try:
        finish(subject.make(space).fit(view), space, 0)
    except ZslbenchError:
        return
    except Exception as error:
        raise Fault(
            f"fit without a guide raises {type(error).__name__}; raise a ZslbenchError that says what to do"
        ) from None


# --- stages that are reused ----------------------------------------------------------------------


def reuse_changes_nothing(subject: Subject) -> None:
    """A component that finds the stages of one with another setting ends with the networks it would train."""
    # Each setting is changed in turn: one that a key leaves out, though the stage reads it, shows.
    kept = _InMemory()
    space = subject.space()
    finish(subject.make(space).fit(subject.view(space)), space, 0, stages=Stages(kept, {}))
    if not kept.content:
        return
    for name, settings in changed_settings(subject.settings):
        results = []
        for stages in (Stages(_InMemory(dict(kept.content)), {}), None):
            component = subject.cls(settings, space)
            results.append(finish(component.fit(subject.view(space)), space, 0, stages=stages))
        if wrong := differing(*map(leaves, results)):
            raise Fault(
                f"with another '{name}' a stage of the old setting is used again and gives other networks "
                f"({listed(wrong)}); name '{name}' in the key of the program or derived tensors that read it"
            )


def changed_settings(settings: ComponentSettings) -> Iterator[tuple[str, ComponentSettings]]:
    """The settings with one of them changed, for each that has another valid value."""
    model = type(settings)
    values = settings.flat("python")
    for name, info in fields_of(model).items():
        for value in _others(values[name], info.annotation):
            try:
                yield name, build(model, values | {name: value}, name)
                break
            except SettingsError:
                continue


def _others(value: Any, annotation: Any) -> list[Any]:
    kinds = [annotation, *get_args(annotation)]
    literals = [one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)]
    if literals:
        return [one for one in literals if one != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.5 + 0.1, value / 2]
    if value is None and int in kinds:
        return [3]
    return [0.5] if value is None and float in kinds else []


class _InMemory(StageStore):
    """Kept results that are gone with the check."""

    def __init__(self, content: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] | None = None) -> None:
        super().__init__(Path())
        self.content = {} if content is None else content

    def find(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if key not in self.content:
            return None
        tensors, facts = self.content[key]
        return {name: t.clone() for name, t in tensors.items()}, facts

    def keep(self, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        self.content[key] = ({name: t.clone() for name, t in tensors.items()}, dict(facts))
