"""A backbone without weights, and an extraction with it as a process of its own that may be killed.

    python blocks.py ZOO MOMENT

MOMENT: ``batch-4`` (in the fourth batch of this process), ``index`` (while the finished store is
put together) or ``features`` (when the store is in place, before the features file).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from zslbench.data.regions import writer
from zslbench.experiment.job import ExecutionMode
from zslbench.plugin.interfaces import FeatureExtractor
from zslbench_data.extraction import engine
from zslbench_data.extraction.engine import ExtractionOptions, extract


class Blocks(FeatureExtractor):
    """The mean colour of each of 4 x 4 blocks, and its square."""

    image_size = 16

    def __init__(self, settings: Any = None, factor: float = 1.0) -> None:
        super().__init__(settings)
        self.factor, self.calls = factor, 0

    def extract(self, images: Tensor) -> Tensor:
        self.calls += 1
        means = images.unflatten(3, (4, 4)).unflatten(2, (4, 4)).mean(dim=(3, 5)).flatten(2).transpose(1, 2)
        return (self.factor * means).repeat(1, 1, 2) ** 2

    def describe(self) -> dict[str, Any]:
        return {"name": "blocks", "grid": [4, 4], "factor": self.factor}


CPU = ExecutionMode("cpu", threads=1)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, moment: str) -> None:
    engine.CHECKPOINT_SECONDS = 0
    extractor = Blocks()
    if moment.startswith("batch-"):
        last, own = int(moment.removeprefix("batch-")), extractor.extract

        def extract_or_die(images: Tensor) -> Tensor:
            if extractor.calls > last:  # the first call learns the shape
                die()
            return own(images)

        extractor.extract = extract_or_die  # type: ignore[method-assign]
    elif moment == "index":
        whole = writer.write_synced

        def write_and_die(path: Path, data: bytes) -> None:
            whole(path, data)
            die()

        writer.write_synced = write_and_die
    elif moment == "features":
        engine.write_images = die  # type: ignore[assignment]
    extract(folder, extractor, ExtractionOptions("blocks", batch=5, workers=0), CPU)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
