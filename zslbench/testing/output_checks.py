"""Checks of fitted components: ``embed``, ``transform``, ``scores``, ``sample`` and guides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zslbench.evaluation.folds import unseen_space
from zslbench.plugin.interfaces import Guide, Networks, Noise
from zslbench.plugin.lookup import one_line
from zslbench.plugin.streams import Streams
from zslbench.testing.check import (
    Fault,
    NotApplicable,
    close,
    leaves,
    require,
    require_by_row,
    require_floats,
    require_pure,
    same_bits,
    unchanged,
)
from zslbench.testing.harness import USES, ComponentCase, finish
from zslbench.testing.step_checks import WatchedNoise
from zslbench.training.step import draw

_SAMPLES = 10


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


# --- generators ----------------------------------------------------------------------------------


def _sampling(case: ComponentCase) -> tuple[Any, Networks, Tensor, Noise]:
    component, nets = case.fitted()
    space, streams = case.space(), Streams(0, case.device, "synthesis/")
    semantics = space.semantics[space.unseen].repeat(_SAMPLES, 1)[:_SAMPLES]
    noise = {name: draw(spec, _SAMPLES, streams, name) for name, spec in component.sample_noise.items()}
    return component, nets, semantics, noise


def sample_shape(case: ComponentCase) -> None:
    """``sample`` returns one finite feature, as wide as the training features, for each row of semantics."""
    component, nets, semantics, noise = _sampling(case)
    count = component.per_class
    whole = isinstance(count, int) and count >= 1
    require(whole, f"per_class is {count!r}; return a whole number of 1 or more")
    with torch.no_grad():
        found = component.sample(nets, semantics, noise)
    require_floats("sample", found, len(semantics), case.inputs.width)


def sample_uses_semantics_and_noise(case: ComponentCase) -> None:
    """``sample`` depends on semantics and declared noise only, row by row, and changes nothing."""
    component, nets, semantics, noise = _sampling(case)
    watched = WatchedNoise(noise)

    def sample() -> Tensor:
        try:
            found: Tensor = component.sample(nets, semantics, watched)
        except KeyError:
            watched.require_read("sample", "sample_noise")
            raise
        return found

    arguments = {"networks": nets, "semantics": semantics, "noise": noise}
    found = require_pure("sample", sample, arguments, "declare its noise in sample_noise")
    watched.require_read("sample", "sample_noise")
    part = torch.tensor([7, 2], device=semantics.device)
    with torch.no_grad():
        some = component.sample(nets, semantics[part], {name: one[part] for name, one in noise.items()})
        other = component.sample(nets, semantics.flip(1), dict(noise))
    same = close(some, found[part])
    require(same, "sample returns other values for rows with fewer others; use no statistics of the batch")
    require(
        not same_bits(other, found),
        "sample returns the same features for other semantics, so it cannot separate classes",
    )


def transform_widths(case: ComponentCase) -> None:
    """``transform`` gives real and synthetic features the same width and dtype."""
    component, nets, semantics, noise = _sampling(case)
    with torch.no_grad():
        synthetic = component.transform(nets, component.sample(nets, semantics, noise))
    real = case.use(component, nets, case.rows())
    require(
        (real.shape[1:], real.dtype) == (synthetic.shape[1:], synthetic.dtype),
        f"transform returns {real.dtype} {tuple(real.shape[1:])} for real features and {synthetic.dtype} "
        f"{tuple(synthetic.shape[1:])} for synthetic ones",
    )


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
    needs_examples = getattr(case.cls, "needs_examples", None)
    require(isinstance(needs_examples, bool), "the class does not set needs_examples to True or False")
    component, nets = case.fitted()
    unseen = case.use(component, nets, case.rows())[:, case.space().unseen]
    distinct = not bool((unseen == unseen[:, :1]).all())
    require(distinct, "all unseen classes get the same score; score every class of the space")
    if needs_examples:
        space = unseen_space(case.space())
        classifier = case.make(space)
        nets = finish(classifier.fit(case.view(space)), space, 0)
        scores = case.use(classifier, nets, case.rows())
        require_floats("scores in the space of the unseen classes", scores, len(scores), len(space.names))
