"""A custom set's files: images in sub-folders, arrays, CSV files. Seven classes of six images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from zslbench.cli.main import cli

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")
"""Not in the order of the attribute table."""
ORDER = ("gnu", "bee", "ant", "dog", "cat", "fox", "eel")
UNSEEN = ("cat", "fox")
EACH, ATTRIBUTES, WIDTH = 6, 4, 5


@dataclass
class Files:
    """Paths, and the truth that they hold, by image name."""

    folder: Path
    names: list[str]
    """Images as ``class/k.png``, in the order of the arrays (shuffled)."""
    part: dict[str, str]
    values: dict[str, np.ndarray]
    """Attributes of classes."""
    features: np.ndarray
    regions: np.ndarray

    def csv(self, name: str, lines: list[str]) -> Path:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    random = np.random.default_rng(2)
    folder = tmp_path / "theirs"
    names = [f"{one}/{k}.png" for one in CLASSES for k in range(EACH)]
    names = [names[k] for k in random.permutation(len(names))]
    part = {}
    for one in names:
        owner, _, k = one.partition("/")
        part[one] = "test_unseen" if owner in UNSEEN else "test_seen" if k[0] in "04" else "trainval"
        picture = folder / "photos" / one
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(f"picture {one}".encode())
    values = {one: random.integers(1, 9, ATTRIBUTES) / 4 for one in ORDER}
    made = Files(
        folder,
        names,
        part,
        values,
        random.normal(size=(len(names), WIDTH)).astype(np.float32),
        random.random((len(names), 3, 6)).astype(np.float32),
    )
    header = "name," + ",".join(f"has part::{one}" for one in range(ATTRIBUTES))
    made.csv("attributes.csv", [header, *(f"{one},{','.join(map(str, values[one]))}" for one in ORDER)])
    made.csv("images.csv", ["image,part", *(f"{one},{part[one]}" for one in names)])
    made.csv("rows.csv", ["row,class,part", *(f"{k},{one[:3]},{part[one]}" for k, one in enumerate(names))])
    sides = [f"{one},{'unseen' if one in UNSEEN else 'seen'},{int(one == 'dog')}" for one in CLASSES]
    made.csv("classes.csv", ["Class,Part,Val", *sides])
    made.csv("labels.csv", ["class", *(one[:3] for one in names)])
    np.save(folder / "own.npy", made.features)
    np.save(folder / "grid.npy", made.regions)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(root: Path) -> Callable[..., Result]:
    """``zslbench data import ...`` with this root."""

    def call(*arguments: object) -> Result:
        words = ["data", "import", *map(str, arguments), "--data-root", str(root)]
        return CliRunner().invoke(cli, words)

    return call
