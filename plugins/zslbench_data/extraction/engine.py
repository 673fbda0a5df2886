"""Runs a backbone over a data set's pictures and writes a region store and pooled features.

Three things go on at once: processes decode pictures ahead, the backbone works on a batch, and a thread
writes the one before it. Batches follow one another from where the last checkpoint ended, so a command that
was killed and is given again computes the same batches, and its store has the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from zslbench.data import RegionStore, is_region_store
from zslbench.errors import DataError, Interrupted, PluginError, ZslbenchError
from zslbench.experiment import ExecutionMode, applied
from zslbench.plugin import FeatureExtractor
from zslbench_data.download.display import Display, Silent
from zslbench_data.extraction import plan
from zslbench_data.extraction.images import Pictures, pictures_of
from zslbench_data.extraction.loading import batches
from zslbench_data.extraction.pooled import features_file, write_features
from zslbench_data.extraction.resumable import ResumableWriter
from zslbench_data.extraction.writing import Writing

REGIONS = "regions"
"""Folder of a data set's region stores."""
CHECKPOINT_SECONDS = 10.0
"""Least time between checkpoints."""
_GPU_BATCH, _CPU_BATCH, _MOST_WORKERS = 64, 8, 16


@dataclass(frozen=True)
class Extracted:
    """What an extraction has made."""

    store: RegionStore
    features: Path
    """The file with the means over regions."""
    computed: int
    """Images that this call computed; the others were there."""
    seconds: float


def extract(
    folder: Path,
    extractor: FeatureExtractor,
    wanted: plan.Wanted,
    mode: ExecutionMode,
    *,
    display: Display | None = None,
    advice: str = "",
) -> Extracted:
    """Region features of a data set's pictures, in ``<folder>/regions/<name>``, and ``<folder>/<name>.mat``.

    What is there already is left alone; what was interrupted goes on.

    Args:
        folder: of the data set; its pictures lie in ``images``.
        extractor: the backbone.
        advice: where to get pictures, for the message when some are missing.

    Raises:
        MissingData: pictures that the data set lists are not there.
        DataError: pictures cannot be read (all of them are listed), the store or the features file is there
            with other contents, the disk is full.
        Interrupted: it was stopped; the same call goes on.
    """
    display = display or Silent()
    name = plan.store_name(wanted, extractor)
    path = folder / REGIONS / name
    pictures = pictures_of(folder, advice)
    with applied(mode) as device:
        pixels = plan.pixels_for(extractor, wanted)
        settings = plan.settings_of(extractor, wanted, pixels, pictures, device)
        provenance = plan.provenance_of(extractor, wanted, folder.name, pictures, settings)
        with _alone(path):
            began = time.monotonic()
            computed = 0
            if path.exists():
                _same_or_refuse(path, settings)
            else:
                _refuse_to_replace(features_file(folder, name))
                run = _Run(extractor, wanted, pictures, pixels, device, display)
                computed = run.into(path, provenance)
            store = RegionStore.open(path)
            file = write_features(folder, name, store, pictures)
    return Extracted(store, file, computed, time.monotonic() - began)


class _Run:
    """One extraction."""

    def __init__(
        self,
        extractor: FeatureExtractor,
        wanted: plan.Wanted,
        pictures: Pictures,
        pixels: Any,
        device: torch.device,
        display: Display,
    ) -> None:
        self.extractor, self.wanted, self.pictures, self.pixels = extractor, wanted, pictures, pixels
        self.paths = pictures.paths
        self.device, self.display = device, display
        self.mixed = plan.mixed_precision(wanted, device)
        gpu = device.type == "cuda"
        self.batch = wanted.batch or (_GPU_BATCH if gpu else _CPU_BATCH)
        self.workers = default_workers(gpu) if wanted.workers is None else wanted.workers
        self.stored = torch.float16 if wanted.dtype == "float16" else torch.float32

    def into(self, path: Path, provenance: dict[str, Any]) -> int:
        """Write the store; gives how many images were computed."""
        shape = self._shape()
        writer = ResumableWriter(
            path,
            (len(self.paths), *shape),
            self.wanted.dtype,
            labels=self.pictures.labels,
            names=self.pictures.names,
            provenance=provenance,
            restart=self.wanted.restart,
            advice="Free some, or put the data root on a larger disk",
        )
        try:
            with writer:
                first = writer.done
                faults = self._all(writer)
                if faults:
                    raise DataError(
                        path,
                        [f"{len(faults)} pictures cannot be read", *faults],
                        "Replace them and give the same command: what is done is kept",
                    )
                return writer.done - first
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command goes on from here") from None
        except torch.OutOfMemoryError:
            raise ZslbenchError(
                f"the GPU has too little memory for {self.batch} pictures at a time: pass --batch "
                f"{max(1, self.batch // 2)}; what is done is kept"
            ) from None

    def _all(self, writer: ResumableWriter) -> list[str]:
        """Every batch that is not there yet. After a picture that cannot be read the rest is only decoded."""
        total, first = len(self.paths), writer.done
        faults: list[str] = []
        told = time.monotonic()
        self.display.begin(f"{self.wanted.backbone} on {self.device.type}", total, first)
        decoded = batches(
            self.paths,
            self.pixels,
            first=first,
            size=self.batch,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        try:
            with contextlib.closing(decoded), Writing(writer) as writing:
                for batch in decoded:
                    faults += [f"{self.paths[row]} {fault}" for row, fault in batch.faults]
                    if not faults:
                        writing.add(*self._regions(batch.pixels))
                        if time.monotonic() - told >= CHECKPOINT_SECONDS:
                            told = time.monotonic()
                            writing.checkpoint()
                    self.display.advance(batch.count)
        finally:
            self.display.end()
        return faults

    def _regions(self, pixels: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        """Regions of a batch in the stored type; on a GPU they are on their way until the event."""
        found = self.forward(pixels).to(self.stored).contiguous()
        if self.device.type != "cuda":
            return found, None
        here = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
        here.copy_(found, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return here, event

    def forward(self, pixels: Tensor) -> Tensor:
        """The backbone on uint8 pixels (b, 3, h, w)."""
        images = pixels.to(self.device, non_blocking=True).to(torch.float32).div_(255)
        with torch.no_grad(), torch.autocast(self.device.type, torch.float16, enabled=self.mixed):
            found = self.extractor.extract(images)
        if found.ndim != 3 or len(found) != len(images):
            raise PluginError(
                f"extractor '{self.wanted.backbone}': extract gives {tuple(found.shape)} for {len(images)} "
                "images, not (b, regions, dv)"
            )
        return found

    def _shape(self) -> tuple[int, int]:
        """Regions and channels: what the backbone makes of one grey picture."""
        size = self.pixels.size
        _, regions, channels = self.forward(torch.full((1, 3, size, size), 127, dtype=torch.uint8)).shape
        return regions, channels


def default_workers(gpu: bool) -> int:
    """Processes that decode: all cores feed a GPU; a CPU computes more slowly than one process decodes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores if gpu else cores - 1, _MOST_WORKERS if gpu else 1)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of several processes one writes this store."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise DataError(path, ["another process is extracting it"]) from None
    except OSError as error:
        raise DataError(path, [f"cannot be written ({error.strerror or error})"]) from None


def _same_or_refuse(path: Path, settings: dict[str, Any]) -> None:
    if not is_region_store(path):
        raise DataError(path, ["is there and is no region store"], "Pass another --name")
    theirs = RegionStore.open(path).provenance.get("settings") or {}
    other = plan.differences(theirs, settings)
    if other:
        raise DataError(
            path,
            ["is there already, with other settings: " + "; ".join(other)],
            "Pass another --name, or delete it",
        )


def _refuse_to_replace(file: Path) -> None:
    if file.exists():
        raise DataError(file, ["is there already and is not of this extraction"], "Pass another --name")
