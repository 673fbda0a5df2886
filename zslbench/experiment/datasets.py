"""Loads data sets through their plugins, validates them, and records where data came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from zslbench.data.locations import data_root, find_folder
from zslbench.data.named import shadowed_note
from zslbench.data.provenance import source
from zslbench.data.regions.store import ArrayRegions, RegionStore
from zslbench.data.semantics import semantics_file, with_semantics
from zslbench.data.validate import require_valid
from zslbench.errors import DataError, PluginError, SettingsError
from zslbench.evaluation.candidates import candidates_of, untested_classes, with_candidates
from zslbench.evaluation.splits import split_fingerprint, validation_split
from zslbench.experiment.fitting import embedding_inputs, embedding_needs, require_fitting_parts
from zslbench.experiment.recipe import Part, Recipe
from zslbench.plugin.boundary import plugin_code
from zslbench.plugin.dataset import DataRequest, Dataset, Source
from zslbench.plugin.targets import load_class
from zslbench.store.identity import run_id

StoreCheck: TypeAlias = Literal["now", "later", "never"]
"""When a region store is compared with its digests; ``later``: in the background if it is large."""


@dataclass(frozen=True)
class DataFiles:
    """Which of a data set's files to read (:class:`~zslbench.plugin.dataset.DataRequest`), and its candidates
    (:func:`~zslbench.evaluation.candidates.with_candidates`)."""

    features: str | None = None
    semantics: str | None = None
    regions: str | None = None
    candidates: str | None = None
    images: str | None = None


def load_dataset(
    part: Part,
    files: DataFiles = DataFiles(),
    *,
    root: str | Path | None = None,
    needs_regions: bool = False,
    image_size: int | None = None,
    check: StoreCheck = "now",
) -> Dataset:
    """Read and validate a data set.

    Args:
        root: as ``--data-root``.
        needs_regions, image_size: what the run reads, see :func:`.embedding_needs`.
        check: with ``later``, :meth:`.RegionStore.require_sound` waits for the result.

    Raises:
        MissingData: it is missing; says what to do.
        DataError: it has faults; lists all of them.
    """
    at, its_folder = data_root(root), part.registered.declaration.folder
    folder = find_folder(at, its_folder) if its_folder else None
    class_vectors = semantics_file(files.semantics, folder)
    request = DataRequest(
        part.name,
        at,
        files.features,
        None if class_vectors else files.semantics,
        needs_regions,
        files.regions,
        files.images,
        image_size,
    )
    with plugin_code(f"data set '{part.name}'"):
        dataset = load_class(part.registered)(part.settings).load(request)
    if not isinstance(dataset, Dataset):
        raise PluginError(
            f"plugin '{part.registered.plugin.name}': data set '{part.name}' loaded "
            f"a {type(dataset).__name__}, not a zslbench.plugin.Dataset"
        )
    require_valid(dataset, f"data set '{part.name}'")
    if class_vectors is not None:
        dataset = with_semantics(dataset, class_vectors, folder)
    if image_size is not None and dataset.regions is not None:
        shape = dataset.regions.shape[1:]
        if shape != (image_size**2, 3):
            fault = f"has no pictures: it gives {shape[0]} regions of length {shape[1]} for them"
            raise DataError(f"data set '{part.name}'", [fault])
    if isinstance(dataset.regions, RegionStore) and check != "never":
        dataset.regions.begin_check() if check == "later" else dataset.regions.require_sound()
    return with_candidates(dataset, files.candidates)


def arrays(dataset: Dataset, verified: bool = True) -> tuple[Source, ...]:
    """File and sha256 of every array that a run's numbers depend on.

    Digests of arrays in memory are computed from the arrays, whatever the data set states as its sources.

    Args:
        verified: whether the digests of a region store were compared with its values.
    """
    of: dict[str, np.ndarray[Any, Any] | None] = {
        "features": dataset.features,
        "labels": dataset.labels,
        "semantics": dataset.semantics,
        "attribute_vectors": dataset.attribute_vectors,
    }
    if isinstance(dataset.regions, ArrayRegions):
        of["regions"] = dataset.regions.array
    of |= dataset.split.parts
    known = {one.array: one for one in dataset.sources}
    found = []
    for name, array in of.items():
        if array is not None and (name in known or name not in dataset.split.parts):
            found.append(source(name, known[name].file if name in known else "", array))
    rest = [one for name, one in known.items() if name not in of]
    if not verified:  # the recorded digest says nothing then: each state of the files is other data
        files = dataset.regions.files_digest if isinstance(dataset.regions, RegionStore) else ""
        rest = [
            replace(one, sha256=f"{one.sha256} (unverified, {files})") if one.array == "regions" else one
            for one in rest
        ]
    return (*found, *rest)


def provenance(dataset: Dataset, verified: bool = True) -> dict[str, Any]:
    """What a run's record says about its data; ``verified`` as for :func:`arrays`."""
    regions, candidates, split = dataset.regions, candidates_of(dataset), None
    try:
        split = validation_split(dataset)
        note = split.note
    except DataError as error:  # only --select val needs a validation split
        note = "; ".join(error.faults)
    names = [str(dataset.class_names[one]) for one in candidates.classes]
    about = regions.describe() if isinstance(regions, RegionStore) else None
    extra = json.loads(json.dumps(dict(dataset.extra), default=str))  # noqa: TID251 (just written)
    # Methods may read these besides arrays, and records show them: if their text changes, so does the run.
    # What a region store is called, and the file it was made from, change nothing.
    described = {
        "class_names": list(map(str, dataset.class_names)),
        "attribute_names": list(map(str, dataset.attribute_names or ())),
        "regions": about and {key: one for key, one in about.items() if key not in ("name", "source")},
        "extra": extra,
    }
    return {
        "dataset": dataset.name,
        "features": dataset.features_name,
        "finetuned": dataset.finetuned,
        "semantics": dataset.semantics_name,
        "regions": about and about | {"verified": verified},
        "images": len(dataset.labels),
        "classes": len(dataset.class_names),
        "described": {name: run_id({name: one}) for name, one in described.items() if one},
        "unseen_classes": len(names),
        "classes_without_images": len(untested_classes(dataset)),
        "candidates": candidates.name,
        "candidates_digest": run_id({"names": names}),
        "split_fingerprint": split_fingerprint(dataset.split),
        "validation_fingerprint": split and split.fingerprint(),
        "validation_note": note,
        "arrays": [
            {"array": one.array, "file": one.file, "sha256": one.sha256} for one in arrays(dataset, verified)
        ],
        "extra": extra,
    }


class DatasetCache:
    """The data sets of several runs, one in memory at a time, with and without region features.

    Args:
        root: as ``--data-root``.
        say: called once with each note about a data set.
        check: as for :func:`load_dataset`.
    """

    def __init__(
        self, root: str | Path | None, say: Callable[[str], None], check: StoreCheck = "later"
    ) -> None:
        self._root, self._say, self._check = root, say, check
        self._loaded: dict[tuple[str, str], tuple[Dataset, dict[str, Any]]] = {}
        self._noted: set[tuple[str, str]] = set()

    def load(
        self, recipe: Recipe, files: DataFiles, named: Collection[str] = ("regions", "images")
    ) -> tuple[Dataset, dict[str, Any]]:
        """The recipe's data set and its provenance; errors as for :func:`load_dataset`.

        Args:
            named: which of ``files`` were named for this recipe, so that they must be read.

        Raises:
            SettingsError: a file that was named for the recipe is not read.
            ZslbenchError: the recipe's components do not fit together; known before data are read.
        """
        require_fitting_parts(recipe)
        part, needs = recipe.parts["dataset"], embedding_needs(recipe)
        key = part.name, json.dumps([part.values(), needs, asdict(files)], sort_keys=True)
        kept = self._loaded.get(key)
        if kept and isinstance(kept[0].regions, RegionStore) and not kept[0].regions.is_unchanged:
            kept = None
        if kept is None:
            self._loaded = {one: found for one, found in self._loaded.items() if one[0] == key[0]}
            if key not in self._noted and (note := shadowed_note(part.registered, self._root)):
                self._say(note)  # before any error about missing files of the folder
            dataset = load_dataset(part, files, root=self._root, check=self._check, **needs)
            if self._check == "never" and isinstance(dataset.regions, RegionStore):
                text = f"{dataset.regions.path} was not compared with its digests: runs are marked unverified"
                dataset = replace(dataset, notes=(*dataset.notes, text))
            if key not in self._noted:
                self._noted.add(key)
                for note in dataset.notes:
                    self._say(f"{part.name}: {note}")
            self._loaded[key] = (dataset, provenance(dataset, self._check != "never"))
        _refuse_unread(recipe, self._loaded[key][0], {name: getattr(files, name) for name in named})
        return self._loaded[key]


def _refuse_unread(recipe: Recipe, dataset: Dataset, files: Mapping[str, str | None]) -> None:
    embedding, inputs = recipe.parts["embedding"].name, embedding_inputs(recipe)
    reads = {
        "features": f"the features {dataset.features_name}",
        "regions": "region features",
        "images": "pictures",
    }
    advice = {
        ("features", "regions"): ", or give --features mean for their means",
        ("regions", "images"): ", or use a method on pictures; zslbench methods lists them",
    }
    for kind, path in files.items():
        means = kind == "regions" and inputs == "features" and dataset.features_name.endswith(" mean")
        if path is not None and kind != inputs and not means:
            raise SettingsError(
                f"--{kind} {path}: embedding '{embedding}' reads {reads[inputs]}, not {reads[kind]}; leave "
                f"--{kind} out{advice.get((inputs, kind), '')}"
            )


def preset_mismatches(recipe: Recipe, dataset: Dataset) -> list[str]:
    """One line for each preset in use that was tuned under other conditions than this run's.

    Conditions are data set, features, semantics, validation split, method, variant and reading. The settings
    may still be good, but nothing shows it.
    """
    if not recipe.tuned:
        return []
    here = {
        "method": recipe.method,
        "variant": recipe.variant or "none",
        "reading": recipe.reading.name if recipe.reading else "none",
        "data set": recipe.parts["dataset"].name,
        "features": dataset.features_name,
        "semantics": dataset.semantics_name,
        "validation split": provenance(dataset)["validation_fingerprint"],
    }
    lines = []
    for one in recipe.tuned:
        data = one["data"] if isinstance(one.get("data"), Mapping) else {}
        there = {
            **{name: one.get(name) for name in ("method", "variant", "reading")},
            "data set": one.get("dataset"),
            **{name: data.get(name) for name in ("features", "semantics")},
            "validation split": data.get("validation"),
        }
        differences = [
            f"{name} {there[name]}, not {value}"
            for name, value in here.items()
            if there[name] not in (None, value)
        ]
        if differences:
            lines.append(f"preset {one['preset']} was tuned for {'; '.join(differences)}")
    return lines
