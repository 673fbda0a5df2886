"""Pictures as a run's embedding reads them: through the extractor that the run's features came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslbench.data import (
    IMAGE_SUFFIXES,
    Decoder,
    RegionStore,
    as_float32,
    decoded_batches,
    files_below,
    mean_over_regions,
)
from zslbench.errors import MissingData, SettingsError, UnknownName, ZslbenchError
from zslbench.experiment import DataFiles, FittedRun, Notify, load_dataset
from zslbench_data import RecordedExtraction, default_batch, default_workers


class Pictures:
    """The pictures below a folder, or one picture, in the order of their names.

    Args:
        settings: of the extractor, such as ``{"extractor.weights": "FILE"}``; they override the recorded
        ones.

    Raises:
        MissingData: there are no pictures.
        ZslbenchError: the run's features did not come from pictures, or from another backbone.
    """

    key = "file"

    def __init__(
        self,
        run: FittedRun,
        path: Path,
        settings: Mapping[str, Any],
        batch: int | None,
        workers: int | None,
        notify: Notify,
    ) -> None:
        self._folder, self._files = _pictures(path.expanduser())
        gpu, self._run = run.device.type == "cuda", run
        self._batch = batch or default_batch(gpu)
        self._workers = default_workers(gpu) if workers is None else workers
        if foreign := [key for key in settings if not key.startswith("extractor.")]:
            raise SettingsError(f"--set {foreign[0]}: only settings of the extractor, named extractor.NAME")
        self._extraction: RecordedExtraction | None = None
        if run.embedding.inputs == "images":
            self._decoder = Decoder(run.embedding.image_size(run.embedding.settings))
            return
        values = {key.removeprefix("extractor."): value for key, value in settings.items()}
        self._extraction = RecordedExtraction(_store_of(run), values)
        self._decoder = self._extraction.decoder
        if (then := self._extraction.recorded.get("device", run.device.type)) != run.device.type:
            notify(
                f"the run's features were extracted on {then}, these are on {run.device.type}: they differ "
                "in the last digits"
            )

    def __iter__(self) -> Iterator[tuple[np.ndarray, Tensor, list[str]]]:
        """Image numbers, inputs of the embedding, and for each picture why it cannot be read, or an empty
        string."""
        paths, first = [self._folder / file for file in self._files], 0
        for pixels, faults in decoded_batches(paths, self._decoder, size=self._batch, workers=self._workers):
            yield np.arange(first, first + len(pixels)), self._inputs(pixels), list(faults)
            first += len(pixels)

    def _inputs(self, pixels: Tensor) -> Tensor:
        if self._extraction is None:
            return pixels
        stored = self._extraction.regions(pixels.to(self._run.device))
        of_regions = self._run.embedding.inputs == "regions"
        return torch.from_numpy(as_float32(stored, None) if of_regions else mean_over_regions(stored, None))

    def name(self, image: int) -> str:
        """The picture's path below the folder."""
        return self._files[image]


def _pictures(path: Path) -> tuple[Path, list[str]]:
    if path.is_file():
        return path.parent, [path.name]
    files = [file for file in files_below(path) if file.lower().endswith(IMAGE_SUFFIXES)]
    if not files:
        what = "no pictures here" if path.is_dir() else "no such folder or picture"
        raise MissingData(path, [what], f"Give a folder with files such as {', '.join(IMAGE_SUFFIXES[:3])}")
    return path, files


def _store_of(run: FittedRun) -> RegionStore:
    """The region store that the run's features were extracted into."""
    regions, name = run.dataset.regions, run.dataset.features_name
    if not isinstance(regions, RegionStore) and " " not in name:
        part, data = run.fitter.recipe.parts["dataset"], run.record.data
        try:
            files = DataFiles(data["features"], data["semantics"], name)
            regions = load_dataset(part, files, root=run.data_root).regions
        except (UnknownName, MissingData):
            regions = None
    of_regions = run.embedding.inputs == "regions"
    if isinstance(regions, RegionStore) and (
        of_regions or np.array_equal(regions.features, run.dataset.features)
    ):
        return regions
    what = "region features" if of_regions else f"features {name}"
    raise ZslbenchError(
        f"run {run.record.info.id}: its {what} did not come from zslbench data extract, so "
        "they cannot be computed from pictures; give --features FILE"
    )
