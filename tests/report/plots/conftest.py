"""Finished runs of small fakes on a small simulated data set, in a store of their own."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fakes"))  # the fakes are named by strings, as any component

SMALL = {
    "dataset.classes": 8,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 16,
    "classifier.epochs": 1,
}


@dataclass(frozen=True)
class Entry:
    """An entry point whose plugin is at hand."""

    name: str
    value: str
    plugin: Any
    dist: Any = None

    def load(self) -> Any:
        return self.plugin


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plots") / "store"


@pytest.fixture(scope="package", autouse=True)
def _fakes() -> Iterator[None]:
    """The installed plugins and the fakes, for the library and the command line alike."""
    import plot_fakes
    import torch

    from zslbench.registry import load_registry, loading

    installed = importlib.metadata.entry_points(group="zslbench")
    known = load_registry(strict=True, entry_points=[*installed, Entry("fakes", "plot_fakes", plot_fakes)])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_installed", lambda: known)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def finished(store: Path) -> Callable[..., Any]:
    """A run of this composition on the small data set; the same one is computed once."""

    def make(embedding: str = "looker", generator: str | None = "blobs", **more: Any) -> Any:
        from zslbench import run

        settings = SMALL | more.pop("settings", {})
        if generator is None:
            del settings["classifier.epochs"]
        arguments = {"dataset": "toy", "select": "last", "keep_weights": True} | more
        return run(
            embedding=embedding,
            generator=generator,
            classifier="softmax" if generator else "eszsl",
            settings=settings,
            store=store,
            **arguments,
        ).records[0]

    return make


@pytest.fixture(scope="package")
def looking(finished: Callable[..., Any]) -> Any:
    """A finished run of the embedding that looks at known places."""
    return finished()


@pytest.fixture(scope="package")
def plain(finished: Callable[..., Any]) -> Any:
    """A finished run on the data set's global features: a baseline."""
    return finished("identity")
