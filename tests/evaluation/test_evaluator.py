"""The evaluator on scores that are known, against the brute force of ``conftest.py``."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from zslbench.errors import PluginError
from zslbench.evaluation.evaluator import evaluate
from zslbench.evaluation.folds import final_fold
from zslbench.evaluation.given import evaluate_scores
from zslbench.plugin.dataset import Candidates, Dataset, OfficialSplit

UNSEEN = np.array([0, 3, 5])
BOTH = ("czsl", "gzsl")


def embedded(fold):
    """The fold with g = 10 x."""
    seen, unseen = (
        dataclasses.replace(side, features=side.features * 10) for side in (fold.test_seen, fold.test_unseen)
    )
    return dataclasses.replace(fold, test_seen=seen, test_unseen=unseen)


class Case:
    """Eight classes, of which 0, 3 and 5 are unseen; the first feature of an image is its row."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.labels = random.permutation(np.repeat(np.arange(8), random.integers(3, 9, size=8)))
        n = len(self.labels)
        features = np.zeros((n, 2), dtype=np.float32)
        features[:, 0] = np.arange(n)
        unseen = np.isin(self.labels, UNSEEN)
        held_out = np.concatenate([np.flatnonzero(self.labels == c)[:2] for c in range(8) if c not in UNSEEN])
        split = OfficialSplit(
            trainval=np.setdiff1d(np.flatnonzero(~unseen), held_out),
            test_seen=random.permutation(held_out),
            test_unseen=random.permutation(np.flatnonzero(unseen)),
        )
        semantics = random.normal(size=(8, 3)).astype(np.float32)
        self.data = Dataset("d", features, self.labels, tuple("abcdefgh"), semantics, split, "f", "att")
        self.fold = final_fold(self.data, torch.device("cpu"))
        # Few values, so that ties within and between sides occur; the true class is favoured.
        self.gzsl = random.integers(0, 6, size=(n, 8)).astype(np.float32)
        self.gzsl[np.arange(n), self.labels] += 2
        self.czsl = random.integers(0, 6, size=(n, 3)).astype(np.float32)
        self.embedded = embedded(self.fold)

    def of(self, table):
        return lambda g: torch.from_numpy(table[(g[:, 0] / 10).long().numpy()])

    @property
    def scores(self):
        return {"gzsl": self.of(self.gzsl), "czsl": self.of(self.czsl)}

    @property
    def rows(self):
        return np.concatenate([self.data.split.test_seen, self.data.split.test_unseen])


@pytest.fixture(params=range(6))
def case(request) -> Case:
    return Case(request.param)


def brute_of(brute, case):
    seen = [c for c in range(8) if c not in UNSEEN]
    return brute.of(case.gzsl[case.rows], case.labels[case.rows], seen, UNSEEN)


def test_figures_are_those_of_the_brute_force(case, brute):
    found = evaluate(case.embedded, case.scores, BOTH)
    task = brute_of(brute, case)
    s, u = task.at(Fraction(0))
    assert found.s == pytest.approx(float(s))
    assert found.u == pytest.approx(float(u))
    assert found.h == pytest.approx(float(task.harmonic(s, u)))
    assert found.ausuc == pytest.approx(float(task.area()))
    rows = case.data.split.test_unseen
    columns = np.searchsorted(UNSEEN, case.labels[rows])
    czsl = brute.of(case.czsl[rows], columns, [0, 1, 2], [])
    assert found.acc == pytest.approx(float(czsl.accuracy(czsl.rows, range(3), range(3))))
    names = ("acc", "u", "s", "h", "ausuc", "acc_micro", "acc_top5", "micro", "u_top5", "s_top5")
    np.testing.assert_equal(found.figures(), {name: getattr(found, name) for name in names})


def test_overall_accuracy_counts_images(case, brute):
    found = evaluate(case.embedded, case.scores, BOTH)
    right = [brute.winner(list(row), range(8)) for row in case.gzsl[case.rows].tolist()]
    assert found.micro == pytest.approx(
        np.mean([a == b for a, b in zip(right, case.labels[case.rows], strict=True)])
    )
    rows = case.data.split.test_unseen
    right = [brute.winner(list(row), range(3)) for row in case.czsl[rows].tolist()]
    own = np.searchsorted(UNSEEN, case.labels[rows])
    assert found.acc_micro == pytest.approx(np.mean([a == b for a, b in zip(right, own, strict=True)]))


def in_top(row: list[float], own: int, k: int = 5) -> bool:
    """Whether fewer than k other classes score at least as high."""
    return len([c for c, value in enumerate(row) if c != own and value >= row[own]]) < k


def test_top_five_by_looking_at_every_class(case):
    found = evaluate(case.embedded, case.scores, BOTH)
    for figure, classes in (("u_top5", UNSEEN), ("s_top5", np.setdiff1d(np.arange(8), UNSEEN))):
        shares = []
        for one in classes:
            rows = [row for row in case.rows if case.labels[row] == one]
            shares.append(np.mean([in_top(case.gzsl[row].tolist(), one) for row in rows]))
        assert getattr(found, figure) == pytest.approx(np.mean(shares))
    assert found.acc_top5 == 1, "of three classes, each is among the first five"


def test_top_five_of_czsl_alone_and_of_f_gzsl_restricted_to_unseen_classes():
    classes = 9  # 0 and 1 are seen
    labels = np.repeat(np.arange(classes), 4)
    n = len(labels)
    rows = {
        part: np.flatnonzero(labels < 2)[start::2] for start, part in enumerate(("trainval", "test_seen"))
    }
    split = OfficialSplit(**rows, test_unseen=np.flatnonzero(labels >= 2))
    semantics = np.eye(classes, dtype=np.float32)
    data = Dataset(
        "d", np.zeros((n, 1), np.float32), labels, tuple("abcdefghi"), semantics, split, "f", "att"
    )
    random = np.random.default_rng(0)
    scores = random.integers(0, 5, size=(n, classes)).astype(np.float64)
    gzsl = np.concatenate([scores[split.test_seen], scores[split.test_unseen]])
    unseen = scores[split.test_unseen][:, 2:]
    own = labels[split.test_unseen] - 2
    hits = np.array([in_top(row.tolist(), c) for row, c in zip(unseen, own, strict=True)])
    expected = np.mean([hits[own == c].mean() for c in range(7)])
    assert evaluate_scores(data, {"czsl": unseen}).acc_top5 == pytest.approx(expected)
    assert 0 < expected < 1
    fold = final_fold(data, torch.device("cpu"))
    parts = np.split(gzsl, [len(split.test_seen)])
    seen_side, unseen_side = (
        dataclasses.replace(side, features=torch.from_numpy(part))
        for side, part in zip((fold.test_seen, fold.test_unseen), parts, strict=True)
    )
    fold = dataclasses.replace(fold, test_seen=seen_side, test_unseen=unseen_side)
    both = evaluate(fold, {"gzsl": lambda rows: rows}, BOTH)
    assert both.acc_top5 == pytest.approx(expected)
    calibrated = both.calibrated(0.5)
    assert math.isnan(calibrated.u_top5), "what the offset does to ranks is unknown without the scores"
    assert calibrated.acc_top5 == both.acc_top5


@pytest.mark.parametrize("offset", [-3.5, -1.0, 0.0, 0.25, 2.0, 100.0])
def test_calibrated_figures_are_those_with_the_offset_taken_from_seen_scores(case, brute, offset):
    found = evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, ["gzsl"]).calibrated(offset)
    u, s, h = found.u, found.s, found.h
    task = brute_of(brute, case)
    expected = task.at(Fraction(offset))
    assert (s, u) == pytest.approx(tuple(map(float, expected)))
    assert h == pytest.approx(float(task.harmonic(*expected)))


def test_the_best_offset_has_the_best_h(case, brute):
    found = evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, ["gzsl"])
    offset = found.best_offset()
    assert offset is not None
    assert found.calibrated(offset).h == pytest.approx(float(brute_of(brute, case).best_h()))


def test_tables(case):
    found = evaluate(case.embedded, case.scores, BOTH)
    predictions, classes = found.predictions_table(), found.classes_table()
    assert predictions["image"].tolist() == case.rows.tolist()
    assert predictions["label"].tolist() == case.labels[case.rows].tolist()
    assert predictions["side"].tolist() == ["unseen" if y in UNSEEN else "seen" for y in predictions["label"]]
    for row in predictions.itertuples():
        scores = case.gzsl[row.image]
        assert row.gzsl_prediction == scores.argmax()
        assert row.gzsl_correct == (scores[row.label] == scores.max() and (scores == scores.max()).sum() == 1)
        assert row.gzsl_margin == scores[[1, 2, 4, 6, 7]].max() - scores[UNSEEN].max()
        if row.side == "unseen":
            assert row.czsl_prediction == UNSEEN[case.czsl[row.image].argmax()]
        else:
            assert row.czsl_prediction == -1
            assert not row.czsl_correct
    for row in classes.itertuples():
        mine = predictions[predictions["label"] == row.class_id]
        assert row.images == len(mine)
        assert row.gzsl_accuracy == pytest.approx(mine["gzsl_correct"].mean())
        assert math.isnan(row.czsl_accuracy) == (row.side == "seen")
    unseen = classes[classes["side"] == "unseen"]
    assert unseen["czsl_accuracy"].mean() == pytest.approx(found.acc)
    assert unseen["gzsl_accuracy"].mean() == pytest.approx(found.u)
    curve = found.curve_table()
    assert curve["seen"].is_monotonic_decreasing
    assert curve["unseen"].is_monotonic_increasing
    assert curve["until"].iloc[-1] == math.inf


def test_czsl_alone_has_no_gzsl_figures(case):
    found = evaluate(case.embedded, {"czsl": case.of(case.czsl)}, ["czsl"])
    assert 0 <= found.acc <= 1
    assert all(math.isnan(value) for value in (found.u, found.s, found.h, found.ausuc))
    assert found.best_offset() is None
    assert not [name for name in found.predictions_table() if name.startswith("gzsl")]
    assert found.classes_table()["gzsl_accuracy"].isna().all()
    assert len(found.curve_table()) == 0


def test_gzsl_alone_has_no_acc(case):
    found = evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, ["gzsl"])
    assert math.isnan(found.acc)
    assert not math.isnan(found.h)


@pytest.mark.parametrize(
    "change", [lambda s: s[:, :-1], lambda s: s[:-1], lambda s: s[:, 0], lambda s: s[None]]
)
@pytest.mark.parametrize("task", ["gzsl", "czsl"])
def test_scores_of_a_wrong_shape_are_the_plugins_fault(task, change):
    case = Case(0)
    score = dict(case.scores)
    plain = score[task]
    score[task] = lambda g: change(plain(g))
    with pytest.raises(PluginError, match="shape") as caught:
        evaluate(case.embedded, score, BOTH)
    assert "\n" not in str(caught.value)


def test_nan_scores_are_the_plugins_fault_and_counted():
    case = Case(1)
    case.gzsl[case.data.split.test_unseen[:3], 2] = np.nan
    with pytest.raises(PluginError, match=rf"NaN scores for 3 of {len(case.data.split.test_unseen)} images"):
        evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, ["gzsl"])


def test_infinite_and_whole_number_scores_are_allowed():
    case = Case(2)
    plain = evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, ["gzsl"])
    whole = evaluate(case.embedded, {"gzsl": case.of(case.gzsl.astype(np.int64))}, ["gzsl"])
    assert whole.figures() == pytest.approx(plain.figures(), nan_ok=True)
    minus = case.gzsl.copy()
    minus[:, UNSEEN] = -np.inf
    assert evaluate(case.embedded, {"gzsl": case.of(minus)}, ["gzsl"]).u == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scores_of_half_precision_are_allowed(dtype):
    """The whole numbers of a case are exact in either type."""
    case = Case(2)
    half = {task: lambda g, plain=plain: plain(g).to(dtype) for task, plain in case.scores.items()}
    assert (
        evaluate(case.embedded, half, BOTH).figures() == evaluate(case.embedded, case.scores, BOTH).figures()
    )


def test_chunks_change_nothing(monkeypatch):
    case = Case(3)
    whole = evaluate(case.embedded, case.scores, BOTH)
    monkeypatch.setattr("zslbench.training.batches.CHUNK_ROWS", 3)
    again = evaluate(case.embedded, case.scores, BOTH)
    assert again.figures() == whole.figures()
    assert again.predictions_table().equals(whole.predictions_table())


def test_all_scores_are_kept_only_on_request(case):
    kept = evaluate(case.embedded, case.scores, BOTH, keep=True)
    assert np.array_equal(kept.scores["gzsl"], case.gzsl[case.rows])
    assert np.array_equal(kept.scores["czsl"], case.czsl[case.data.split.test_unseen])
    assert not evaluate(case.embedded, case.scores, BOTH).scores


@pytest.mark.parametrize("tasks", [BOTH, ["czsl"]])
def test_without_its_own_scores_czsl_is_f_gzsl_restricted_to_unseen_classes(case, tasks):
    found = evaluate(case.embedded, {"gzsl": case.of(case.gzsl)}, tasks, keep=True)
    own = evaluate(case.embedded, {"czsl": case.of(case.gzsl[:, UNSEEN])}, ["czsl"], keep=True)
    assert found.acc == own.acc
    assert np.array_equal(found.scores["czsl"], own.scores["czsl"])
    assert (found.gzsl is None) == ("gzsl" not in tasks)
    columns = [name for name in own.predictions_table() if name.startswith("czsl")]
    assert found.predictions_table()[columns].equals(own.predictions_table()[columns])


@pytest.mark.parametrize("classes", [1, 8, 100, 5000, 20_000, 10**9])
def test_the_scores_of_a_chunk_are_bounded_whatever_the_number_of_classes(case, classes, monkeypatch):
    monkeypatch.setattr("zslbench.evaluation.folds._SCORES", 100)
    chunks = [len(one) for one in case.embedded.test_unseen.inputs(classes)]
    assert sum(chunks) == len(case.embedded.test_unseen.rows)
    assert max(chunks) * classes <= 100 or max(chunks) == 1
    assert all(size & (size - 1) == 0 for size in chunks[:-1])


def test_a_test_class_without_images_is_left_out_of_the_mean():
    case = Case(4)
    split = case.data.split
    kept = split.test_unseen[case.labels[split.test_unseen] != 3]
    data = dataclasses.replace(
        case.data,
        split=dataclasses.replace(split, test_unseen=kept),
        candidates=Candidates("all", UNSEEN),
    )
    fold = final_fold(data, torch.device("cpu"))
    found = evaluate(embedded(fold), case.scores, BOTH)
    table = found.classes_table().set_index("class_id")
    assert math.isnan(table.loc[3, "gzsl_accuracy"])
    assert found.u == pytest.approx(table.loc[[0, 5], "gzsl_accuracy"].mean())
    assert found.acc == pytest.approx(table.loc[[0, 5], "czsl_accuracy"].mean())
