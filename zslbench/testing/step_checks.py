"""Checks of training steps, and of fitted components: embed, transform, scores, sample and guides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from zslbench.evaluation.folds import unseen_space
from zslbench.plugin.boundary import one_line
from zslbench.plugin.programs import Batch, Losses, Step
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Guide, Networks, Noise
from zslbench.testing.check import (
    Fault,
    NotApplicable,
    leaves,
    require,
    require_by_row,
    require_floats,
    require_pure,
    require_same,
    same_bits,
    unchanged,
)
from zslbench.testing.harness import USES, ComponentCase, finish, shortened
from zslbench.training.context import Training
from zslbench.training.iteration import STATE, example_calls, initial_networks
from zslbench.training.replicas.inputs import NotLiftable, check_equal, signature
from zslbench.training.replicas.lifted import LiftedRun, MemberRun
from zslbench.training.step import StepFunction, step_function

_SEEDS = 3


@dataclass(frozen=True)
class _Call:
    """A step and arguments for it."""

    where: str
    step: Step
    nets: Networks
    batch: Batch
    noise: Noise
    lifts: bool
    """Whether the program may be lifted over seeds."""

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


def _calls(case: ComponentCase) -> Iterator[_Call]:
    """Every step of every program, as in its last iteration."""
    semantics = case.space().semantics
    for program in case.programs():
        streams = Streams(0, case.device)
        for step, batch, noise in example_calls(program, semantics, streams):
            nets = {**initial_networks(program, streams), **program.frozen}
            yield _Call(
                f"program '{program.name}', step '{step.name}'", step, nets, batch, noise, program.lift
            )


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
        arguments = {"networks": call.nets, "batch": call.batch, "noise": call.noise}
        losses = partial(call.step.losses, *call.arguments)
        require_pure(call.where, losses, arguments, "declare its noise")


def steps_lift(case: ComponentCase) -> None:
    """A step can be batched over seeds by ``torch.func.vmap``; with one replica it gives the same bits. Steps
    of programs with ``lift=False`` need not."""
    for call in (one for one in _calls(case) if one.lifts):
        function = step_function(call.step)
        lifted = torch.func.vmap(step_function(call.step, for_vmap=True))
        replica = tree_map(lambda tensor: tensor[None], call.arguments)
        plain = call.apply(function, "cannot be differentiated")
        with _SmallProducts():  # type: ignore[no-untyped-call]
            one = call.apply(lifted, "cannot be lifted by torch.func.vmap", replica)
        require_same(
            plain,
            {path: tensor[0] for path, tensor in one.items()},
            f"{call.where}: one replica gives other bits than the plain step in {{}}; instead "
            "of F.linear and F.cross_entropy use linear and cross_entropy of zslbench.training",
        )


class _SmallProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes small products of one replica as plain ones: torch multiplies batches of matrices with fewer
    than 400 multiplications by another kernel, which rounds differently and is no fault of the step."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.bmm.default and len(args[0]) == 1:
            one, other = args[0][0], args[1][0]
            if one.numel() * other.shape[1] < 400:
                return torch.mm(one, other)[None]
        return func(*args, **(kwargs or {}))


class _WatchedNoise(dict[str, Tensor]):
    """Noise that remembers which terms were read."""

    def __init__(self, noise: Noise) -> None:
        super().__init__(noise)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


@contextmanager
def all_read(noise: Noise, who: str, declared_in: str) -> Iterator[Noise]:
    """Require that every term of the noise, and nothing else, is read within the context."""
    watched = _WatchedNoise(noise)
    try:
        yield watched
    except KeyError:
        if watched.read <= watched.keys():
            raise
    if undeclared := sorted(watched.read - watched.keys()):
        raise Fault(f"{who} reads noise '{undeclared[0]}', which is not declared in {declared_in}")
    if unread := sorted(watched.keys() - watched.read):
        raise Fault(f"{who} does not read noise '{unread[0]}', which is declared in {declared_in}")


def noise_declared(case: ComponentCase) -> None:
    """A step reads exactly the noise terms that it declares."""
    for call in _calls(case):
        with all_read(call.noise, call.where, "its noise") as noise:
            call.step.losses(call.nets, call.batch, noise)


def seeds_together(case: ComponentCase) -> None:
    """Three seeds' programs, lifted together, give each seed the losses and gradients of its plain steps."""
    semantics = case.space().semantics
    for programs in zip(*(case.programs(seed) for seed in range(_SEEDS)), strict=True):
        if not all(one.lift for one in programs):
            continue
        members = {}
        for seed, program in enumerate(programs):
            training = Training(Streams(seed, case.device), stage=program.name)
            members[seed] = MemberRun(shortened(program), semantics, training)
        run = LiftedRun(members, range(_SEEDS), None)
        try:
            check_equal([signature(one, semantics) for one in programs])
            run.train_epoch()
        except NotLiftable as error:
            raise Fault(f"program '{programs[0].name}' of {_SEEDS} seeds: {error}") from error
        finally:
            run.close()


# --- fitted components ---------------------------------------------------------------------------


def output_shape(case: ComponentCase) -> None:
    """One finite row of floats for each image; a classifier's row has a column for each class of its
    space."""
    component, nets = case.fitted()
    rows, name = case.rows(), USES[case.kind]
    columns = len(case.space().names) if name == "scores" else "d"
    require_floats(name, case.use(component, nets, rows), len(rows), columns)


def rows_independent(case: ComponentCase) -> None:
    """A row's result depends on that row only: rows in another order, or alone, give the same."""
    component, nets = case.fitted()
    require_by_row(USES[case.kind], lambda rows: case.use(component, nets, rows), case.rows())


def use_is_pure(case: ComponentCase) -> None:
    """Using a fitted component changes neither networks nor inputs and needs no randomness."""
    component, nets = case.fitted()
    rows = case.rows()
    arguments = {"networks": nets, "inputs": rows}
    require_pure(USES[case.kind], lambda: case.use(component, nets, rows), arguments, "use no randomness")


# --- guides --------------------------------------------------------------------------------------


def guide_scores(case: ComponentCase) -> None:
    """A guide scores all classes, is differentiable in the features, can be lifted, and is frozen."""
    component, nets = case.fitted()
    guide = component.guide(nets)
    if guide is None:
        raise NotApplicable("the embedding offers no guide")
    if not isinstance(guide, Guide):
        raise Fault(f"guide returns a {type(guide).__name__}, not a Guide or None")
    g = case.use(component, nets, case.rows())
    with unchanged("guide.scores", {"networks": guide.networks, "g": g}):
        scores = guide.scores(guide.networks, g)
    require_floats("guide.scores", scores, len(g), len(case.space().names))
    trained = any(tensor.requires_grad for tensor in leaves(guide.networks).values())
    require(not trained, "the guide's networks require gradients; a guide is frozen, detach them")
    require_by_row("guide.scores", lambda rows: guide.scores(guide.networks, rows), g)

    def first_class(one: Tensor) -> Tensor:
        # The sum over all classes would be constant where scores are probabilities.
        return guide.scores(guide.networks, one)[:, 0].sum()

    try:
        slope = torch.func.grad(first_class)(g)
        stacked = {net: {name: t[None] for name, t in ts.items()} for net, ts in guide.networks.items()}
        lifted = torch.func.vmap(guide.scores)(stacked, g[None])[0]
    except Exception as error:
        raise Fault(f"guide.scores cannot be differentiated or lifted: {one_line(error)[:200]}") from error
    usable = bool(slope.isfinite().all()) and bool(slope.any())
    require(usable, "guide.scores has no finite, non-zero derivative in the features; a generator needs one")
    bits = same_bits(lifted, scores)
    require(bits, "guide.scores gives other bits under torch.func.vmap; use linear of zslbench.training")


# --- classifiers ---------------------------------------------------------------------------------


def scores_unseen_classes(case: ComponentCase) -> None:
    """Scores distinguish unseen classes; a classifier that needs examples can be fitted on them alone."""
    component, nets = case.fitted()
    unseen = case.use(component, nets, case.rows())[:, case.space().unseen]
    distinct = not bool((unseen == unseen[:, :1]).all())
    require(distinct, "all unseen classes get the same score; score every class of the space")
    if case.cls.needs_examples:
        space = unseen_space(case.space())
        classifier = case.make(space)
        nets = finish(classifier.fit(case.view(space)), space)
        scores = case.use(classifier, nets, case.rows())
        require_floats("scores in the space of the unseen classes", scores, len(scores), len(space.names))
