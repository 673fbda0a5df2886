"""Checks of ``fit``: what it returns and leaves alone, its randomness, and what its stages depend on."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.plugin.programs import NoiseSpec, Program
from zslbench.plugin.settings import ComponentSettings, build, fields_of
from zslbench.plugin.streams import Streams
from zslbench.store.stages import StageStore
from zslbench.testing.check import (
    Fault,
    changed_tensors,
    global_seed,
    leaves,
    require,
    require_same,
    same_bits,
    unchanged,
)
from zslbench.testing.harness import USES, ComponentCase, finish, steps_of
from zslbench.testing.upstream import WithoutEncoder
from zslbench.training.iteration import initial_networks
from zslbench.training.loop import check_program
from zslbench.training.stages import Stages


def fit_form(case: ComponentCase) -> None:
    """``fit`` returns networks or a program, or yields programs, and each program is consistent."""
    space = case.space()
    fit = case.make(space).fit(case.view(space))
    require(
        isinstance(fit, dict | Program) or inspect.isgenerator(fit),
        f"fit returns a {type(fit).__name__}; return networks or a Program, or yield programs",
    )
    for program in case.programs():
        _require_consistent(program)


def _require_consistent(program: Program) -> None:
    check_program(program, program.name)
    nets = {**initial_networks(program, Streams(0, program.labels.device)), **program.frozen}
    for step in steps_of(program):
        where = f"program '{program.name}', step '{step.name}'"
        require(step.updates, f"{where}: updates no network")
        for net in step.updates:
            require(net in nets, f"{where}: updates '{net}', which initial does not return")
            for name, tensor in nets[net].items():
                whole = f"{where}: updates '{net}', whose '{name}' is {tensor.dtype}; only floats are trained"
                require(tensor.is_floating_point(), whole)
        for name, spec in step.noise.items():
            known = isinstance(spec, NoiseSpec)
            require(known, f"{where}: noise '{name}' is not a NoiseSpec, such as Normal((3,))")


def networks_well_formed(case: ComponentCase) -> None:
    """Fitted networks are two levels of finite tensors on the run's device, without gradients."""
    device, space = torch.device(case.device), case.space()
    fit = case.make(space).fit(case.view(space))
    # Before the core uses them: it would detach tensors, or fail without saying why.
    if isinstance(fit, dict):
        _require_well_formed("fit's networks", fit, device)
    for program in case.programs():
        _require_well_formed("initial's networks", program.initial(Streams(0, device)), device)
    _require_well_formed("the fitted networks", case.fitted()[1], device)


def _require_well_formed(where: str, nets: Any, device: torch.device) -> None:
    require(isinstance(nets, dict), f"{where} are a {type(nets).__name__}, not a dictionary")
    for net, tensors in nets.items():
        named = isinstance(net, str) and net and "/" not in net
        require(named, f"{where}: network name {net!r} must be text without '/'")
        what = f"{where}: '{net}' is a {type(tensors).__name__}, not a dictionary of tensors"
        require(isinstance(tensors, dict), what)
        for name, tensor in tensors.items():
            path = f"{where}: '{net}', '{name}'"
            if not isinstance(name, str) or not isinstance(tensor, Tensor):
                raise Fault(f"{path} is a {type(tensor).__name__}, not a tensor under a text name")
            placed = tensor.device.type == device.type
            require(placed, f"{path} is on {tensor.device}, not on {device}; use streams.device or a view's")
            require(
                not tensor.requires_grad, f"{path} requires gradients; detach it, the core differentiates"
            )
            finite = not tensor.is_floating_point() or bool(tensor.isfinite().all())
            require(finite, f"{path} holds NaN or infinite values")


def view_unchanged(case: ComponentCase) -> None:
    """Fitting does not change one bit of the view or the space."""
    space = case.space()
    view = case.view(space)
    guide = view.guide.networks if view.guide else None
    parts = {name: getattr(view, name) for name in ("features", "labels", "regions", "images", "networks")}
    parts["guide"] = guide
    with unchanged("fit", {"view": parts, "space": space}):
        finish(case.make(space).fit(view), space)


def same_seed_same_bits(case: ComponentCase) -> None:
    """Fitting twice with the same streams gives the same networks, bit for bit."""
    fault = "two fits with the same streams differ in {}; draw from the streams only"
    require_same(leaves(case.fit()), leaves(case.fit()), fault)


def follows_the_seed(case: ComponentCase) -> None:
    """Random initial networks differ with the run's seed."""
    for number, program in enumerate(case.programs(seed=0)):
        streams = Streams(0, case.device)
        first = program.initial(streams)
        again = program.initial(Streams(1, case.device))
        differ = changed_tensors(leaves(first), leaves(again))
        if streams.state() and not differ:
            raise Fault("initial draws from its streams, yet returns the same networks for every seed")
        if case.kind == "embedding" and case.cls.inputs == "images":
            continue  # a backbone starts from pretrained weights
        # Values that vary but depend neither on the seed nor on the data come from a fixed seed.
        elsewhere = leaves(case.programs(seed=1, data=1)[number].initial(Streams(1, case.device)))
        trained = {net for step in steps_of(program) for net in step.updates}
        for path, tensor in leaves({net: first[net] for net in trained & first.keys()}).items():
            fixed = path in elsewhere and same_bits(tensor, elsewhere[path])
            require(
                not fixed or len(torch.unique(tensor)) <= 2,
                f"initial returns the same '{path}' for every seed; draw its values from the streams",
            )


def no_global_randomness(case: ComponentCase) -> None:
    """The fitted networks do not depend on the global random state of torch, numpy or random."""
    with global_seed(1):
        first = leaves(case.fit())
    for source, seeds in {"torch": (2, 1, 1), "numpy.random": (1, 2, 1), "random": (1, 1, 2)}.items():
        with global_seed(*seeds):
            again = leaves(case.fit())
        require_same(first, again, f"{{}} depend on {source}'s global state; draw from the streams only")


def state_in_networks(case: ComponentCase) -> None:
    """An instance that was not fitted gives the same results from the networks of one that was."""
    space, call = case.space(), USES[case.kind]
    fitted = case.make(space)
    nets = finish(fitted.fit(case.view(space)), space)
    expected = case.use(fitted, nets, case.rows())
    try:
        found = case.use(case.make(space), nets, case.rows())
    except (AttributeError, TypeError) as error:
        raise Fault(f"{call} reads an attribute that fit sets ({error}); put it into the networks") from None
    same = same_bits(expected, found)
    require(same, f"{call} depends on an attribute that fit sets; put it into the networks")


def guide_is_optional(case: ComponentCase) -> None:
    """Without a guide ``fit`` works, or raises a ZslbenchError that says it needs one."""
    space = case.space()
    with _clear_errors("fit without a guide"):
        case.fit(case.inputs.view(space, space.seen))


def encoder_is_optional(case: ComponentCase) -> None:
    """After a generator without an encoder ``fit`` works, or raises a ZslbenchError that says so."""
    space = case.space()
    made = case.make(space, WithoutEncoder(case.inputs.width, space))
    with _clear_errors("fit after a generator without an encoder"):
        finish(made.fit(case.view(space)), space)


@contextmanager
def _clear_errors(what: str) -> Iterator[None]:
    """Require that errors say what to do."""
    try:
        yield
    except ZslbenchError:
        pass
    except Exception as error:
        text = f"{what} raises {type(error).__name__}; raise a ZslbenchError that says what to do"
        raise Fault(text) from error


# --- stages that are reused ----------------------------------------------------------------------


def reuse_changes_nothing(case: ComponentCase) -> None:
    """A component that reuses the stages of other settings ends with the networks that it would train."""
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages(StageStore(Path(folder)), {})
        case.fit(stages=stages)
        if not stages.events:
            return
        # Each setting is changed in turn, to find one that a stage reads though its key omits it.
        for name, settings in changed_settings(case.settings):
            changed = replace(case, settings=settings)
            reused, trained = leaves(changed.fit(stages=stages)), leaves(changed.fit())
            require_same(
                reused,
                trained,
                f"with another '{name}' a stage of the old setting is reused and gives other networks "
                f"({{}}); add '{name}' to the key of the program or derived tensors that read it",
            )


def changed_settings(settings: ComponentSettings) -> Iterator[tuple[str, ComponentSettings]]:
    """The settings with one of them changed, for each that has another valid value."""
    model = type(settings)
    values = settings.flat("python")
    for name, info in fields_of(model).items():
        for value in _other_values(values[name], info.annotation):
            try:
                yield name, build(model, values | {name: value}, name)
                break
            except SettingsError:
                continue


def _other_values(value: Any, annotation: Any) -> list[Any]:
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
