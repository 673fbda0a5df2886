"""A finished run loaded again: its data, its components and their fitted networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import DataError, SettingsError, ZslbenchError
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.folds import Fold, final_fold, inputs_of
from zslbench.evaluation.selection import EXTERNAL, uses_test_images
from zslbench.evaluation.splits import split_fingerprint
from zslbench.experiment.datasets import DataFiles, arrays, load_dataset
from zslbench.experiment.fitting import Fitter, embedding_inputs, embedding_needs
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.dataset import Candidates, Dataset, Indices
from zslbench.plugin.declarations import Task
from zslbench.plugin.discovery import commands, registry
from zslbench.plugin.interfaces import Embedding, Generator
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_function
from zslbench.plugin.views import Networks
from zslbench.store.record import RunRecord
from zslbench.training.checkpoint import unflatten
from zslbench.training.loop import Training

if TYPE_CHECKING:
    import pandas as pd

Notify = Callable[[str], None]
"""Called with each line that the user should read with a result."""

_CHUNK = 256


@dataclass(frozen=True)
class FittedRun:
    """A finished run with its data and fitted components."""

    record: RunRecord
    dataset: Dataset
    fitter: Fitter
    networks: dict[str, Networks]
    """By part: ``embedding`` (empty for one without parameters), ``generator``, ``gzsl``, ``czsl``."""
    data_root: str | Path | None = None
    """As given when it was loaded."""

    @property
    def fold(self) -> Fold:
        """The final fold."""
        return self.fitter.fold

    @property
    def embedding(self) -> Embedding:
        return self.fitter.embedding

    @property
    def generator(self) -> Generator | None:
        return self.fitter.generator

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.fold.view.labels.device

    def inputs(self, rows: Tensor) -> Tensor:
        """What the embedding reads for these images (row numbers of the data set)."""
        found = inputs_of(self.dataset, rows.cpu().numpy(), self.device, self.embedding.inputs)
        assert found is not None  # load_run checked it
        return found[torch.arange(len(rows), device=self.device)]

    def embed(self, rows: Tensor) -> Tensor:
        """g (n, d) of these images."""
        networks, chunks = self.networks["embedding"], torch.split(rows, _CHUNK)
        with torch.no_grad():
            return torch.cat([self.embedding.embed(networks, self.inputs(chunk)) for chunk in chunks])

    # --- scores ------------------------------------------------------------------------------------

    def classes(self, task: Task = "gzsl") -> tuple[str, ...]:
        """Names of the classes that f_gzsl or f_czsl scores, in the order of the scores' columns."""
        space = self.fold.space
        return space.names if task == "gzsl" else tuple(space.names[one] for one in space.unseen.tolist())

    def scores(
        self, inputs: Tensor, task: Task = "gzsl", images: Indices | None = None
    ) -> Float[Tensor, "n classes"]:
        """Scores of any images over :meth:`classes`, as the run's evaluation computes them.

        Args:
            inputs: what the embedding reads: features (n, d0), regions (n, regions, dv), or pictures
                (n, 3, size, size).
            images: a number for each image, by which methods that draw noise for test images draw it; for
                images of the data set, their row numbers. None: 0 to n-1.

        Raises:
            ZslbenchError: the run has no classifier for this task.
        """
        if task not in self.fitter.tasks:
            raise ZslbenchError(f"run {self.record.info.id}: has no classifier for {task.upper()}")
        images = np.arange(len(inputs)) if images is None else images
        return self.fitter.scores(self.networks, task, inputs.to(self.device), images)

    def predict(self, **options: Any) -> pd.DataFrame:
        """The classes of pictures or features: ``predict(images="FOLDER")``.

        Args:
            options: those of ``zslbench.predict``, as ``zslbench predict`` has them: ``images`` or
                ``features``, ``classes``, ``seen``, ``top``, ...
        """
        found: pd.DataFrame = load_function(commands()["predict"], "function")(self, **options)
        return found


# --- loading -------------------------------------------------------------------------------------


def fitted_networks(record: RunRecord, *, embedding_only: bool = False) -> dict[str, Networks]:
    """The networks of a run's parts, on the CPU; those of the embedding suffice if ``embedding_only``.

    Raises:
        ZslbenchError: the run was stored without them; the message says how to get them.
        DataError: their file is damaged.
    """
    run = f"run {record.info.id}"
    if record.info.selection == EXTERNAL:
        raise ZslbenchError(f"{run} has no networks: it is external: its scores were made elsewhere")
    if uses_test_images(record.info.selection):
        raise ZslbenchError(
            f"{run} has no networks: under --select {record.info.selection} its figures come from several "
            "models; use a run selected by val or last"
        )
    parts, weights = unflatten(record.networks()), record.environment.get("weights")
    if weights == "all" or (parts and (embedding_only or "weights" not in record.environment)):
        return {part: unflatten(flat) for part, flat in parts.items()}
    raise ZslbenchError(
        f"{run} was stored without its networks: repeat its command with --keep-weights --force"
    )


def load_run(
    record: RunRecord,
    data_root: str | Path | None = None,
    *,
    regions: str | None = None,
    semantics: str | None = None,
    notify: Notify = lambda text: None,
    embedding_only: bool = False,
    device: torch.device | str = "cpu",
) -> FittedRun:
    """Load a run's networks and data, and rebuild its components.

    Args:
        regions: name or path of the run's region features, or the folder of its pictures; None: the name in
            its record, or the data set's own.
        semantics: name or path of the run's class semantics; None: the name in its record.
        notify: called if a plugin has changed since the run.
        embedding_only: only the embedding is needed.

    Raises:
        ZslbenchError: the networks were not stored, the data are missing or differ from the run's, or a
            component is no longer registered.
    """
    networks: dict[str, Networks] = {"embedding": {}} | fitted_networks(record, embedding_only=embedding_only)
    device = torch.device(device)
    recipe, recorded = _recipe(record, data_root), record.data.get("regions")
    parts, inputs = recipe.parts, embedding_inputs(recipe)
    of_images = inputs == "images"
    if regions and inputs == "features" and not recorded:
        raise SettingsError(
            f"run {record.info.id} reads features {record.data['features']}, not region features or "
            "pictures; leave out --regions"
        )
    name = regions or (recorded["name"] if recorded and not of_images else None)
    files = {"images" if of_images else "regions": name}
    dataset = load_dataset(
        parts["dataset"],
        DataFiles(record.data["features"], semantics or record.data["semantics"], **files),
        root=data_root,
        **embedding_needs(recipe),
    )
    if inputs == "regions" and dataset.regions is None:
        raise ZslbenchError(
            f"run {record.info.id}: embedding '{parts['embedding'].name}' reads region features, which data "
            f"set '{dataset.name}' does not have; give --regions"
        )
    _require_same_data(record, dataset)
    classes = record.table("classes")
    scored = classes["name"][classes["side"] == "unseen"]
    names = {name: number for number, name in enumerate(dataset.class_names)}
    chosen = np.array([names[name] for name in scored], dtype=np.int64)
    candidates = Candidates(str(record.data.get("candidates", TEST)), chosen)
    for plugin in recipe.plugins:
        source = record.info.identity["versions"].get(f"plugin {plugin.name}", plugin.source)
        if source != plugin.source:
            notify(f"plugin '{plugin.name}' has changed since run {record.info.id}; its current code is used")
    fold = final_fold(replace(dataset, candidates=candidates), device, inputs)
    training = Training(Streams(record.info.seed, device)).child("final")
    moved = {
        part: {net: {name: one.to(device) for name, one in tensors.items()} for net, tensors in nets.items()}
        for part, nets in networks.items()
    }
    return FittedRun(record, dataset, Fitter(recipe, fold, training, recipe.tasks), moved, data_root)


def _recipe(record: RunRecord, data_root: str | Path | None) -> Recipe:
    """The run's components with all its settings, those that validation chose included."""
    identity = record.info.identity
    of_kinds = identity["settings"].items()
    settings = {f"{kind}.{name}": value for kind, values in of_kinds for name, value in values.items()}
    try:
        recipe = resolve(
            registry(),
            identity["components"]["dataset"],
            components={kind: name for kind, name in identity["components"].items() if kind != "dataset"},
            settings=settings | (record.environment.get("chosen") or {}),
            data_root=data_root,
        )
    except SettingsError as error:
        raise SettingsError(f"run {record.info.id}: {error}") from None
    tasks: Any = identity.get("tasks", recipe.tasks)
    last: Any = record.metrics.get("epochs")
    return replace(recipe, tasks=tuple(tasks), until=last)


def _require_same_data(record: RunRecord, dataset: Dataset) -> None:
    """Refuse data other than the run's, since results on them would look just as convincing."""
    here = {array.array: array.sha256 for array in arrays(dataset)}
    differ = [
        f"{array['array']} ({array['file']})" if array["file"] else array["array"]
        for array in record.data["arrays"]
        if here.get(array["array"]) != array["sha256"]
    ]
    if split_fingerprint(dataset.split) != record.data["split_fingerprint"]:
        differ.append("split")
    if not set(record.table("classes")["name"]) <= set(dataset.class_names):
        differ.append("class names")
    if differ:
        raise DataError(
            f"run {record.info.id}",
            [f"data set '{dataset.name}' differs from the one the run used: {', '.join(differ)} differ"],
            "Give --data-root (and --regions) of the run's data",
        )
