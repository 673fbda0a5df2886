"""A finished run with other unseen classes, which are known by their semantics only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.data import few
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation import Fold
from zslbench.experiment import FittedRun, Fitter
from zslbench.plugin import ClassSpace, Task

_PROBES = 4
"""Training images by which a classifier's columns are compared with its classes."""


def with_classes(
    run: FittedRun,
    names: Sequence[str],
    semantics: Float[np.ndarray, "k attributes"],
    task: Task = "czsl",
) -> FittedRun:
    """The run with other unseen classes, which are known by their semantics only.

    Synthesis and the task's classifier are fitted again with the run's own random streams: its own unseen
    classes give its own scores. Embedding and generator stay, and so does a classifier that scores from
    semantics. A new class with the name of an unseen one takes its place.

    Args:
        semantics: on the scale of the data set's.
        task: ``czsl`` for the new classes only, ``gzsl`` for the seen ones as well.

    Raises:
        SettingsError: names are repeated or those of seen classes; or the semantics have another length.
        ZslbenchError: the run is transductive, or its classifier cannot score other classes.
    """
    name, space = f"run {run.record.info.id}", run.fold.space
    if run.record.info.identity.get("transductive") and run.fitter.classifier.needs_examples:
        raise ZslbenchError(
            f"{name} is transductive: its classifier is fitted with knowledge of the test images and "
            "cannot be fitted for new classes"
        )
    width = space.semantics.shape[1]
    if semantics.shape != (len(names), width):
        raise SettingsError(
            f"{name}: semantics of shape {semantics.shape} for {len(names)} classes; each class of "
            f"'{run.dataset.name}' has {width} values"
        )
    fold = _with_unseen(run.fold, names, semantics)
    changed = _with_fold(run, fold, task)
    if run.fitter.classifier.needs_examples:
        fitted = changed.fitter.refit(run.networks, task)
        return replace(changed, networks=changed.networks | {task: fitted})
    _require_columns_of_classes(changed, task)
    return changed


def _with_fold(run: FittedRun, fold: Fold, task: Task) -> FittedRun:
    fitter, kept, tasks = run.fitter, dict(run.networks), run.fitter.tasks
    if fitter.classifier.needs_examples:
        kept = {part: nets for part, nets in kept.items() if part not in ("gzsl", "czsl")}
        tasks = (task,)
    return replace(run, fitter=Fitter(fitter.recipe, fold, fitter.training, tasks), networks=kept)


def _require_columns_of_classes(run: FittedRun, task: Task) -> None:
    """Check that reversing the order of the classes reverses the classifier's columns: one that keeps its
    classes in its networks would name the wrong ones."""
    fold = run.fold
    last = len(fold.space.names) - 1
    space = replace(
        fold.space,
        names=fold.space.names[::-1],
        semantics=fold.space.semantics.flip(0),
        seen=last - fold.space.seen,
        unseen=last - fold.space.unseen,
    )
    view = replace(fold.view, labels=last - fold.view.labels)
    turned = _with_fold(run, replace(fold, space=space, view=view), task)
    rows = run.fitter.inputs
    inputs = rows[torch.arange(min(_PROBES, len(rows)), device=run.device)]
    try:
        here, there = run.scores(inputs, task), turned.scores(inputs, task)
        order = [turned.classes(task).index(name) for name in run.classes(task)]
        same = torch.allclose(here, there[:, order], rtol=1e-3, atol=1e-3 * float(here.abs().max()))
    except (RuntimeError, IndexError, ValueError):  # shapes that do not fit
        same = False
    if not same:
        name = run.fitter.recipe.parts["classifier"].name
        raise ZslbenchError(
            f"run {run.record.info.id}: classifier '{name}' keeps the run's classes in its networks and "
            "cannot score others"
        )


def _with_unseen(fold: Fold, names: Sequence[str], semantics: Float[np.ndarray, "k attributes"]) -> Fold:
    """The fold with these unseen classes and without test images; classes that remain keep their order."""
    space, given = fold.space, {name: place for place, name in enumerate(names)}
    if len(given) != len(names) or not names:
        raise SettingsError("new classes: there are none, or names are repeated")
    seen = set(space.seen.tolist())
    if known := [space.names[one] for one in sorted(seen) if space.names[one] in given]:
        raise SettingsError(f"new classes: {len(known)} are seen classes of the run ({few(known)})")
    kept = [one for one, name in enumerate(space.names) if one in seen or name in given]
    ordered = tuple(space.names[one] for one in kept)
    ordered += tuple(name for name in names if name not in set(ordered))
    device, number = space.semantics.device, {one: place for place, one in enumerate(kept)}
    values = torch.from_numpy(np.asarray(semantics, dtype=np.float32)).to(device)
    rows = [
        space.semantics[kept[place]] if ordered[place] not in given else values[given[ordered[place]]]
        for place in range(len(ordered))
    ]

    def numbers(ids: list[int]) -> Tensor:
        return torch.tensor(ids, dtype=torch.int64, device=device)

    places = [number.get(one, -1) for one in range(len(space.names))]
    nobody = np.zeros(0, dtype=np.int64)
    none = replace(fold.test_unseen, features=torch.zeros(0, 1, device=device), labels=nobody, rows=nobody)
    return replace(
        fold,
        view=replace(fold.view, labels=numbers(places)[fold.view.labels]),
        space=ClassSpace(
            names=ordered,
            semantics=torch.stack(rows),
            seen=numbers([number[one] for one in space.seen.tolist()]),
            unseen=numbers([place for place, name in enumerate(ordered) if name in given]),
            attribute_names=space.attribute_names,
            attribute_vectors=space.attribute_vectors,
        ),
        test_seen=none,
        test_unseen=none,
    )
