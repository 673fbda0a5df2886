"""``zslbench data extract`` against the bare forward loop. Writes benchmarks/results/extraction.md.

    python -m benchmarks.extraction

Both go over the same JPEGs' worth of work with the same backbone, device, threads and batches. The bare loop runs
the backbone on one batch of decoded pictures again and again: it decodes nothing and writes nothing. They take
turns, so that other work on the machine hits both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
import transformers
from PIL import Image

from zslbench.data.extraction import Wanted, extract
from zslbench.execution.mode import ExecutionMode, applied, choose_mode
from zslbench.report.formats import render
from zslbench_extractors.resnet import ResNet101
from zslbench_extractors.settings import ResNetSettings, VisionSettings
from zslbench_extractors.vision import VisionModel

RESULTS = Path(__file__).parent / "results"
CLASSES = 4
PICTURE = 500, 375
"""Width and height of the JPEGs, as most of CUB and ImageNet."""


def save_model(folder: Path, model: Any, size: int) -> Path:
    """A randomly initialised model with the files that the extractor reads."""
    model.save_pretrained(folder)
    processing = {"size": size, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processing))
    return folder


def write_pictures(folder: Path, count: int) -> None:
    """A data set of JPEGs with the detail of photographs: noise of several scales."""
    random = np.random.default_rng(0)
    for number in range(count):
        layers = [
            np.asarray(
                Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(PICTURE),
                float,
            )
            for side in (4, 16, 64, 256)
        ]
        place = folder / "images" / f"class_{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.mean(layers, axis=0).astype(np.uint8)).save(
            place / f"{number:05d}.jpg", quality=90
        )
    names = np.empty((CLASSES, 1), dtype=object)
    names[:, 0] = [f"class_{one}" for one in range(CLASSES)]
    each = count // CLASSES  # sorted by folder: rows of one class follow one another
    rows = 1 + np.arange(count).reshape(CLASSES, each)
    parts = {"trainval_loc": rows[:3, 1:], "test_seen_loc": rows[:3, :1], "test_unseen_loc": rows[3:]}
    splits = {key: one.reshape(-1, 1) for key, one in parts.items()}
    att = np.eye(CLASSES) + 0.1
    scipy.io.savemat(folder / "att_splits.mat", {"att": att, "allclasses_names": names, **splits})


def bare(extractor: Any, mode: ExecutionMode, count: int, batch: int) -> float:
    """Images per second of the backbone alone."""
    size = extractor.image_size
    with applied(mode) as device:
        images = torch.rand((batch, 3, size, size), device=device)
        mixed = device.type == "cuda"
        begin = time.perf_counter()
        for start in range(0, count, batch):
            with torch.no_grad(), torch.autocast(device.type, torch.float16, enabled=mixed):
                extractor.extract(images[: min(batch, count - start)])
        if mixed:
            torch.cuda.synchronize()
        return count / (time.perf_counter() - begin)


def whole(folder: Path, extractor: Any, mode: ExecutionMode, count: int, batch: int, **how: Any) -> float:
    """Images per second from JPEGs to a finished store and features file."""
    begin = time.perf_counter()
    made = extract(folder, extractor, Wanted("benchmark", name="made", batch=batch, **how), mode)
    seconds = time.perf_counter() - begin
    assert made.computed == count
    shutil.rmtree(folder / "regions")
    made.features.unlink()
    return count / seconds


def backbones(folder: Path) -> dict[str, tuple[Callable[[], Any], int]]:
    """Extractors of real shape with random weights, and the share of pictures that each is given."""
    small = transformers.ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
    vit = save_model(folder / "vit-s", transformers.ViTModel(small), 224)
    resnet = save_model(folder / "resnet-50", transformers.ResNetModel(transformers.ResNetConfig()), 224)
    deep = transformers.ResNetModel(transformers.ResNetConfig(depths=[3, 4, 23, 3]))
    large = save_model(folder / "resnet-101", deep, 224)
    return {
        "ViT-S/16, 224 px": (lambda: VisionModel(VisionSettings(model=str(vit))), 1),
        "ResNet-50, 224 px": (lambda: VisionModel(VisionSettings(model=str(resnet))), 1),
        "ResNet-101, 448 px": (lambda: ResNet101(ResNetSettings(weights=str(large))), 6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--note", default="", help="a sentence about the machine for the result file")
    given = parser.parse_args()
    mode = choose_mode(given.device, None if given.device == "cuda" else given.threads)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, (make, share) in backbones(Path(scratch) / "models").items():
            count = given.pictures // share // CLASSES * CLASSES
            folder = Path(scratch) / f"data-{count}" / "Pictures"
            if not folder.exists():
                folder.mkdir(parents=True)
                write_pictures(folder, count)
            extractor = make()
            bare(extractor, mode, given.batch, given.batch)  # memory is had, kernels are chosen
            pairs = [
                (
                    bare(extractor, mode, count, given.batch),
                    whole(folder, extractor, mode, count, given.batch),
                )
                for _ in range(given.repeats)
            ]
            ours, theirs = (statistics.median(one[side] for one in pairs) for side in (1, 0))
            rows.append(
                {
                    "backbone": name,
                    "pictures": count,
                    "bare loop, images/s": f"{theirs:.2f}",
                    "extract, images/s": f"{ours:.2f}",
                    "ratio of medians": f"{ours / theirs:.3f}",
                    "ratios of pairs": ", ".join(f"{b / a:.2f}" for a, b in pairs),
                }
            )
            print(rows[-1], flush=True)  # noqa: T201
    write(rows, given, mode)


def write(rows: list[dict[str, Any]], given: argparse.Namespace, mode: ExecutionMode) -> None:
    cores = len(os.sched_getaffinity(0))
    where = (
        torch.cuda.get_device_name() if mode.device == "cuda" else f"torch on {mode.threads} thread, no GPU"
    )
    command = (
        f"python -m benchmarks.extraction --pictures {given.pictures} --repeats {given.repeats} "
        f"--batch {given.batch} --threads {given.threads}"
    )
    text = f"""# Extraction against the bare forward loop

`{command}`

Pictures are JPEGs of {PICTURE[0]} x {PICTURE[1]} pixels, weights random, regions float16. *extract* is everything
that `zslbench data extract` does from files to a finished region store and features file, start of its decoding
process included; *bare loop* is the same backbone on decoded pictures, with nothing around it. Medians of
{given.repeats} turns, one of each in every turn.

Hardware: {processor()}, {cores} cores, {where}. {given.note}
Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, Pillow {version("pillow")}.

{render(rows, "markdown")}
"""
    (RESULTS / "extraction.md").write_text(text, encoding="utf-8")


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (one.partition(": ")[2] for one in lines if one.startswith("model name")), platform.processor()
    )


def version(package: str) -> str:
    import importlib.metadata

    return importlib.metadata.version(package)


if __name__ == "__main__":
    main()
