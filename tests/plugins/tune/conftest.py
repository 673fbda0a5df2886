"""Tiny searches on the toy data set."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zslbench

pytest.importorskip("optuna", reason="needs the extra tune")
sys.path.insert(0, str(Path(__file__).parent))  # for ``tiny``, which worker processes import too

from tiny import RATES, RIDGES, TOY, TRAINED

Tune = Callable[..., Any]


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """A search in the test's store: of ESZSL's regularisers, or (``trained``) of a tiny TF-VAEGAN's rate."""
    monkeypatch.setenv("ZSLBENCH_CHECKPOINT_SECONDS", "0")
    monkeypatch.delenv("ZSLBENCH_TRACK", raising=False)

    def search(*, trained: bool = False, store: str = "store", **options: Any) -> Any:
        more = options.pop("settings", {})
        own: dict[str, Any] = {"search": RIDGES, "trials": 4, "settings": TOY | more}
        if trained:
            own |= {"search": RATES, "trials": 2, "settings": TRAINED | more, "epochs": 3, "every": 1}
        options = {"threads": 1, "device": "cpu", "store": tmp_path / store} | own | options
        return zslbench.tune("tf-vaegan" if trained else "eszsl", dataset="toy", **options)

    return search


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """``zslbench.run`` on the same data set; returns the record of one seed."""

    def one(method: str, seed: int = 0, **options: Any) -> Any:
        options = {"threads": 1, "device": "cpu", "store": tmp_path / "runs", "settings": TOY} | options
        return zslbench.run(method, dataset="toy", seeds=[seed], **options).records[0]

    return one
