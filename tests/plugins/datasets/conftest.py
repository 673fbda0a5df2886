"""Official folders with stand-in features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io


@pytest.fixture
def with_features(real_data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A data root with one official data set whose ``res101.mat`` holds two random features per image."""

    def build(folder: str) -> Path:
        target = tmp_path / folder
        target.mkdir()
        for path in (real_data / "xlsa17" / folder).iterdir():
            (target / path.name).symlink_to(path)
        labels = scipy.io.loadmat(target / "labels.mat", variable_names=["labels"])["labels"]
        features = np.random.default_rng(0).random((2, len(labels)), dtype=np.float32)
        scipy.io.savemat(target / "res101.mat", {"features": features, "labels": labels})
        return tmp_path

    return build
