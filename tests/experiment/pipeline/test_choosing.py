"""What ``last``, ``val`` and ``oracle`` choose, on a method whose figures at every epoch are known."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from zslbench.errors import PluginError
from zslbench.experiment import fitting


def column(*values):
    """A script that depends on the generator's epoch alone."""
    return tuple((value,) for value in values)


def h(u, s):
    return 2 * u * s / (u + s) if u + s else 0.0


def settings(**scripts):
    return {f"classifier.{name}": script for name, script in scripts.items()}


def rows_of(record, stage):
    table = record.table("epochs")
    return table[table["stage"] == stage].reset_index(drop=True)


# --- val -----------------------------------------------------------------------------------------


def test_val_takes_the_epoch_with_the_best_validation_h_and_refits_that_long(run):
    u, s = (0.25, 0.5, 1.0, 0.75, 0.5), (1.0, 1.0, 0.5, 0.5, 0.2)
    record = run("scripted", settings=settings(u=column(*u), s=column(*s)), every=1)
    expected = [h(a, b) for a, b in zip(u, s, strict=True)]
    rows = rows_of(record, "validation/generator")
    assert rows["val_h"].tolist() == pytest.approx(expected)
    assert rows["val_u"].tolist() == pytest.approx(u)
    assert rows["val_s"].tolist() == pytest.approx(s)
    assert expected.index(max(expected)) + 1 == 2  # 2/3 twice: at epochs 2 and 3
    assert record.metrics["epochs"] == 2
    assert record.metrics["val_h"] == pytest.approx(2 / 3)
    assert rows_of(record, "final/generator")["epoch"].tolist() == [1, 2]
    # What is reported is the final model of that length: U of 4 unseen, S of 14 seen classes.
    assert record.metrics["u"] == 0.5
    assert record.metrics["s"] == 1.0
    assert record.metrics["h"] == pytest.approx(h(0.5, 1.0))


@pytest.mark.parametrize(
    ("u", "best"),
    [((0.5, 0.5, 0.5, 0.5, 0.5), 1), ((0.25, 0.75, 0.5, 0.75, 0.75), 2), ((0, 0, 0, 0, 1), 5), ((0,) * 5, 1)],
)
def test_of_equal_epochs_the_first(run, u, best):
    record = run("scripted", settings=settings(u=column(*u), s=column(1.0)), every=1)
    assert record.metrics["epochs"] == best


def test_only_evaluated_epochs_can_be_chosen(run):
    u = (0.25, 0.5, 1.0, 0.5, 0.25)  # the best epoch, 3, is not looked at
    record = run("scripted", settings=settings(u=column(*u), s=column(1.0)), every=2)
    rows = rows_of(record, "validation/generator")
    assert rows["val_h"].notna().tolist() == [False, True, False, True, True]
    assert record.metrics["epochs"] == 2


def counted(evaluation, offset):
    """(U, S, H) by argmax and counting, with ``offset`` taken from the scores of seen classes."""
    scores = evaluation.scores["gzsl"].astype(np.float64)
    scores[:, evaluation.seen] -= offset
    hits = scores.argmax(axis=1) == evaluation.labels
    u, s = (
        np.mean([hits[evaluation.labels == one].mean() for one in classes])
        for classes in (evaluation.unseen, evaluation.seen)
    )
    return u, s, h(u, s)


def test_the_offset_is_the_best_on_validation_images_and_taken_from_test_scores(run, monkeypatch):
    evaluated, evaluate = [], fitting.evaluate_scores

    def spy(*arguments, keep):
        evaluated.append(evaluate(*arguments, keep=True))
        return evaluated[-1]

    monkeypatch.setattr(fitting, "evaluate_scores", spy)
    one = {"classifier.gamma": 1.0, "classifier.lam": 1.0, "classifier.coding": "pm1"}  # nothing to search
    record = run("eszsl", dataset="toy", settings=one)
    validation, final = evaluated
    offset = record.metrics["offset"]
    scores = validation.scores["gzsl"].astype(np.float64)
    margins = np.unique(scores[:, validation.seen].max(axis=1) - scores[:, validation.unseen].max(axis=1))
    between = (margins[1:] + margins[:-1]) / 2
    best = max(counted(validation, each)[2] for each in between)
    assert best > counted(validation, 0.0)[2]  # it matters
    assert counted(validation, offset)[2] == pytest.approx(best)
    assert [record.metrics[f"{name}_cal"] for name in "ush"] == pytest.approx(counted(final, offset))
    assert record.metrics["h"] == pytest.approx(counted(final, 0.0)[2])


def test_val_never_looks_at_test_figures(run):
    """Scripts that say which epoch is the best of the refit, whatever validation says, change no choice."""
    record = run("scripted", settings=settings(u=column(0.25, 1, 0.5), s=column(1.0)), every=1)
    assert not [name for name in record.table("epochs").columns if name.startswith("test_")]
    assert not [name for name in record.metrics if name.startswith("test_")]
    finals = record.table("epochs").query("stage.str.startswith('final')")
    assert finals["val_h"].isna().all()


def test_a_method_without_gzsl_is_selected_by_acc(run):
    acc = (0.25, 0.75, 1.0, 0.5, 0.5)
    record = run("scripted-czsl", settings=settings(acc=column(*acc)), every=1)
    assert rows_of(record, "validation/generator")["val_acc"].tolist() == pytest.approx(acc)
    assert record.metrics["epochs"] == 3
    assert record.metrics["val_acc"] == 1.0
    assert record.metrics["acc"] == 1.0
    for missing in ("u", "s", "h", "ausuc", "u_cal", "offset"):
        value = record.metrics.get(missing)
        assert value is None or math.isnan(value), missing
    assert not record.table("epochs")["stage"].str.contains("gzsl").any()


# --- what is selected is what is refitted -----------------------------------------------------------


@pytest.mark.parametrize("method", ["scripted-schedule", "scripted-schedule-czsl"])
@pytest.mark.parametrize("best", range(1, 6))
def test_every_evaluated_epoch_of_a_classifier_can_be_chosen(run, method, best):
    """The last one too, whichever task it is evaluated by, and the refit is as long."""
    script = (tuple(1.0 if epoch == best else 0.25 for epoch in range(1, 6)),)
    given = settings(u=script, s=((1.0,),), acc=script)
    record = run(method, epochs=5, every=1, settings=given)
    assert record.metrics["epochs"] == best
    assert record.metrics["acc"] == 1.0


@pytest.mark.parametrize("best", [2, 4, 5])
def test_the_figures_of_an_epoch_are_those_of_a_schedule_that_ends_there(run, best):
    """Embedding, generator or classifier, whichever has the schedule."""
    script = tuple(1.0 if epoch == best else 0.25 for epoch in range(1, 6))
    for parts, given in (
        ({"embedding": "paced", "classifier": "by-embedding"}, settings(u=column(*script), s=column(1.0))),
        ({"embedding": "as-is", "generator": "scripted", "classifier": "scripted"},
         settings(u=column(*script), s=column(1.0))),
        ({"embedding": "as-is", "generator": "still", "classifier": "scripted"},
         settings(u=(script,), s=((1.0,),))),
    ):  # fmt: skip
        whole = run(**parts, epochs=5, every=1, settings=given)
        assert whole.metrics["epochs"] == best
        short = run(**parts, epochs=best, every=best, settings=given)
        ends = [record.table("epochs").dropna(subset="val_h") for record in (whole, short)]
        found = [
            rows[rows["epoch"] == best][["val_h", "val_u", "val_s"]].to_numpy().tolist() for rows in ends
        ]
        assert found[0] == found[1] and len(found[0]) == 1
        assert whole.metrics["h"] == short.metrics["h"]


def test_no_step_may_log_a_figure_of_the_evaluator(run):
    options = {"embedding": "misnamed", "classifier": "by-embedding", "epochs": 5, "every": 2}
    with pytest.raises(PluginError, match="val_h"):
        run(**options)
    assert run(**options, select="last").metrics["epochs"] == 5


# --- hyper-parameters ----------------------------------------------------------------------------


def test_val_takes_the_best_candidate(run):
    record = run("scripted-search", settings=settings(u=column(1.0), s=column(1.0)))
    table = record.table("candidates")
    assert table["classifier.level"].tolist() == [0.25, 1.0, 0.5]
    assert table["candidate"].tolist() == [0, 1, 2]
    # 4 pseudo-unseen and 10 pseudo-seen classes: levels 0.25 and 0.5 get 1 and 2, and 2 and 5, right
    assert table["val_h"].tolist() == pytest.approx([h(0.25, 0.2), 1.0, 0.5])
    assert record.environment["chosen"] == {"classifier.level": 1.0}
    assert record.metrics["h"] == 1.0
    assert record.metrics["val_h"] == 1.0


def test_of_equal_candidates_the_first(run):
    record = run("scripted-search", settings=settings(u=column(0.0), s=column(0.0)))
    assert record.environment["chosen"] == {"classifier.level": 0.25}


def test_a_setting_that_the_user_gives_is_not_searched(run):
    given = settings(u=column(1.0), s=column(1.0)) | {"classifier.level": 0.5}
    record = run("scripted-search", settings=given)
    table = record.table("candidates")
    assert len(table) == 1
    assert "classifier.level" not in table.columns
    assert record.environment["chosen"] == {}
    assert record.metrics["u"] == 0.5


def test_last_searches_nothing_and_calibrates_nothing(run):
    searched = run("scripted-search", settings=settings(u=column(1.0), s=column(1.0)), select="last")
    assert len(searched.table("candidates")) == 0
    assert searched.metrics["u"] == 1.0  # the default level
    record = run("scripted", settings=settings(u=column(0.5, 1.0, 0.25), s=column(1.0)), select="last")
    assert record.metrics["epochs"] == 5
    assert record.metrics["u"] == 0.25  # the schedule's end, not its best
    assert not {"u_cal", "s_cal", "h_cal", "offset", "val_h"} & set(record.metrics)
    assert set(record.table("epochs")["stage"]) == {"final/generator", "final/gzsl", "final/czsl"}
    from zslbench.report.results import runs_frame

    frame = runs_frame([record])
    assert frame[["U_cal", "S_cal", "H_cal"]].isna().all(axis=None)


# --- oracle --------------------------------------------------------------------------------------


def test_oracle_takes_h_and_acc_from_different_epochs_and_classifier_epochs_and_says_so(run):
    scripts = {
        "u": ((0.25, 0.5), (0.25, 0.25), (0.5, 0.25)),
        "s": ((1.0, 1.0),),
        "acc": ((0.25, 0.5), (1.0, 0.5), (0.25, 0.5)),
    }
    given = settings(**scripts) | {"classifier.epochs": 2, "generator.epochs": 3}
    record = run("scripted", settings=given, every=1, select="oracle")
    metrics = record.metrics
    assert (metrics["h_epoch"], metrics["h_classifier_epoch"]) == (1, 2)  # 0.5 again later: the first counts
    assert (metrics["acc_epoch"], metrics["acc_classifier_epoch"]) == (2, 1)
    assert metrics["acc"] == 1.0
    assert (metrics["u"], metrics["s"]) == (0.5, 1.0)
    assert metrics["h"] == pytest.approx(2 / 3)
    rows = rows_of(record, "final/generator")
    assert rows["test_h"].tolist() == pytest.approx([2 / 3, 0.4, 2 / 3])
    assert rows["test_acc"].tolist() == pytest.approx([0.5, 1.0, 0.5])
    assert not [name for name in metrics if name.startswith("val_")]
    assert not {"u_cal", "offset"} & set(metrics)
    (note,) = [one for one in record.notes if "oracle" in one]
    assert "two models" in note
    assert "epoch 2, classifier epoch 1" in note
    assert "epoch 1, classifier epoch 2" in note
    assert len(record.table("networks")) == 0
    from zslbench.report.results import seeds_table

    assert "†" in str(seeds_table([record]).frame()["seed"][0])


def test_oracle_is_at_least_as_good_as_last_and_the_last_epoch_counts(run):
    given = settings(u=column(0.25, 0.25, 1.0), s=column(1.0), acc=column(0.25, 0.5, 1.0))
    given |= {"generator.epochs": 3}
    record = run("scripted", settings=given, every=2, select="oracle")
    assert record.metrics["h_epoch"] == record.metrics["acc_epoch"] == 3
    assert record.metrics["h"] == 1.0
    assert not [one for one in record.notes if "two models" in one]


def test_oracle_of_candidates(run):
    record = run("scripted-search", settings=settings(u=column(1.0), s=column(1.0)), select="oracle")
    assert record.metrics["h_candidate"] == record.metrics["acc_candidate"] == 1
    table = record.table("candidates")
    assert table["test_h"].idxmax() == 1
    assert record.environment["chosen"] == {"classifier.level": 1.0}


def test_nothing_of_the_run_is_logged_to_other_loggers(run, caplog):
    with caplog.at_level(logging.WARNING):
        run("scripted", select="last")
    assert not caplog.records
