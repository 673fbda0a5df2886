"""A finished run opened again: its data, its components and their fitted networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslbench.errors import DataError, PluginError, SettingsError, ZslbenchError
from zslbench.evaluation import Fold, final_fold, split_fingerprint, uses_test_images
from zslbench.experiment import DataFiles, arrays, embedding_inputs, load_dataset, resolve
from zslbench.plugin import Candidates, Dataset, Embedding, Generator, Networks, load_class, registry
from zslbench.report import candidates_label
from zslbench.store import RunRecord
from zslbench.training import unflatten

Notify = Callable[[str], None]
"""Called with each line that the user should read with a figure."""

_CHUNK = 256


@dataclass(frozen=True)
class FittedRun:
    """A finished run with its data and fitted components."""

    record: RunRecord
    dataset: Dataset
    fold: Fold
    """The final fold, on the CPU."""
    embedding: Embedding
    generator: Generator | None
    networks: dict[str, Networks]
    """By part: ``embedding`` (empty for one without parameters), ``generator``, ``gzsl``, ``czsl``."""

    def inputs(self, rows: Tensor) -> Tensor:
        """What the embedding reads for these images (row numbers of the data set)."""
        numbers = rows.numpy()
        if self.embedding.inputs == "features":
            return torch.from_numpy(self.dataset.features[numbers])
        assert self.dataset.regions is not None  # open_run checked it
        return torch.from_numpy(self.dataset.regions[numbers])

    def embed(self, rows: Tensor) -> Tensor:
        """g (n, d) of these images."""
        networks, chunks = self.networks["embedding"], torch.split(rows, _CHUNK)
        with torch.no_grad():
            return torch.cat([self.embedding.embed(networks, self.inputs(chunk)) for chunk in chunks])


def fitted_networks(record: RunRecord, *, embedding_only: bool = False) -> dict[str, Networks]:
    """The networks of a run's parts, on the CPU; those of the embedding suffice if ``embedding_only``.

    Raises:
        ZslbenchError: the run was stored without them; the message says how to get them.
        DataError: their file is damaged.
    """
    parts = unflatten(record.networks())
    if parts and (embedding_only or record.environment.get("weights", "all") == "all"):
        return {part: unflatten(flat) for part, flat in parts.items()}
    run = f"run {record.info.id}"
    if uses_test_images(record.info.selection):
        raise ZslbenchError(
            f"{run} has no networks: under --select {record.info.selection} its figures come from several "
            "models; plot a run selected by val or last"
        )
    raise ZslbenchError(
        f"{run} was stored without its networks: repeat its command with --keep-weights --force"
    )


def open_run(
    record: RunRecord,
    data_root: str | Path | None = None,
    *,
    regions: str | None = None,
    notify: Notify = lambda text: None,
    embedding_only: bool = False,
) -> FittedRun:
    """Load a run's networks and data, and rebuild its components.

    Args:
        regions: name or path of the run's region features; None: the name in its record.
        notify: called if a plugin has changed since the run.
        embedding_only: only the embedding is needed.

    Raises:
        ZslbenchError: the networks were not stored, the data are missing or differ from the run's, or a
            component is no longer registered.
    """
    networks: dict[str, Networks] = {"embedding": {}} | fitted_networks(record, embedding_only=embedding_only)
    identity, recorded = record.info.identity, record.data.get("regions")
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
    parts, inputs = recipe.parts, embedding_inputs(recipe)
    dataset = load_dataset(
        parts["dataset"],
        DataFiles(
            record.data["features"],
            record.data["semantics"],
            regions or (recorded["name"] if recorded else None),
        ),
        root=data_root,
        needs_regions=inputs == "regions",
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
    candidates = Candidates(
        candidates_label(record), np.array([names[name] for name in scored], dtype=np.int64)
    )
    shown = {part.registered.plugin.name for kind, part in parts.items() if kind != "classifier"}
    for plugin in recipe.plugins:
        recorded_source = identity["versions"].get(f"plugin {plugin.name}", plugin.source)
        if plugin.name in shown and recorded_source != plugin.source:
            notify(
                f"plugin '{plugin.name}' has changed since run {record.info.id}; its current code draws this "
                "figure"
            )
    fold = final_fold(replace(dataset, candidates=candidates), torch.device("cpu"), inputs)
    made: dict[str, Any] = {
        kind: load_class(part.registered)(part.settings, fold.space)
        for kind, part in parts.items()
        if kind in ("embedding", "generator")
    }
    if "generator" in made:
        made["generator"].embedding = made["embedding"]
    return FittedRun(record, dataset, fold, made["embedding"], made.get("generator"), networks)


def _require_same_data(record: RunRecord, dataset: Dataset) -> None:
    """Refuse other data than the run's, since a figure of them would look just as convincing."""
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


def require_shape(what: str, record: RunRecord, shape: tuple[int, ...], tensor: Tensor) -> Tensor:
    """``tensor``, if it has this shape and only finite values; otherwise PluginError."""
    if tuple(tensor.shape) != shape:
        raise PluginError(f"run {record.info.id}: {what} has shape {tuple(tensor.shape)}, not {shape}")
    if not torch.isfinite(tensor).all():
        raise PluginError(f"run {record.info.id}: {what} has values that are not finite")
    return tensor
