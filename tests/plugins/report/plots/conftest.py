"""Finished runs of small fakes on a small simulated data set, in a store of their own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zslbench.testing.fakes import FakeEntryPoint, registry_with, using_registry

sys.path.insert(0, str(Path(__file__).parent / "fakes"))  # the fakes are named by strings, as any component

SMALL = {
    "dataset.classes": 8,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 16,
    "classifier.epochs": 1,
}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plots") / "store"


@pytest.fixture(scope="session")
def known() -> Any:
    """The installed plugins and the fakes."""
    import plot_fakes

    return registry_with(FakeEntryPoint("fakes", "plot_fakes", plot_fakes))


@contextlib.contextmanager
def registered(known: Any) -> Iterator[None]:
    """The fakes are registered within the block, which runs on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with using_registry(known):
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def _fakes(known: Any) -> Iterator[None]:
    # Not for the session: other folders' tests may run in between, in the same process.
    with registered(known):
        yield


@pytest.fixture(scope="session")
def finished(store: Path, known: Any) -> Callable[..., Any]:
    """A run of this composition on the small data set; the same one is computed once."""

    def make(embedding: str = "looker", generator: str | None = "blobs", **more: Any) -> Any:
        from zslbench import run

        settings = SMALL | more.pop("settings", {})
        if generator is None:
            del settings["classifier.epochs"]
        arguments = {"dataset": "toy", "select": "last", "keep_weights": True} | more
        with registered(known):
            return run(
                embedding=embedding,
                generator=generator,
                classifier="softmax" if generator else "eszsl",
                settings=settings,
                store=store,
                **arguments,
            ).records[0]

    return make


@pytest.fixture(scope="session")
def looking(finished: Callable[..., Any]) -> Any:
    """A finished run of the embedding that looks at known places."""
    return finished()


@pytest.fixture(scope="session")
def plain(finished: Callable[..., Any]) -> Any:
    """A finished run on the data set's global features: a baseline."""
    return finished("identity")
