"""Runs a backbone over a data set's images and writes a region store and the means over regions.

Three things happen at once: processes decode images ahead, the backbone computes a batch, and a thread
writes the previous one. Batches continue from the last checkpoint, so a command that was killed and is
repeated computes the same batches, and its store has the same bytes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from zslbench import __version__
from zslbench.data import (
    EXIF,
    Decoder,
    RegionStore,
    Resize,
    decoded_batches,
    few,
    files_digest,
    is_region_store,
    list_images,
)
from zslbench.errors import DataError, Interrupted, PluginError, SettingsError, ZslbenchError
from zslbench.experiment import ExecutionMode, applied
from zslbench.plugin import ComponentSettings, FeatureExtractor, plugin_code
from zslbench.store import checked_name, parse_json
from zslbench_data.exporting.xlsa17 import TAKEN, write_images
from zslbench_data.extraction.writer import ResumableWriter, differences
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import locked

CHECKPOINT_SECONDS = 10.0
"""Shortest time between checkpoints."""
MIXED = "float16 where autocast allows, else float32"
_GPU_BATCH, _CPU_BATCH, _MOST_WORKERS = 64, 8, 16


@dataclass(frozen=True)
class ExtractionOptions:
    """Options of an extraction."""

    backbone: str
    """Name of the extractor."""
    name: str | None = None
    """Name of the store and the features file; None: the backbone's."""
    dtype: Literal["float16", "float32"] = "float16"
    """The type that regions are stored in."""
    resize: Resize = "crop"
    precision: Literal["auto", "float32", "mixed"] = "auto"
    """auto: mixed on a GPU, float32 on a CPU."""
    batch: int | None = None
    """Images at a time; None: 64 on a GPU, 8 on a CPU."""
    workers: int | None = None
    """Processes that decode; None: up to 16 on a GPU, one on a CPU, none if there is only one core."""
    value_range: tuple[float, float] | None = None
    """Black and white of pictures of more than 8 bits whose files do not say; None: those are refused."""
    first_page: bool = False
    """Use the first page of TIFF files that have several."""
    restart: bool = False
    """Discard an unfinished extraction."""


@dataclass(frozen=True)
class Extracted:
    """The result of an extraction."""

    store: RegionStore
    features: Path
    """The file with the means over regions."""
    computed: int
    """Images that this call computed; the others were finished earlier."""
    seconds: float


def extract(
    folder: Path,
    extractor: FeatureExtractor,
    options: ExtractionOptions,
    mode: ExecutionMode,
    *,
    display: Display = SILENT,
    advice: str = "",
) -> Extracted:
    """Region features of a data set's images, in ``<folder>/regions/<name>`` and ``<folder>/<name>.mat``.

    Existing files are kept; an interrupted extraction is resumed.

    Args:
        folder: of the data set; its images are in ``images``.
        extractor: the backbone.
        advice: where to get images, for the message if some are missing.

    Raises:
        MissingData: images that the data set lists are missing.
        DataError: images cannot be read (all of them are listed), the store or the features file exists with
            other content, or the disk is full.
        Interrupted: it was stopped; the same call resumes it.
    """
    with applied(mode) as device, plugin_code(f"extractor '{options.backbone}'"):
        return _Extraction(folder, extractor, options, device, display, advice).run()


class _Extraction:
    def __init__(
        self,
        folder: Path,
        extractor: FeatureExtractor,
        options: ExtractionOptions,
        device: torch.device,
        display: Display,
        advice: str,
    ) -> None:
        self.extractor, self.options, self.device, self.display = extractor, options, device, display
        self.who, gpu = f"extractor '{options.backbone}'", device.type == "cuda"
        try:
            described = parse_json(json.dumps(dict(extractor.describe())))
        except (TypeError, ValueError) as error:
            raise PluginError(f"{self.who}: describe() must return plain data ({error})") from None
        backbone, grid = str(described.pop("name", None) or options.backbone), described.pop("grid", None)
        name = checked_name(options.name or backbone, "--name", taken=TAKEN)
        if not isinstance(extractor.image_size, int) or extractor.image_size < 1:
            raise PluginError(f"{self.who}: image_size is {extractor.image_size!r}, not a number of pixels")
        if options.precision == "mixed" and not gpu:
            raise SettingsError("--precision mixed needs a GPU; leave it out, or use float32")
        self.store, self.features = folder / "regions" / name, folder / f"{name}.mat"
        self.images = list_images(folder, advice)
        self.decoder = Decoder(
            extractor.image_size,
            options.resize,
            extractor.interpolation,
            options.value_range,
            options.first_page,
        )
        decoding: dict[str, Any] = {"value_range": options.value_range and list(options.value_range)}
        decoding |= {"first_page": options.first_page}
        self.mixed = gpu and options.precision != "float32"
        self.batch = options.batch or default_batch(gpu)
        self.workers = default_workers(gpu) if options.workers is None else options.workers
        # Everything that the values depend on; threads, batches and processes change only the last bits.
        settings = {
            **described,
            "image_size": self.decoder.size,
            "resize": self.decoder.resize,
            "interpolation": self.decoder.interpolation,
            "exif_orientation": EXIF,
            **{name: value for name, value in decoding.items() if value},
            "precision": MIXED if self.mixed else "float32",
            "device": device.type,
            "dtype": options.dtype,
            "images": {"count": len(self.images.paths), "sha256": files_digest(self.images, times=False)},
            "versions": {
                "zslbench": __version__,
                "torch": torch.__version__,
                "pillow": importlib.metadata.version("pillow"),
            },
        }
        self.provenance = {
            "source": f"images of {folder.name} as listed in {self.images.listed_in}",
            "backbone": backbone,
            "extractor": {"name": options.backbone, "settings": portable(extractor.settings)},
            "grid": grid,
            "simulated": False,
            "finetuned": False,
            "settings": settings,
        }

    def run(self) -> Extracted:
        with locked(self.store, "another process is extracting it"):
            began, computed = time.monotonic(), 0
            if self.store.exists():
                self._refuse_other_settings()
            elif self.features.exists():
                fault = "already exists and belongs to another extraction"
                raise DataError(self.features, [fault], "Pass another --name")
            else:
                computed = self._compute()
            store = RegionStore.open(self.store)
            if not self.features.exists():
                if not computed:
                    store.require_sound()
                names = self.images.names
                write_images(self.features, labels=store.labels, image_files=names, features=store.features)
        return Extracted(store, self.features, computed, time.monotonic() - began)

    def _refuse_other_settings(self) -> None:
        if not is_region_store(self.store):
            raise DataError(self.store, ["exists and is not a region store"], "Pass another --name")
        theirs = RegionStore.open(self.store).provenance.get("settings") or {}
        if other := differences(theirs, self.provenance["settings"]):
            fault = "already exists, with other settings: " + "; ".join(other)
            raise DataError(self.store, [fault], "Pass another --name, or delete it")
        written = (self.store / "store.json").stat().st_mtime_ns
        if newer := [path for path in self.images.paths if path.stat().st_mtime_ns > written]:
            text = f"note: {len(newer)} images were written after {self.store} ({few(newer)})"
            self.display.message(f"{text}; if they changed, delete the store and extract again")

    def _compute(self) -> int:
        """Write the store; returns the number of images computed."""
        size = self.decoder.size
        # One grey image shows the numbers of regions and channels.
        _, *shape = self.forward(torch.full((1, 3, size, size), 127, dtype=torch.uint8)).shape
        writer = ResumableWriter(
            self.store,
            (len(self.images.paths), shape[0], shape[1]),
            self.options.dtype,
            labels=self.images.labels,
            image_files=self.images.names,
            provenance=self.provenance,
            restart=self.options.restart,
            advice="Free some space, or put the data root on a larger disk",
        )
        try:
            with writer:
                first = writer.done
                if faults := self._batches(writer):
                    text = f"{len(faults)} images cannot be read"
                    advice = "Replace them and run the command again; finished images are saved"
                    raise DataError(self.store, [text, *faults], advice)
                return writer.done - first
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command resumes from here") from None
        except torch.OutOfMemoryError:
            raise ZslbenchError(
                f"out of GPU memory with a batch of {self.batch} images: pass --batch "
                f"{max(1, self.batch // 2)}; finished images are saved"
            ) from None

    def _batches(self, writer: ResumableWriter) -> list[str]:
        """Compute the missing batches. After an unreadable image the rest is only decoded, to find all."""
        first, gpu = writer.done, self.device.type == "cuda"
        paths = self.images.paths[first:]
        faults: list[str] = []
        writing: Future[None] | None = None
        self.saved = time.monotonic()
        decoded = decoded_batches(paths, self.decoder, size=self.batch, workers=self.workers, pin=gpu)
        task = self.display.task(f"{self.options.backbone} on {self.device.type}", first + len(paths), first)
        with task, contextlib.closing(decoded), ThreadPoolExecutor(1) as thread:
            remaining = iter(paths)
            for pixels, unreadable in decoded:
                batch = zip(unreadable, remaining, strict=False)  # ends with the batch
                faults += [f"{path} {fault}" for fault, path in batch if fault]
                if not faults:
                    regions = self.forward(pixels).to(getattr(torch, self.options.dtype)).contiguous()
                    regions = regions.to("cpu", non_blocking=True)
                    ready = torch.cuda.current_stream(self.device).record_event() if gpu else None
                    if writing is not None:
                        writing.result()
                    writing = thread.submit(self._write, writer, regions, ready)
                self.display.advance(len(pixels))
            if writing is not None:
                writing.result()
        return faults

    def _write(self, writer: ResumableWriter, regions: Tensor, ready: torch.cuda.Event | None) -> None:
        """Write a batch when ``ready`` has happened: then it has arrived from the GPU."""
        if ready is not None:
            ready.synchronize()
        writer.add(regions.numpy())
        if time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            writer.checkpoint()
            self.saved = time.monotonic()

    def forward(self, pixels: Tensor) -> Tensor:
        """The backbone on uint8 pixels (b, 3, h, w)."""
        return region_features(
            self.extractor, pixels.to(self.device, non_blocking=True), self.mixed, self.who
        )


def region_features(extractor: FeatureExtractor, pixels: Tensor, mixed: bool, who: str) -> Tensor:
    """Regions (b, regions, dv) of pictures, uint8 (b, 3, h, w), on their device.

    Args:
        mixed: in half precision where autocast allows it.
        who: names the extractor in the error.

    Raises:
        PluginError: the extractor returns something of another shape.
    """
    images = pixels.to(torch.float32).div_(255)
    with torch.no_grad(), torch.autocast(pixels.device.type, torch.float16, enabled=mixed):
        found = extractor.extract(images)
    if found.ndim != 3 or len(found) != len(images):
        text = f"extract returns {tuple(found.shape)} for {len(images)} images, not (b, regions, dv)"
        raise PluginError(f"{who}: {text}")
    return found


def portable(settings: Any) -> dict[str, Any]:
    """An extractor's settings without those that name files of this machine."""
    values = settings.flat() if isinstance(settings, ComponentSettings) else {}
    return {
        name: value
        for name, value in values.items()
        if not (isinstance(value, str) and Path(value).expanduser().exists())
    }


def default_batch(gpu: bool) -> int:
    """Images at a time."""
    return _GPU_BATCH if gpu else _CPU_BATCH


def default_workers(gpu: bool) -> int:
    """Processes that decode: all cores for a GPU; on a CPU one, which is faster than the backbone."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores if gpu else cores - 1, _MOST_WORKERS if gpu else 1)
