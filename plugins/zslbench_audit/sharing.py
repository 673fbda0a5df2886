"""The probe for arrays that the parts of a run share: no part may write to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zslbench.data import array_sha256, few
from zslbench.evaluation import Fold, final_fold, transductive_knowledge, validation_fold
from zslbench.experiment import Recipe, embedding_inputs
from zslbench.plugin import Dataset, Kind, Networks, Noise, NoiseSpec, TrainView, Transductive, load_class
from zslbench.testing import leaves
from zslbench.training import Training, complete, draw
from zslbench_audit.altered import digests
from zslbench_audit.process import Leak

T = TypeVar("T")
_CPU = torch.device("cpu")
_SAMPLES = 3
"""Synthetic features of each unseen class; only the generator's inputs are checked."""


def arrays(recipe: Recipe, data: Dataset, compute: Callable[[Dataset], None], training: Training) -> str:
    """No part writes to data that others use.

    Args:
        compute: runs the recipe on a data set.
    """
    before = digests(data)
    compute(data)
    if written := [name for name, digest in digests(data).items() if digest != before[name]]:
        raise Leak(f"the run wrote to the data set: {few(written)}")
    inputs = embedding_inputs(recipe)
    folds = [make(data, _CPU, inputs) for make in (final_fold, validation_fold)]
    for fold in folds:
        if shared := _shared(fold, data):
            raise Leak(f"the {fold.name} fold shares memory with the data set: {few(shared)}")
    _, first = next(iter(recipe.candidates()))
    with torch.no_grad():
        calls = _walk(first, folds[0], training)
    return (
        f"All {len(before)} arrays of the data set were unchanged after a run, the folds share no memory "
        f"with them, and {len(calls)} calls ({', '.join(calls)}) left their arguments unchanged."
    )


def _knowledge(
    recipe: Recipe, fold: Fold, embed: Callable[[Tensor], Tensor], training: Training
) -> Transductive | None:
    """What a transductive reading lets a generator know about the fold's test images."""
    if not recipe.transductive:
        return None
    sides = (fold.test_seen, fold.test_unseen)
    seen, unseen = (replace(one, features=torch.cat([embed(x) for x in one.inputs()])) for one in sides)
    embedded = replace(fold, test_seen=seen, test_unseen=unseen)
    return transductive_knowledge(embedded, recipe.transductive, "gzsl", training.streams)


def tensor_sha256(tensor: Tensor) -> str:
    """sha256 of dtype, shape and values."""
    return array_sha256(tensor.detach().cpu().contiguous().numpy())


def _shared(fold: Fold, data: Dataset) -> list[str]:
    """Tensors of a fold that share memory with the data set."""
    arrays = [data.features, data.labels, data.semantics, data.attribute_vectors]
    arrays.append(getattr(data.regions, "array", None))
    return [
        name
        for name, tensor in leaves({"view": fold.view, "space": fold.space}).items()
        if any(one is not None and np.shares_memory(tensor.numpy(), one) for one in arrays)
    ]


def _walk(recipe: Recipe, fold: Fold, training: Training) -> list[str]:
    """Make every call that a fit on the fold makes to its components, in order; returns their names.

    None may write to its arguments.
    """
    view, space, parts = fold.view, fold.space, recipe.parts
    calls: list[str] = []

    def watched(name: str, given: dict[str, Any], call: Callable[[], T]) -> T:
        shared = given | {"space": space}
        before = {path: tensor_sha256(tensor) for path, tensor in leaves(shared).items()}
        result = call()
        after = leaves(shared)
        if written := [path for path, digest in before.items() if tensor_sha256(after[path]) != digest]:
            raise Leak(f"{name} writes to {few(written)}, which other parts use too")
        calls.append(name)
        return result

    parts_before: dict[str, Any] = {}
    networks: dict[str, Networks] = {}

    def fitted(kind: Kind, seen: TrainView, given: dict[str, Any]) -> tuple[Any, Networks]:
        component: Any = load_class(parts[kind].registered)(parts[kind].settings, space)
        for name, before in parts_before.items():
            setattr(component, name, before)

        def call() -> Networks:
            with torch.enable_grad():
                return complete(component.fit(seen), space.semantics, training.child(kind)).networks

        networks[kind] = watched(f"{kind}.fit", given, call)
        parts_before[kind] = component
        return component, networks[kind]

    def drawn(specs: Mapping[str, NoiseSpec], rows: int) -> Noise:
        return {name: draw(spec, rows, training.streams, name) for name, spec in specs.items()}

    inputs = getattr(view, embedding_inputs(recipe))
    assert inputs is not None
    x = inputs[torch.arange(len(view.labels))]
    embedding, nets = fitted("embedding", view, {"view": {"features": view.features, "labels": view.labels}})
    g: Tensor = watched("embedding.embed", {"inputs": x, "networks": nets}, lambda: embedding.embed(nets, x))
    known = _knowledge(recipe, fold, lambda x: embedding.embed(nets, x), training)
    seen = TrainView(g, view.labels, guide=embedding.guide(nets), networks=dict(networks), test=known)
    if "generator" in parts:
        generator, made = fitted("generator", seen, {"view": seen})
        ids = space.unseen.repeat_interleave(_SAMPLES)
        semantics, noise = space.semantics[ids], drawn(generator.sample_noise, len(ids))
        given = {"semantics": semantics, "noise": noise, "networks": networks}
        fake = watched("generator.sample", given, lambda: generator.sample(made, semantics, noise))
        code = drawn(generator.transform_noise, len(g))
        given = {"features": g, "noise": code, "networks": networks}
        real = watched("generator.transform", given, lambda: generator.transform(made, g, code))
        if load_class(parts["classifier"].registered).reads == "features":
            real = g
        else:
            if generator.samples == "features":
                fake = generator.transform(made, fake, drawn(generator.transform_noise, len(ids)))
            if known is not None and known.features is not None:
                known = replace(known, features=generator.transform(made, known.features, {}))
        own, guess = space.semantics[view.labels], drawn(generator.sample_noise, len(g))
        given = {"features": g, "semantics": own, "noise": guess, "networks": networks}
        watched("generator.encode", given, lambda: generator.encode(made, g, own, guess))
        labels = torch.cat([view.labels, ids])
        seen = TrainView(torch.cat([real, fake]), labels, networks=dict(networks), test=known)
    classifier, last = fitted("classifier", seen, {"view": seen})
    given = {"features": seen.features, "networks": {**networks, "classifier": last}}
    watched("classifier.scores", given, lambda: classifier.scores(last, seen.features))
    return calls
