"""``zslbench data extract`` compared with the bare forward loop. Writes benchmarks/results/extraction.md.

    python -m benchmarks.extraction

Both process the same number of images with the same backbone, device, threads and batches. The bare loop
runs the backbone on one batch of decoded images again and again: it decodes nothing and writes nothing.
Images per second are those of the computing thread's processor time, which hardly depends on other work: the
speed, and the ratio, if a core is free to decode.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
import transformers
from PIL import Image

from benchmarks.common import RESULTS, interleaved, processor, write_page
from zslbench.experiment import ExecutionMode, applied, choose_mode
from zslbench.plugin import FeatureExtractor
from zslbench.report import render
from zslbench_data.extraction.engine import ExtractionOptions, extract
from zslbench_extractors.lite0 import EfficientNetLite0
from zslbench_extractors.settings import EfficientNetLiteSettings, VisionSettings
from zslbench_extractors.vision import VisionModel

ABOUT = """\
*extract* is all of `zslbench data extract`, from files to a finished region store and features file, with the
start of its decoding process; *bare loop* is the same backbone on decoded images, with nothing around it.
Images per second and the last column are in processor time of the computing thread, the other ratios in
elapsed time. The start counts more for a fast backbone and few pictures."""
CLASSES = 4
PICTURE = 500, 375
"""Width and height of the JPEGs, typical of CUB and ImageNet."""


def write_pictures(folder: Path, count: int) -> None:
    """Write a data set of JPEGs with detail at several scales, as photographs have."""
    random = np.random.default_rng(0)
    for number in range(count):
        noise = [random.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (4, 16, 64, 256)]
        mixed = np.mean([np.asarray(Image.fromarray(one).resize(PICTURE)) for one in noise], axis=0)
        place = folder / "images" / f"class_{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mixed.astype(np.uint8)).save(place / f"{number:05d}.jpg", quality=90)
    names = np.empty((CLASSES, 1), dtype=object)
    names[:, 0] = [f"class_{one}" for one in range(CLASSES)]
    rows = 1 + np.arange(count).reshape(CLASSES, count // CLASSES)  # images are sorted by folder
    split = {
        "att": np.eye(CLASSES) + 0.1,
        "allclasses_names": names,
        "trainval_loc": rows[:3, 1:].reshape(-1, 1),
        "test_seen_loc": rows[:3, :1],
        "test_unseen_loc": rows[3:].T,
    }
    scipy.io.savemat(folder / "att_splits.mat", split)


def backbones(folder: Path) -> dict[str, FeatureExtractor]:
    """Extractors of real architectures; all but EfficientNet-Lite0 have random weights."""
    small = transformers.ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
    models: dict[str, Any] = {
        "ViT-S/16": transformers.ViTModel(small),
        "ResNet-50": transformers.ResNetModel(transformers.ResNetConfig()),
    }
    processing = {"size": 224, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    made: dict[str, FeatureExtractor] = {
        "EfficientNet-Lite0, 224 px": EfficientNetLite0(EfficientNetLiteSettings())
    }
    for name, model in models.items():
        place = folder / name.partition("/")[0]
        model.save_pretrained(place)
        (place / "preprocessor_config.json").write_text(json.dumps(processing))
        made[f"{name}, 224 px"] = VisionModel(VisionSettings(model=str(place)))
    return made


def bare(extractor: FeatureExtractor, mode: ExecutionMode, count: int, batch: int) -> None:
    """The backbone alone."""
    size = extractor.image_size
    with applied(mode) as device:
        images = torch.rand((batch, 3, size, size), device=device)
        for start in range(0, count, batch):
            with torch.no_grad(), torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
                extractor.extract(images[: min(batch, count - start)])


def whole(folder: Path, extractor: FeatureExtractor, mode: ExecutionMode, count: int, batch: int) -> None:
    """From JPEGs to a finished store and features file."""
    made = extract(folder, extractor, ExtractionOptions("benchmark", name="made", batch=batch), mode)
    assert made.computed == count
    shutil.rmtree(folder / "regions")
    made.features.unlink()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    mode = choose_mode(given.device, None if given.device == "cuda" else given.threads)
    count = given.pictures // CLASSES * CLASSES
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "Pictures"
        write_pictures(folder, count)
        for name, extractor in backbones(Path(scratch) / "models").items():
            calls = {
                "bare": partial(bare, extractor, mode, count, given.batch),
                "extract": partial(whole, folder, extractor, mode, count, given.batch),
            }
            times = interleaved(calls, given.repeats, device=torch.device(mode.device))
            loop, ours = times["bare"], times["extract"]
            turns = zip(loop.seconds, ours.seconds, strict=True)
            own, all_of_it = (statistics.median(one.processor_seconds) for one in (loop, ours))
            rows.append(
                {
                    "backbone": name,
                    "bare loop, images per second": f"{count / own:.1f}",
                    "extract, images per second": f"{count / all_of_it:.1f}",
                    "ratio": f"{loop.median / ours.median:.3f}",
                    "ratio of each turn": ", ".join(f"{one / other:.2f}" for one, other in turns),
                    "ratio in processor time": f"{own / all_of_it:.3f}",
                }
            )
    gpu = mode.device == "cuda"
    where = torch.cuda.get_device_name() if gpu else f"torch on {mode.threads} thread, no GPU"
    versions = ", ".join(f"{one} {version(one)}" for one in ("torch", "transformers", "pillow"))
    write_page(
        RESULTS / "extraction.md",
        "Extraction compared with the bare forward loop",
        f"Regenerate with `python -m benchmarks.extraction --pictures {count} --repeats {given.repeats} "
        f"--batch {given.batch} --threads {given.threads}`.",
        f"{count} JPEGs of {PICTURE[0]} x {PICTURE[1]} pixels (simulated), regions float16. "
        f"Medians of {given.repeats} turns.\n{ABOUT}",
        f"Hardware: {processor()}, {len(os.sched_getaffinity(0))} cores, {where}.\n"
        f"Python {platform.python_version()}, {versions}.",
        render(rows, "markdown"),
    )


if __name__ == "__main__":
    main()
