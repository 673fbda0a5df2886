"""What a transductive reading tells components of held-out images; no other reading tells anything."""

from __future__ import annotations

import pytest


def told(record):
    return {name: one for name, one in record.networks().items() if "/told/" in name}


def test_only_the_reading_that_declares_it_is_told_and_only_what_it_declares(run):
    by_default = run("told", select="last", keep_weights=True)
    images = run("told", reading="images", select="last", keep_weights=True)
    both = run("told", reading="both", select="last", keep_weights=True)
    parts = {"generator", "gzsl", "czsl"}
    assert told(by_default) == {}
    assert set(told(images)) == {f"{one}/told/features" for one in parts}
    assert set(told(both)) == {f"{one}/told/{what}" for one in parts for what in ("features", "prior")}
    # The identity says so itself: whatever reads it need not ask the plugin.
    assert "transductive" not in by_default.info.identity
    assert both.info.identity["transductive"] == ["test features", "test class prior"]


def test_images_are_told_as_the_component_reads_them_in_an_order_that_says_nothing(run):
    record = run("told", reading="both", select="last", keep_weights=True)
    found = told(record)
    rows = record.table("predictions")["image"].tolist()
    # The second feature is the row in the data set, the first its class; transform adds 100.
    for part, added, unseen in (("generator", 0, False), ("gzsl", 100, False), ("czsl", 100, True)):
        features = found[f"{part}/told/features"] - added
        expected = [row for row in rows if row >= 14 * 5 or not unseen]
        assert sorted(features[:, 1].tolist()) == sorted(expected)
        assert features[:, 1].tolist() != sorted(expected)
        assert found[f"{part}/told/prior"].tolist() == [0.25] * 4
    again = told(run("told", reading="both", select="last", keep_weights=True, seed=1))
    assert found["gzsl/told/features"].tolist() != again["gzsl/told/features"].tolist()


@pytest.mark.parametrize("select", ["val", "oracle"])
def test_in_validation_it_is_told_of_validation_images_only(run, select, monkeypatch):
    from zslbench.experiment import fitting

    seen = []
    original = fitting.transductive_knowledge

    def watching(fold, *rest):
        found = original(fold, *rest)
        seen.append((fold.name, set(found.features[:, 1].tolist()) if found else set()))
        return found

    monkeypatch.setattr(fitting, "transductive_knowledge", watching)
    record = run("told", reading="images", select=select)
    tested = set(record.table("predictions")["image"].tolist())
    validation = [rows for name, rows in seen if name == "validation"]
    assert bool(validation) == (select == "val")
    assert not any(tested & rows for rows in validation)
    assert all(rows <= {row + 100 for row in tested} | tested for name, rows in seen if name == "final")


def test_a_stage_that_was_told_of_test_images_is_not_reused_without_that_knowledge(run):
    counts = []
    for reading in ("images", "paper"):
        record = run("told-in-stage", reading=reading, select="last", keep_weights=True)
        counts.append(record.networks()["generator/state/t"].item())
    assert counts == [6, 3]
