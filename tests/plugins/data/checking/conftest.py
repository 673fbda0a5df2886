"""A sound data set with everything that can be checked, for tests to damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.data import RegionWriter

CLASSES = ("ant", "bee", "big cat", "dog", "eel")
EACH, WIDTH = 8, 6
NAMES = ("color red", "color blue", "shape red", "shape blue", "size red", "size blue")


def cells(names: list[str]) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


class Set:
    """The data set ``Zoo``; its variables can be changed and written again."""

    def __init__(self, root: Path) -> None:
        random = np.random.default_rng(4)
        self.folder = root / "Zoo"
        self.folder.mkdir(parents=True)
        self.labels = random.permutation(np.repeat(np.arange(5), EACH))
        place = {one: np.flatnonzero(self.labels == one) for one in range(5)}
        self.parts = {
            "trainval": np.concatenate([place[one][:6] for one in range(3)]),
            "test_seen": np.concatenate([place[one][6:] for one in range(3)]),
            "test_unseen": np.concatenate([place[3], place[4]]),
        }
        self.att = random.random((5, 6)) + 0.1
        self.regions = random.random((40, 4, WIDTH)).astype(np.float32)
        self.files = [f"x/{CLASSES[one].replace(' ', '_')}/{row}.jpg" for row, one in enumerate(self.labels)]
        words = {one: random.normal(size=9) for name in NAMES for one in name.split()}
        self.vectors = np.array([sum(words[one] for one in name.split()) for name in NAMES], np.float32)
        self.write()

    def write(self, stem: str = "res101", **changed: Any) -> None:
        """Splits, features, words and images."""
        rows = {f"{key}_loc": one[:, None] + 1 for key, one in self.parts.items()}
        splits = {"att": self.att.T, "allclasses_names": cells(list(CLASSES)), **rows}
        images = {
            "features": self.regions.mean(axis=1).T,
            "labels": self.labels[:, None] + 1,
            "image_files": cells(self.files),
        }
        splits |= {key: one for key, one in changed.items() if key not in images}
        images |= {key: one for key, one in changed.items() if key in images}
        scipy.io.savemat(self.folder / "att_splits.mat", splits)
        scipy.io.savemat(self.folder / f"{stem}.mat", images)
        (self.folder / "attribute_names.txt").write_text("\n".join(NAMES))
        np.save(self.folder / "attribute_vectors.npy", self.vectors)
        for one in self.files:
            picture = self.folder / "images" / one.removeprefix("x/")
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(f"picture {one}".encode())

    def store(self, name: str = "net", **changed: Any) -> Path:
        """A region store."""
        given = {"labels": self.labels, "files": self.files, "att": self.att.astype(np.float32)} | changed
        path = self.folder / "regions" / name
        with RegionWriter(
            path,
            self.regions.shape,
            "float32",
            labels=given["labels"],
            image_files=given["files"],
            companions={"att": given["att"]},
        ) as writer:
            writer.append(self.regions)
        return path

    def record(self, *names: str) -> None:
        """Record these files in ``sources.json``."""
        files = {
            one: {"sha256": hashlib.sha256((self.folder / one).read_bytes()).hexdigest()} for one in names
        }
        (self.folder / "sources.json").write_text(json.dumps({"archives": {}, "files": files}))


@pytest.fixture
def zoo(tmp_path: Path) -> Set:
    return Set(tmp_path / "data")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """``zslbench data check zoo``: the exit status, and texts by severity (``where: what (count)``)."""

    def call(*arguments: str, name: str = "zoo", status: int | None = None) -> dict[str, list[str]]:
        words = ["data", "check", name, *arguments, "--data-root", str(tmp_path / "data"), "--format", "json"]
        result = CliRunner().invoke(cli, words)
        assert result.stdout, result.stderr
        rows = json.loads(result.stdout)
        found: dict[str, list[str]] = {"error": [], "warning": [], "ok": []}
        for row in rows:
            found[row["severity"]].append(f"{row['where']}: {row['what']} ({row['count']})")
        expected = int(bool(found["error"])) if status is None else status
        assert result.exit_code == expected, result.stderr
        return found

    return call
