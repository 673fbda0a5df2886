"""Opening a finished run again: and the errors where it cannot be opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from zslbench.errors import DataError, ZslbenchError
from zslbench.experiment import fitted_run


def test_networks_come_back_by_part(looking: Any) -> None:
    parts = fitted_run.fitted_networks(looking)
    assert set(parts) == {"embedding", "generator", "gzsl", "czsl"}
    torch.testing.assert_close(parts["embedding"]["head"]["W"], torch.eye(16)[:, :8])


def test_embedded_test_images_give_the_run_its_figures(plain: Any) -> None:
    """The reopened embedding and the stored classifier repeat the run's own predictions."""
    run = fitted_run.load_run(plain)
    table = plain.table("predictions")
    g = run.embed(torch.from_numpy(table["image"].to_numpy(copy=True)))
    softmax = run.networks["gzsl"]["softmax"]
    scores = g @ softmax["out.weight"].T + softmax["out.bias"]
    np.testing.assert_array_equal(scores.argmax(dim=1).numpy(), table["gzsl_prediction"])


def test_chosen_hyper_parameters_are_used(finished: Callable[..., Any]) -> None:
    record = finished("identity", settings={"embedding.normalize": "none"})
    assert fitted_run.load_run(record).embedding.settings.normalize == "none"
    record.environment["chosen"] = {"embedding.normalize": "l2", "classifier.lr": 3}
    assert fitted_run.load_run(record).embedding.settings.normalize == "l2"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"keep_weights": False, "settings": {"classifier.lr": 0.5}},
            "--keep-weights --force",
        ),
        ({"select": "oracle"}, "--select oracle"),
    ],
)
def test_a_run_without_networks_says_how_to_get_them(
    finished: Callable[..., Any], options: dict[str, Any], line: str
) -> None:
    record = finished("identity", **options)
    with pytest.raises(ZslbenchError, match=f"run {record.info.id} .*{line}"):
        fitted_run.load_run(record)


def test_other_data_are_refused(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = fitted_run.load_dataset

    def changed(*arguments: Any, **options: Any) -> Any:
        dataset = load(*arguments, **options)
        features = dataset.features.copy()
        features[7, 3] += 1
        sources = tuple(one for one in dataset.sources if one.array != "features")
        return dataclasses.replace(dataset, features=features, sources=sources)

    monkeypatch.setattr(fitted_run, "load_dataset", changed)
    with pytest.raises(DataError, match=r"toy.*: features .*differ") as caught:
        fitted_run.load_run(plain)
    assert "semantics" not in str(caught.value)


def test_an_embedding_of_regions_needs_regions(looking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = fitted_run.load_dataset
    monkeypatch.setattr(
        fitted_run, "load_dataset", lambda *a, **k: dataclasses.replace(load(*a, **k), regions=None)
    )
    with pytest.raises(ZslbenchError, match=r"'looker' .*'toy'"):
        fitted_run.load_run(looking)


def test_a_changed_plugin_leaves_a_note(looking: Any) -> None:
    notes: list[str] = []
    fitted_run.load_run(looking, notify=notes.append)
    assert notes == []
    before = looking.info.identity["versions"]["plugin fakes"]
    looking.info.identity["versions"]["plugin fakes"] = "0 abc"
    try:
        fitted_run.load_run(looking, notify=notes.append)
    finally:
        looking.info.identity["versions"]["plugin fakes"] = before
    assert len(notes) == 1 and "plugin 'fakes'" in notes[0] and looking.info.id in notes[0]
