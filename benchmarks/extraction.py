"""``zslbench data extract`` against the bare forward loop. Writes benchmarks/results/extraction.md.

    python -m benchmarks.extraction

Both go over as many pictures with the same backbone, device, threads and batches. The bare loop runs the
backbone on one batch of decoded pictures again and again: it decodes nothing and writes nothing. They take
turns, so that other work on the machine hits both alike. The same is told of the processor time of the thread
that computes, which other work hardly changes: what the ratio comes to where a core is free to decode.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
import transformers
from PIL import Image

from zslbench.experiment import ExecutionMode, applied, choose_mode
from zslbench.plugin import FeatureExtractor
from zslbench.report import render
from zslbench_data.extraction import Options, extract
from zslbench_extractors.settings import VisionSettings
from zslbench_extractors.vision import VisionModel

RESULTS = Path(__file__).parent / "results"
CLASSES = 4
PICTURE = 500, 375
"""Width and height of the JPEGs, as of most pictures of CUB and ImageNet."""


def save_model(folder: Path, model: Any, size: int) -> Path:
    """A randomly initialised model with the files that the extractor reads."""
    model.save_pretrained(folder)
    processing = {"size": size, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processing))
    return folder


def write_pictures(folder: Path, count: int) -> None:
    """A data set of JPEGs with detail of several scales, as photographs have."""
    random = np.random.default_rng(0)
    for number in range(count):
        noise = [random.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (4, 16, 64, 256)]
        mixed = np.mean([np.asarray(Image.fromarray(one).resize(PICTURE)) for one in noise], axis=0)
        place = folder / "images" / f"class_{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mixed.astype(np.uint8)).save(place / f"{number:05d}.jpg", quality=90)
    names = np.empty((CLASSES, 1), dtype=object)
    names[:, 0] = [f"class_{one}" for one in range(CLASSES)]
    rows = 1 + np.arange(count).reshape(CLASSES, count // CLASSES)  # pictures are sorted by their folders
    parts = {"trainval_loc": rows[:3, 1:], "test_seen_loc": rows[:3, :1], "test_unseen_loc": rows[3:]}
    splits = {key: one.reshape(-1, 1) for key, one in parts.items()}
    att = np.eye(CLASSES) + 0.1
    scipy.io.savemat(folder / "att_splits.mat", {"att": att, "allclasses_names": names, **splits})


def backbones(folder: Path) -> dict[str, FeatureExtractor]:
    """Extractors of real shape with random weights."""
    small = transformers.ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
    vit = save_model(folder / "vit-s", transformers.ViTModel(small), 224)
    resnet = save_model(folder / "resnet-50", transformers.ResNetModel(transformers.ResNetConfig()), 224)
    return {
        "ViT-S/16, 224 px": VisionModel(VisionSettings(model=str(vit))),
        "ResNet-50, 224 px": VisionModel(VisionSettings(model=str(resnet))),
    }


class Stopwatch:
    """Seconds since it was made, and of them those that this thread had the processor."""

    def __init__(self) -> None:
        self._begin = time.perf_counter(), time.thread_time()

    def rates(self, count: int) -> tuple[float, float]:
        """Images per second, and per second of the thread."""
        now = time.perf_counter(), time.thread_time()
        return count / (now[0] - self._begin[0]), count / (now[1] - self._begin[1])


def bare(extractor: FeatureExtractor, mode: ExecutionMode, count: int, batch: int) -> tuple[float, float]:
    """Rates of the backbone alone."""
    size = extractor.image_size
    with applied(mode) as device:
        images = torch.rand((batch, 3, size, size), device=device)
        mixed = device.type == "cuda"
        watch = Stopwatch()
        for start in range(0, count, batch):
            with torch.no_grad(), torch.autocast(device.type, torch.float16, enabled=mixed):
                extractor.extract(images[: min(batch, count - start)])
        if mixed:
            torch.cuda.synchronize()
        return watch.rates(count)


def whole(
    folder: Path, extractor: FeatureExtractor, mode: ExecutionMode, count: int, batch: int
) -> tuple[float, float]:
    """Rates from JPEGs to a finished store and features file."""
    watch = Stopwatch()
    made = extract(folder, extractor, Options("benchmark", name="made", batch=batch), mode)
    rates = watch.rates(count)
    assert made.computed == count
    shutil.rmtree(folder / "regions")
    made.features.unlink()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--note", default="", help="a sentence about the machine, for the result file")
    given = parser.parse_args()
    mode = choose_mode(given.device, None if given.device == "cuda" else given.threads)
    count = given.pictures // CLASSES * CLASSES
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "Pictures"
        write_pictures(folder, count)
        for name, extractor in backbones(Path(scratch) / "models").items():
            bare(extractor, mode, given.batch, given.batch)  # memory is had, kernels are chosen
            pairs = []
            for _ in range(given.repeats):
                alone = bare(extractor, mode, count, given.batch)
                pairs.append((alone, whole(folder, extractor, mode, count, given.batch)))
            (alone, alone_cpu), (ours, ours_cpu) = (
                [statistics.median(one[side][kind] for one in pairs) for kind in (0, 1)] for side in (0, 1)
            )
            rows.append({
                "backbone": name,
                "bare loop, images/s": f"{alone:.2f}",
                "extract, images/s": f"{ours:.2f}",
                "ratio": f"{ours / alone:.3f}",
                "ratio of each turn": ", ".join(f"{b[0] / a[0]:.2f}" for a, b in pairs),
                "ratio in processor time": f"{ours_cpu / alone_cpu:.3f}",
            })  # fmt: skip
            print(rows[-1], flush=True)  # noqa: T201
    write(rows, given, mode, count)


def write(rows: list[dict[str, Any]], given: argparse.Namespace, mode: ExecutionMode, count: int) -> None:
    where = f"torch on {mode.threads} thread, no GPU"
    if mode.device == "cuda":
        where = torch.cuda.get_device_name()
    packages = ("torch", "transformers", "pillow")
    versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in packages)
    command = f"python -m benchmarks.extraction --pictures {count} --repeats {given.repeats}"
    command += f" --batch {given.batch} --threads {given.threads}"
    text = f"""# Extraction against the bare forward loop

Regenerate with `{command}`.

{count} JPEGs of {PICTURE[0]} x {PICTURE[1]} pixels (simulated), random weights, regions float16. *extract* is
everything that `zslbench data extract` does from files to a finished region store and features file, the
start of its decoding process included; *bare loop* is the same backbone on decoded pictures, with nothing
around it. Medians of {given.repeats} turns, one of each in every turn. The last column compares processor
time of the thread that computes instead of time passed.

Hardware: {processor()}, {len(os.sched_getaffinity(0))} cores, {where}. {given.note}
Python {platform.python_version()}, {versions}.

{render(rows, "markdown")}
"""
    (RESULTS / "extraction.md").write_text(text, encoding="utf-8")


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [one.partition(": ")[2] for one in lines if one.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
