"""Checks of fitted components: ``embed``, ``transform``, ``scores``, ``sample`` and guides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Guide, Networks, Noise
from zslbench.plugin.streams import Streams
from zslbench.testing.bits import changed, close, listed, same_bits, snapshot
from zslbench.testing.check import Fault, NotApplicable, said
from zslbench.testing.steps import Watched
from zslbench.testing.subject import Subject, finish, global_seed
from zslbench.training.step import draw

_CALL = {"embedding": "embed", "generator": "transform", "classifier": "scores"}
_SAMPLES = 10


def _function(subject: Subject) -> tuple[str, Callable[[Tensor], Tensor], Networks]:
    """The component's function of rows, its networks bound."""
    component, nets = subject.fitted()
    name = _CALL[subject.kind]

    def function(rows: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = getattr(component, name)(nets, rows)
        return result

    return name, function, nets


def output_shape(subject: Subject) -> None:
    """One finite row of floats for each image; a classifier's has a column for each class of its space."""
    name, function, _ = _function(subject)
    rows = subject.rows()
    _table(name, function(rows), len(rows), len(subject.space().names) if name == "scores" else None)


def _table(name: str, found: Any, rows: int, columns: int | None) -> None:
    if not isinstance(found, Tensor) or not found.is_floating_point() or found.ndim != 2:
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise Fault(f"{name} gives {what}, not a table of floats")
    if len(found) != rows or (columns is not None and found.shape[1] != columns):
        raise Fault(f"{name} gives shape {tuple(found.shape)}, not ({rows}, {columns or 'd'})")
    if not bool(found.isfinite().all()):
        raise Fault(f"{name} gives NaN or infinite values")


def rows_independent(subject: Subject) -> None:
    """A row's result depends on that row only: rows in another order, or alone, give the same."""
    name, function, _ = _function(subject)
    _by_row(name, function, subject.rows())


def _by_row(name: str, function: Callable[[Tensor], Tensor], rows: Tensor) -> None:
    whole = function(rows)
    order = torch.arange(len(rows), device=rows.device).flip(0)
    for what, part in (("in reverse", order), ("in part", order[::3]), ("alone", order[:1])):
        if not close(function(rows[part]), whole[part]):
            raise Fault(
                f"{name} gives rows other values when they come {what}; use no statistics of the batch"
            )


def use_is_pure(subject: Subject) -> None:
    """Using a fitted component changes neither networks nor inputs and needs no randomness."""
    name, function, nets = _function(subject)
    rows = subject.rows()
    before = snapshot({"networks": nets, "inputs": rows})
    found = []
    for seed in (1, 2):
        with global_seed(seed):
            found.append(function(rows))
    if paths := changed(before, {"networks": nets, "inputs": rows}):
        raise Fault(f"{name} changes {listed(paths)} in place")
    if not same_bits(*found):
        raise Fault(f"{name} gives other values when called again")


# --- generators ----------------------------------------------------------------------------------


def _sampling(subject: Subject) -> tuple[Any, Networks, Tensor, Noise]:
    component, nets = subject.fitted()
    space, streams = subject.space(), Streams(0, subject.device, "synthesis/")
    semantics = space.semantics[space.unseen].repeat(_SAMPLES, 1)[:_SAMPLES]
    noise = {name: draw(spec, _SAMPLES, streams, name) for name, spec in component.sample_noise.items()}
    return component, nets, semantics, noise


def sample_shape(subject: Subject) -> None:
    """``sample`` gives one finite feature, as wide as those fitted on, for each row of semantics."""
    component, nets, semantics, noise = _sampling(subject)
    if not isinstance(component.per_class, int) or component.per_class < 1:
        raise Fault(f"per_class is {component.per_class!r}; give a whole number of 1 or more")
    with torch.no_grad():
        found = component.sample(nets, semantics, noise)
    _table("sample", found, len(semantics), subject.inputs.width)


def sample_uses_semantics_and_noise(subject: Subject) -> None:
    """``sample`` follows from semantics and declared noise alone, row by row, and changes nothing."""
    component, nets, semantics, noise = _sampling(subject)
    watched = Watched(noise)
    before = snapshot({"networks": nets, "semantics": semantics, "noise": noise})
    found = []
    for seed in (1, 2):
        with global_seed(seed), torch.no_grad():
            try:
                found.append(component.sample(nets, semantics, watched))
            except KeyError as error:
                raise Fault(f"sample reads {error}, which sample_noise does not declare") from None
    if undeclared := sorted(watched.read - noise.keys()):
        raise Fault(f"sample reads noise '{undeclared[0]}', which sample_noise does not declare")
    if unread := sorted(noise.keys() - watched.read):
        raise Fault(f"sample_noise declares '{unread[0]}' and sample does not read it; leave it out")
    if paths := changed(before, {"networks": nets, "semantics": semantics, "noise": noise}):
        raise Fault(f"sample changes {listed(paths)} in place")
    if not same_bits(*found):
        raise Fault("sample gives other values when called again; declare its noise in sample_noise")
    part = torch.tensor([7, 2], device=semantics.device)
    with torch.no_grad():
        some = component.sample(nets, semantics[part], {name: one[part] for name, one in noise.items()})
        other = component.sample(nets, semantics.flip(1), dict(noise))
    if not close(some, found[0][part]):
        raise Fault("sample gives rows other values when they come in part; use no statistics of the batch")
    if same_bits(other, found[0]):
        raise Fault(
            "sample gives the same features whatever the semantics; no class can be told from another"
        )


def transform_widths(subject: Subject) -> None:
    """``transform`` gives real and synthetic features one width and one type."""
    component, nets, semantics, noise = _sampling(subject)
    with torch.no_grad():
        synthetic = component.transform(nets, component.sample(nets, semantics, noise))
        real = component.transform(nets, subject.rows())
    if (real.shape[1:], real.dtype) != (synthetic.shape[1:], synthetic.dtype):
        raise Fault(
            f"transform gives {real.dtype} {tuple(real.shape[1:])} for real features and {synthetic.dtype} "
            f"{tuple(synthetic.shape[1:])} for synthetic ones"
        )


# --- guides --------------------------------------------------------------------------------------


def guide_scores(subject: Subject) -> None:
    """A guide scores all classes, is differentiable in the features, can be lifted, and is frozen."""
    component, nets = subject.fitted()
    guide = component.guide(nets)
    if guide is None:
        raise NotApplicable("the embedding offers no guide")
    if not isinstance(guide, Guide):
        raise Fault(f"guide gives a {type(guide).__name__}, not a Guide or None")
    with torch.no_grad():
        g = component.embed(nets, subject.rows())
    before = snapshot({"networks": guide.networks, "g": g})
    scores = guide.scores(guide.networks, g)
    _table("guide.scores", scores, len(g), len(subject.space().names))
    if paths := changed(before, {"networks": guide.networks, "g": g}):
        raise Fault(f"guide.scores changes {listed(paths)} in place")
    if any(tensor.requires_grad for net in guide.networks.values() for tensor in net.values()):
        raise Fault("the guide's networks require gradients; a guide is frozen")
    _by_row("guide.scores", lambda rows: guide.scores(guide.networks, rows), g)

    def total(one: Tensor) -> Tensor:
        # A plain sum would be constant where scores are probabilities.
        return guide.scores(guide.networks, one)[:, 0].sum()

    try:
        slope = torch.func.grad(total)(g)
        stacked = {net: {name: t[None] for name, t in ts.items()} for net, ts in guide.networks.items()}
        lifted = torch.func.vmap(guide.scores)(stacked, g[None])[0]
    except Exception as error:
        raise Fault(f"guide.scores cannot be differentiated or lifted: {said(error)[:200]}") from error
    if not bool(slope.isfinite().all()) or not bool(slope.any()):
        raise Fault("guide.scores has no finite, non-zero derivative in the features; a generator needs one")
    if not same_bits(lifted, scores):
        raise Fault("guide.scores under torch.func.vmap gives other bits; write layers as x @ W.T + b")


# --- classifiers ---------------------------------------------------------------------------------


def scores_unseen_classes(subject: Subject) -> None:
    """Scores tell unseen classes apart; a classifier that needs examples also fits on them alone."""
    if not isinstance(getattr(subject.cls, "needs_examples", None), bool):
        raise Fault("the class does not say needs_examples = True or False")
    _, function, _ = _function(subject)
    unseen = function(subject.rows())[:, subject.space().unseen]
    if bool((unseen == unseen[:, :1]).all()):
        raise Fault("all unseen classes get the same score; score every class of the space")
    if not subject.cls.needs_examples:
        return
    space = subject.small_space()
    classifier = subject.make(space)
    nets = finish(classifier.fit(subject.view(space)), space, 0)
    with torch.no_grad():
        _table("scores in the space of the unseen classes", classifier.scores(nets, subject.rows()),
               len(subject.rows()), len(space.names))  # fmt: skip
