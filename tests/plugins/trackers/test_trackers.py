"""What the built-in trackers write of real runs, read back with the libraries that they write for."""

from __future__ import annotations

import math
from typing import Any

import pytest

from zslbench.errors import Diverged
from zslbench.store.record import RunRecord

STAGE = "validation/generator"


def table(record: RunRecord) -> list[tuple[str, int, str, float]]:
    """Every figure of every epoch as the run's own table has it."""
    rows = record.table("epochs").to_dict("records")
    return sorted(
        (row["stage"], row["epoch"], name, value)
        for row in rows
        for name, value in row.items()
        if name not in ("stage", "epoch", "candidate") and not math.isnan(value)
    )


def same(found: list[Any], expected: list[Any]) -> bool:
    """Equal but for rounding to float32, which TensorBoard's files hold."""
    return [one[:-1] for one in found] == [one[:-1] for one in expected] and all(
        math.isclose(one[-1], two[-1], rel_tol=1e-6) for one, two in zip(found, expected, strict=True)
    )


def figures(record: RunRecord) -> dict[str, float]:
    return {f"final/{k}": v for k, v in record.metrics.items() if isinstance(v, int | float)}


def test_a_run_is_recorded_completely(run: Any, followed: Any) -> None:
    record = run(track=followed.track)
    (one,) = followed.attempts()
    assert same(one.epochs, table(record))
    assert any(name == "val_h" for _, _, name, _ in one.epochs)
    assert one.final == pytest.approx(figures(record), rel=1e-6)
    assert one.stopped is None
    identity = record.info.identity
    expected = {
        "method": "tf-vaegan",
        "selection": "val",
        "seed": "0",
        "generator.hidden": "8",
        "embedding.normalize": "minmax",
        "run": record.info.id,
        "data.split": identity["data"]["split"],
        "data.validation": identity["data"]["validation"],
        "sha256.features": identity["data"]["arrays"]["features"],
        "version.zslbench": identity["versions"]["zslbench"],
        "version.plugin tf-vaegan": identity["versions"]["plugin tf-vaegan"],
        "execution.device": "cpu",
    }
    assert expected.items() <= one.facts.items()


@pytest.mark.slow
def test_a_resumed_run_continues_in_the_tracker(run: Any, followed: Any) -> None:
    whole = run(store="other")
    run(track=followed.track, stop=(STAGE, 2))
    (one,) = followed.attempts()
    assert {(stage, epoch) for stage, epoch, _, _ in one.epochs} == {(STAGE, 1), (STAGE, 2)}
    assert one.stopped == "interrupted"
    # The checkpoint lies before the end of epoch 2, so the run reports it again.
    record = run(track=followed.track)
    assert record.info.resumed
    (one,) = followed.attempts()
    assert same(one.epochs, table(whole))
    assert one.final == pytest.approx(figures(whole), rel=1e-6)
    assert one.stopped is None


@pytest.mark.slow
def test_a_run_computed_again_is_another_attempt(run: Any, followed: Any) -> None:
    record = run(track=followed.track, epochs=1)
    run(track=followed.track, epochs=1)  # found: nothing is computed or reported
    assert len(followed.attempts()) == 1
    run(track=followed.track, epochs=1, force=True)
    one, two = followed.attempts()
    assert one.epochs == two.epochs
    assert same(two.epochs, table(record))


def test_a_failed_run_has_its_reason(run: Any, followed: Any) -> None:
    with pytest.raises(Diverged):
        run(track=followed.track, settings={"generator.lr": 1e30, "generator.decoder_lr": 1e30})
    (one,) = followed.attempts()
    assert one.stopped is not None
    assert one.stopped.startswith("Diverged: stage 'validation/generator'")
    assert not one.final


def test_figures_chosen_on_test_images_have_other_names(run: Any, followed: Any) -> None:
    record = run(track=followed.track, select="oracle", epochs=2)
    (one,) = followed.attempts()
    assert set(one.final) == {f"oracle/{k}" for k, v in record.metrics.items() if isinstance(v, int | float)}
    # Of the last epoch of the schedule the oracle's figures are completed after training, once.
    assert same(one.epochs, table(record))


def test_seeds_trained_together_are_separate_runs(run: Any, followed: Any) -> None:
    run(track=followed.track, epochs=1, seeds=2, replicas=2)
    if followed.name == "jsonl":
        assert len(list(followed.folder.glob("*.jsonl"))) == 2
        return
    assert sorted(one.facts["seed"] for one in followed.attempts()) == ["0", "1"]


@pytest.mark.slow
def test_mlflow_stores_the_record_with_the_run(run: Any, tmp_path: Any) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    record = run(track="mlflow", epochs=1)
    folder = tmp_path / "store" / "trackers" / "mlflow"
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("zslbench")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert [one.path for one in client.list_artifacts(found.info.run_id)] == ["run.json"]
    (copy,) = folder.rglob("run.json")
    assert copy.read_bytes() == (record.folder / "run.json").read_bytes()


def test_tensorboard_has_hyper_parameters(run: Any, tmp_path: Any) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = run(track=f"tensorboard={tmp_path / 'tb'}", epochs=1)
    (file,) = (tmp_path / "tb").rglob("events.out.*")
    assert file.parent.relative_to(tmp_path / "tb").as_posix() == f"toy/tf-vaegan/seed-0-{record.info.id}"
    events = EventAccumulator(str(file.parent))
    events.Reload()
    assert "_hparams_/session_start_info" in events.summary_metadata
