"""A finished run made usable again: its data, its components and their fitted networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zslbench.data.folders import find_dataset
from zslbench.errors import DataError, PluginError, ZslbenchError
from zslbench.evaluation.folds import Fold, final_fold
from zslbench.evaluation.splits import split_fingerprint
from zslbench.experiment import Part, arrays, load_dataset
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.declarations import Kind
from zslbench.plugin.discovery import registry
from zslbench.plugin.interfaces import Embedding, Generator, Networks
from zslbench.plugin.settings import build
from zslbench.plugin.targets import load_class, settings_model
from zslbench.store.record import RunRecord
from zslbench.training.flat import unflatten

Say = Callable[[str], None]
"""Takes a line that the user should read beside the result."""

_CHUNK = 256


def silent(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class FittedRun:
    """A finished run with what is needed to look into it."""

    record: RunRecord
    dataset: Dataset
    fold: Fold
    """The final fold, on the CPU."""
    embedding: Embedding
    generator: Generator | None
    networks: dict[str, Networks]
    """By part: ``embedding``, ``generator``, ``gzsl``, ``czsl``."""

    @property
    def embedding_networks(self) -> Networks:
        """Networks of the embedding; one without tensors has none."""
        return self.networks.get("embedding", {})

    def inputs(self, rows: Tensor) -> Tensor:
        """What the embedding reads of these images (row numbers of the data set)."""
        numbers = rows.numpy()
        if self.embedding.inputs == "features":
            return torch.from_numpy(self.dataset.features[numbers])
        assert self.dataset.regions is not None  # open_run made sure
        return torch.from_numpy(self.dataset.regions[numbers])

    def embed(self, rows: Tensor) -> Tensor:
        """g (n, d) of these images."""
        with torch.no_grad():
            parts = [
                self.embedding.embed(self.embedding_networks, self.inputs(one))
                for one in torch.split(rows, _CHUNK)
            ]
        return torch.cat(parts)


def fitted_parts(record: RunRecord, *, whole: bool = True) -> dict[str, Networks]:
    """The networks of a run's parts, on the CPU.

    Args:
        whole: False where the embedding is enough; of a run that reads regions it is always there.

    Raises:
        ZslbenchError: the run was kept without them; says how to get them.
        DataError: their file is damaged.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in record.networks().items():
        part, _, path = name.partition("/")
        parts.setdefault(part, {})[path] = tensor
    if not parts or (whole and record.environment.get("weights", "all") != "all"):
        run = f"run {record.info.id}"
        if record.info.selection == "oracle":
            raise ZslbenchError(
                f"{run} has no networks: under --select oracle its figures are of several models; "
                "plot a run of --select val or last"
            )
        raise ZslbenchError(
            f"{run} was kept without its networks: run the same command again with --keep-weights --force"
        )
    return {part: unflatten(flat) for part, flat in parts.items()}


def open_run(
    record: RunRecord,
    data_root: str | Path | None = None,
    *,
    regions: str | None = None,
    say: Say = silent,
    whole: bool = True,
) -> FittedRun:
    """Load a run's networks and data, and rebuild its components.

    Args:
        data_root: where data sets lie; None: the configured place.
        regions: name or path of the run's region features; None: those of its record's name.
        say: is told when a plugin has changed since the run.
        whole: False where the embedding is all that is needed.

    Raises:
        ZslbenchError: networks were not kept, the data are not there or not the run's, or a component is
            no longer registered.
    """
    networks = fitted_parts(record, whole=whole)
    names = record.info.identity["components"]
    parts = {kind: _part(record, kind, data_root) for kind in names if kind != "classifier"}
    kind = load_class(parts["embedding"].registered)
    recorded = record.data.get("regions")
    dataset = load_dataset(
        parts["dataset"],
        root=data_root,
        features=record.data["features"],
        semantics=record.data["semantics"],
        regions=regions or (recorded["name"] if recorded else None),
        needs_regions=kind.inputs == "regions",
    )
    if kind.inputs == "regions" and dataset.regions is None:
        raise ZslbenchError(
            f"run {record.info.id}: embedding '{parts['embedding'].name}' reads region features and data set "
            f"'{dataset.name}' has none here"
        )
    _require_same(record, dataset)
    _tell_changes(record, parts, say)
    fold = final_fold(dataset, torch.device("cpu"), kind.inputs)
    generator = None
    if "generator" in parts:
        generator = load_class(parts["generator"].registered)(parts["generator"].settings, fold.space)
    embedding = kind(parts["embedding"].settings, fold.space)
    return FittedRun(record, dataset, fold, embedding, generator, networks)


def _part(record: RunRecord, kind: Kind, data_root: str | Path | None) -> Part:
    """A component as the run had it: settings as asked for, and those that validation chose."""
    identity = record.info.identity
    name = identity["components"][kind]
    known = registry()
    registered = (
        find_dataset(known, name, data_root=data_root) if kind == "dataset" else known.component(kind, name)
    )
    chosen: dict[str, Any] = record.environment.get("chosen") or {}
    values = dict(identity["settings"][kind])
    values |= {key.partition(".")[2]: value for key, value in chosen.items() if key.partition(".")[0] == kind}
    where = f"run {record.info.id}: {kind} '{registered.name}'"
    return Part(registered, build(settings_model(registered), values, where))


def _require_same(record: RunRecord, dataset: Dataset) -> None:
    """Refuse data that are not the run's: a figure of other images would look just as good."""
    here = {one.array: one.sha256 for one in arrays(dataset)}
    differ = [
        f"{one['array']} ({one['file']})" if one["file"] else one["array"]
        for one in record.data["arrays"]
        if here.get(one["array"]) != one["sha256"]
    ]
    if split_fingerprint(dataset.split) != record.data["split_fingerprint"]:
        differ.append("split")
    if differ:
        raise DataError(
            f"run {record.info.id}",
            [f"data set '{dataset.name}' here is not the one it was computed on: {', '.join(differ)} differ"],
            "Give --data-root (and --regions) of the run's data",
        )


def _tell_changes(record: RunRecord, parts: dict[Kind, Part], say: Say) -> None:
    versions = record.info.identity["versions"]
    for plugin in sorted(
        {part.registered.plugin.name: part.registered.plugin for part in parts.values()}.items()
    ):
        name, info = plugin
        now = f"{info.version} {info.source_digest()}".strip()
        was = versions.get(f"plugin {name}")
        if was is not None and was != now:
            say(
                f"plugin '{name}' has changed since run {record.info.id}; the figure is drawn by today's code"
            )


def checked(what: str, record: RunRecord, shape: tuple[int, ...], tensor: Tensor) -> Tensor:
    """``tensor``, if it has this shape and only finite values.

    Raises:
        PluginError: it has not; says what of which run.
    """
    if tuple(tensor.shape) != shape:
        raise PluginError(f"run {record.info.id}: {what} has shape {tuple(tensor.shape)}, not {shape}")
    if not torch.isfinite(tensor).all():
        raise PluginError(f"run {record.info.id}: {what} has values that are not finite")
    return tensor
