"""The probe for arrays that the parts of a run share: no part may write to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zslbench.evaluation import Fold, final_fold, validation_fold
from zslbench.experiment import Recipe, embedding_inputs
from zslbench.plugin import Dataset, Networks, Streams, TrainView, load_class
from zslbench.testing import leaves
from zslbench.training import Training, complete, draw
from zslbench_audit.altered import copied, digests
from zslbench_audit.probes import Leak, few, tensor_sha256
from zslbench_audit.runs import GLOBAL_SEED, ProbeRuns, isolated, quiet

T = TypeVar("T")
_CPU = torch.device("cpu")
_SAMPLES = 3
"""Synthetic features of each unseen class; only the generator's inputs are checked."""


def arrays(runs: ProbeRuns) -> str:
    """Shared data stay unchanged."""
    data = copied(runs.dataset)
    before = digests(data)
    runs.compute(data, runs.seed, GLOBAL_SEED)
    if written := [name for name, digest in digests(data).items() if digest != before[name]]:
        raise Leak(f"the run wrote to the data set: {few(written)}")
    inputs = embedding_inputs(runs.recipe)
    folds = [make(data, _CPU, inputs) for make in (final_fold, validation_fold)]
    for fold in folds:
        if shared := _shared(fold, data):
            raise Leak(f"the {fold.name} fold shares memory with the data set: {few(shared)}")
    _, recipe = next(iter(runs.recipe.candidates()))
    watch = _Watch()
    with quiet(True), isolated(runs.seed, GLOBAL_SEED), torch.no_grad():
        _walk(recipe, folds[0], Training(Streams(runs.seed)), watch)
    return (
        f"All {len(before)} arrays of the data set were unchanged after a run, the folds share no memory "
        f"with them, and {len(watch.calls)} calls ({', '.join(watch.calls)}) left their arguments unchanged."
    )


def _shared(fold: Fold, data: Dataset) -> list[str]:
    """Tensors of a fold that share memory with the data set."""
    arrays = [data.features, data.labels, data.semantics, data.attribute_vectors]
    arrays.append(getattr(data.regions, "array", None))
    return [
        name
        for name, tensor in leaves({"view": fold.view, "space": fold.space}).items()
        if any(one is not None and np.shares_memory(tensor.numpy(), one) for one in arrays)
    ]


@dataclass
class _Watch:
    """Calls a plugin and checks that the call leaves its arguments unchanged."""

    calls: list[str] = field(default_factory=list)

    def __call__(self, name: str, given: Any, call: Callable[[], T]) -> T:
        before = {path: tensor_sha256(tensor) for path, tensor in leaves(given).items()}
        result = call()
        after = leaves(given)
        if written := [path for path, digest in before.items() if tensor_sha256(after[path]) != digest]:
            raise Leak(f"{name} writes to {few(written)}, which other parts use too")
        self.calls.append(name)
        return result


def _walk(recipe: Recipe, fold: Fold, training: Training, watch: _Watch) -> None:
    """Make every call that a fit on the fold makes to its components, in order."""
    view, space, parts = fold.view, fold.space, recipe.parts

    def fit(kind: str, component: Any, seen: TrainView, given: dict[str, Any]) -> Networks:
        def call() -> Networks:
            with torch.enable_grad():
                return complete(component.fit(seen), space.semantics, training.child(kind)).networks

        return watch(f"{kind}.fit", given | {"space": space}, call)

    embedding = load_class(parts["embedding"].registered)(parts["embedding"].settings, space)
    rows = view.features if embedding.inputs == "features" else view.regions
    assert rows is not None
    x = rows[torch.arange(len(view.labels))]
    given: dict[str, Any] = {"view": {"features": view.features, "labels": view.labels}}
    nets = fit("embedding", embedding, view, given)
    given = {"inputs": x, "networks": nets, "space": space}
    g: Tensor = watch("embedding.embed", given, lambda: embedding.embed(nets, x))
    seen = TrainView(g, view.labels, guide=embedding.guide(nets))
    if "generator" in parts:
        generator = load_class(parts["generator"].registered)(parts["generator"].settings, space)
        made = fit("generator", generator, seen, {"view": seen})
        ids = space.unseen.repeat_interleave(_SAMPLES)
        noise = {
            name: draw(spec, len(ids), training.streams, name)
            for name, spec in generator.sample_noise.items()
        }
        semantics = space.semantics[ids]
        given = {"semantics": semantics, "noise": noise, "networks": made, "space": space}
        synthetic = watch("generator.sample", given, lambda: generator.sample(made, semantics, noise))
        given = {"features": g, "networks": made, "space": space}
        real = watch("generator.transform", given, lambda: generator.transform(made, g))
        both = [real, generator.transform(made, synthetic)]
        seen = TrainView(torch.cat(both), torch.cat([view.labels, ids]))
    classifier = load_class(parts["classifier"].registered)(parts["classifier"].settings, space)
    last = fit("classifier", classifier, seen, {"view": seen})
    given = {"features": seen.features, "networks": last, "space": space}
    watch("classifier.scores", given, lambda: classifier.scores(last, seen.features))
