"""Two real runs side by side, against what their tables say when they are counted by hand."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import UnknownName, ZslbenchError
from zslbench.plugin.presets import flatten as flat
from zslbench.report.two_runs import compare, extremes
from zslbench.store.store import Store

SMALL = {"dataset.classes": 12, "dataset.unseen": 5, "dataset.images_per_class": 15}
TINY = {"generator.hidden": 8, "generator.critic_steps": 1, "generator.per_class": 10, "classifier.epochs": 2}
FIXED = {"classifier.gamma": 1.0, "classifier.lam": 1.0, "classifier.coding": "pm1"}
Runs = dict[str, zslbench.Result]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Runs]:
    """Runs of two methods and what goes with them, on a toy of 12 classes."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("compare"))

    def run(method, settings=None, **options):
        given = SMALL | (FIXED if method == "eszsl" else {}) | (settings or {})
        options = {"dataset": "toy", "store": store.root, "device": "cpu", "threads": 1} | options
        return zslbench.run(method, settings=given, **options)

    return store, {
        "eszsl": run("eszsl", seeds=3),
        "gan": run("tf-vaegan", TINY, epochs=1, seeds=4),
        "oracle": run("eszsl", select="oracle"),
        "original": run("eszsl", semantics="original_att"),
        "other data": run("eszsl", {"dataset.seed": 1}),
        "other split": run("eszsl", {"dataset.unseen": 4}),
    }


def pair(runs, a="eszsl", b="gan", seeds=(0, 0), **options):
    store, of = runs
    return compare(of[a].records[seeds[0]], of[b].records[seeds[1]], store=store, **options)


# --- what differs -------------------------------------------------------------------------------------


def test_only_differences_are_told_and_all_of_them(runs):
    found = pair(runs)
    changes = {(one.section, one.name): (one.a, one.b) for one in found.differences}
    assert changes["run", "method"] == ("eszsl", "tf-vaegan")
    assert changes["components", "generator"] == (None, "tf-vaegan")
    assert changes["settings", "classifier.epochs"] == (None, 2)
    assert changes["settings", "embedding.normalize"] == ("l2", "minmax")
    assert all(a != b for a, b in changes.values())
    assert not {section for section, _ in changes} & {"data", "execution", "environment"}
    # Whatever part of the two identities is not the same is among them.
    one, other = (flat(run.info.identity) for run in (found.a, found.b))
    unlike = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    names = {f"{section}.{name}" if section != "run" else name for section, name in changes}
    assert unlike <= names


def test_two_seeds_differ_in_nothing_else(runs):
    found = pair(runs, "gan", "gan", (0, 1))
    assert found.only_seed
    assert [(one.section, one.name, one.a, one.b) for one in found.differences if one.section == "run"] == [
        ("run", "seed", 0, 1)
    ]
    assert {one.section for one in found.differences} <= {"run", "chosen"}
    assert not pair(runs).only_seed


def test_what_is_nested_is_flattened():
    assert flat({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


# --- what may not be compared ---------------------------------------------------------------------------


@pytest.mark.parametrize(("other", "words"), [("other data", "splits"), ("other split", "splits")])
def test_other_data_are_not_compared(runs, other, words):
    found = pair(runs, "eszsl", other)
    assert words in found.refusals[0]
    assert all(part.empty for part in (found.figures, found.classes, found.images, found.seeds))
    assert found.tallies.empty
    assert found.differences
    assert [title for title, _ in found.tables()] == ["what differs"]


def test_another_data_set_is_not_compared(record):
    found = compare(record(dataset="cub"), record(dataset="sun"))
    (refusal,) = found.refusals
    assert "cub and sun" in refusal


def test_other_labels_are_not_compared(record):
    found = compare(record(), record(identity={"data/arrays": {"labels": "b" * 64}}))
    (refusal,) = found.refusals
    assert "labels" in refusal and "cub" in refusal


def test_one_run_twice_is_an_error(runs):
    with pytest.raises(ZslbenchError, match="given twice"):
        pair(runs, "eszsl", "eszsl")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("oracle", "val and oracle†"),
        ("original", "semantics (att and original_att)"),
    ],
)
def test_unlike_runs_are_compared_with_a_warning(runs, other, words):
    found = pair(runs, "eszsl", other)
    assert any(words in text for text in found.warnings)
    assert len(found.figures)
    assert pair(runs).warnings == ()


def test_other_seeds_of_two_methods_are_warned_of(runs):
    (warning,) = pair(runs, seeds=(0, 1)).warnings
    assert "seeds (0 and 1)" in warning


# --- figures, classes, images ---------------------------------------------------------------------------


def test_figures_and_their_differences(runs):
    found = pair(runs)
    for one in found.figures.itertuples():
        values = [run.metrics.get(one.name.lower()) for run in (found.a, found.b)]
        assert (one.a, one.b) == (100 * values[0], 100 * values[1])
        assert one.difference == pytest.approx(100 * (values[0] - values[1]))
    figures = found.figures.set_index("name")
    assert list(figures.index)[:5] == ["Acc", "U", "S", "H", "AUSUC"]
    assert figures.loc[["Acc", "U", "S", "H"], "n"].tolist() == [5, 5, 7, 12]
    for name in ("Acc", "U", "S", "H"):
        one = figures.loc[name]
        assert one["low"] <= one["difference"] <= one["high"]
    assert figures.loc["AUSUC", ["low", "high", "n"]].isna().all()


def test_the_interval_is_that_of_classes_drawn_together(runs):
    """A plain percentile bootstrap, written out: both runs are asked for the same classes."""
    found = pair(runs)
    unseen = found.classes.set_index("note").loc["CZSL unseen", "difference"].to_numpy()
    random = np.random.default_rng(5)
    drawn = random.choice(unseen, size=(20_000, len(unseen))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    over = found.figures.set_index("name").loc["Acc"]
    width = high - low
    assert abs(over["low"] - low) < 0.35 * width
    assert abs(over["high"] - high) < 0.35 * width


def by_hand(record, task, side):
    """Accuracy of each class by name from the table of predictions, as fractions."""
    names = record.table("classes").set_index("class_id")["name"]
    of = {}
    for row in record.table("predictions").to_dict("records"):
        if row["side"] == side:
            of.setdefault(names[row["label"]], []).append(bool(row[f"{task.lower()}_correct"]))
    return {name: Fraction(sum(hits), len(hits)) for name, hits in of.items()}


@pytest.mark.parametrize(("task", "side"), [("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen")])
def test_wins_and_losses_are_those_of_the_predictions(runs, task, side):
    found = pair(runs)
    a, b = (by_hand(run, task, side) for run in (found.a, found.b))
    tally = found.tallies.set_index("name").loc[f"{task} {side}"]
    assert tally["a"] == sum(a[name] > b[name] for name in a)
    assert tally["b"] == sum(a[name] < b[name] for name in a)
    assert tally["equal"] == sum(a[name] == b[name] for name in a)
    assert tally["n"] == len(a)
    classes = found.classes[found.classes["note"] == f"{task} {side}"].set_index("name")
    assert set(classes.index) == set(a)
    for name, one in classes.iterrows():
        assert one["a"] == pytest.approx(float(100 * a[name]))
        assert one["difference"] == pytest.approx(float(100 * (a[name] - b[name])))


def test_the_biggest_wins_and_losses_go_first():
    differences = {"a": 5.0, "b": -40.0, "c": 0.0, "d": 30.0, "e": -1.0, "f": 20.0}
    made = pd.DataFrame({"name": list(differences), "difference": list(differences.values()), "n": 9})
    assert list(extremes(made, 2)["name"]) == ["d", "f", "e", "b"]
    assert list(extremes(made, 9)["name"]) == ["d", "f", "a", "e", "b"]
    assert extremes(made, 0).empty
    tied = pd.DataFrame({"name": ["x", "z", "y"], "difference": 5.0, "n": [8, 9, 9]})
    assert list(extremes(tied, 3)["name"]) == ["y", "z", "x"]


def exact_p(only_a: int, only_b: int) -> float:
    """Twice the chance of a split at least as uneven, by adding up all outcomes of fair coins."""
    n, least = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return float(min(Fraction(1), 2 * Fraction(tail, 2**n)))


@pytest.mark.parametrize(("task", "side"), [("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen")])
def test_images_that_one_run_alone_gets_right(runs, task, side):
    found = pair(runs)
    one, other = (
        {
            row["image"]: row[f"{task.lower()}_correct"]
            for row in run.table("predictions").to_dict("records")
            if row["side"] == side
        }
        for run in (found.a, found.b)
    )
    of = found.images.set_index("name").loc[f"{task} {side}"]
    counts = [sum((one[i], other[i]) == want for i in one)
              for want in ((True, True), (True, False), (False, True), (False, False))]  # fmt: skip
    assert [of["both"], of["a"], of["b"], of["neither"]] == counts
    assert of["n"] == len(one) == sum(counts)
    assert of["p"] == pytest.approx(exact_p(int(of["a"]), int(of["b"])))


def test_runs_that_agree_on_every_image_show_nothing(runs):
    """A closed form with two seeds: p is 1, and there is no interval."""
    found = pair(runs, "eszsl", "eszsl", (0, 1))
    assert set(found.images[["a", "b", "p"]].itertuples(index=False, name=None)) == {(0, 0, 1.0)}
    assert set(found.tallies[["a", "b"]].itertuples(index=False, name=None)) == {(0, 0)}
    assert (found.figures["difference"] == 0).all()
    assert not [title for title, _ in found.tables() if "biggest" in title]


def test_swapping_the_runs_turns_everything_round(runs):
    found, turned = pair(runs), pair(runs, "gan", "eszsl")
    for name in ("figures", "classes", "images", "seeds", "tallies"):
        here, there = getattr(found, name), getattr(turned, name)
        assert len(here)
        assert here["difference"].tolist() == pytest.approx((-there["difference"]).tolist(), nan_ok=True)
        assert here["a"].tolist() == pytest.approx(there["b"].tolist(), nan_ok=True)
    assert found.images["p"].tolist() == turned.images["p"].tolist()


# --- seeds --------------------------------------------------------------------------------------------


def test_lines_are_paired_over_their_common_seeds(runs):
    _, of = runs
    found = pair(runs)
    assert list(found.seeds["name"]) == ["Acc", "U", "S", "H"]
    for one in found.seeds.itertuples():
        key = one.name.lower()
        a, b = ([100 * r.metrics[key] for r in of[name].records[:3]] for name in ("eszsl", "gan"))
        assert one.n == 3  # the fourth seed of B has no counterpart
        assert (one.a, one.b) == (pytest.approx(np.mean(a)), pytest.approx(np.mean(b)))
        assert one.difference == pytest.approx(np.mean(np.subtract(a, b)))
        assert "3 seeds" in one.note


def test_seeds_can_be_left_out_and_asked_for(runs):
    assert len(pair(runs, seeds=(0, 0)).seeds)
    store, of = runs
    gan, oracle, eszsl = (of[name].records for name in ("gan", "oracle", "eszsl"))
    assert compare(eszsl[0], gan[0], store=store, seeds=False).seeds.empty
    asked = compare(eszsl[0], oracle[0], store=store, seeds=True)
    assert asked.seeds.empty
    assert "3 of A, 1 of B, 1 in common" in asked.remarks[0]
    assert compare(eszsl[0], oracle[0], store=store).remarks == ()
    same_run = compare(gan[0], gan[1], store=store, seeds=True)  # they differ in their seed only
    assert same_run.seeds.empty and len(same_run.remarks) == 1


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def call(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    store, of = runs

    def one(a, b, *arguments):
        ids = [of[name].records[seed].info.id for name, seed in (a, b)]
        return CliRunner().invoke(cli, ["compare", *ids, "--store", str(store.root), *arguments])

    return one


def test_sections_for_readers(call):
    done = call(("eszsl", 0), ("gan", 0), "--classes", "2")
    assert done.exit_code == 0, done.output
    for words in ("what differs", "figures, %", "figures over 3 seeds", "GZSL: classes", "images", "A − B"):
        assert words in done.stdout
    assert "A: eszsl on toy" in done.stderr
    assert "McNemar" in done.stderr


def test_oracle_is_marked(call):
    done = call(("eszsl", 0), ("oracle", 0), "--format", "markdown")
    header = next(line for line in done.stdout.splitlines() if line.startswith("| figure"))
    assert "| B† |" in " ".join(header.split())
    assert "| A |" in " ".join(header.split())
    assert "† oracle" in done.stdout  # below the tables, as all notes in markdown


def test_nothing_but_the_seed(call):
    done = call(("gan", 0), ("gan", 1))
    assert "but the seed" in done.stderr


def test_rows_for_programs(call, runs):
    done = call(("eszsl", 0), ("gan", 0), "--format", "json")
    rows = json.loads(done.stdout)
    found = pair(runs)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    classes = [row for row in rows if row["section"] == "class"]
    assert len(classes) == len(found.classes)
    acc = next(row for row in rows if (row["section"], row["name"]) == ("figures", "Acc"))
    assert acc["difference"] == pytest.approx(found.figures["difference"].iloc[0])
    as_csv = call(("eszsl", 0), ("gan", 0), "--format", "csv").stdout.splitlines()
    assert as_csv[0].split(",") == list(rows[0])
    assert len(as_csv) == len(rows) + 1


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "csv", "latex", "json", "html"])
def test_every_format_can_be_written(call, fmt):
    done = call(("eszsl", 0), ("gan", 0), "--format", fmt)
    assert done.exit_code == 0, done.output
    assert done.stdout


def test_runs_that_cannot_be_compared_end_with_one(call):
    done = call(("eszsl", 0), ("other split", 0))
    assert done.exit_code == 1
    assert "Error: not comparable: " in done.stderr and "splits" in done.stderr
    assert "what differs" in done.stdout
    assert "A − B" not in done.stdout


def test_unknown_runs(runs, call):
    store, _ = runs
    with pytest.raises(UnknownName, match="no run 'zzz'"):
        compare("zzz", "yyy", store=store)


def test_damaged_tables_are_said(runs, tmp_path: Path):
    store, of = runs
    shutil.copytree(store.root, tmp_path / "store")
    broken = Store(tmp_path / "store")
    one, other = (of[name].records[0].info.id for name in ("eszsl", "gan"))
    (broken.runs / one / "classes.parquet").write_bytes(b"nothing")
    with pytest.raises(ZslbenchError, match="damaged"):
        compare(one[:8], other[:8], store=broken)


def test_every_pair_of_runs_can_be_compared(runs):
    store, of = runs
    for a, b in itertools.combinations([result.records[0] for result in of.values()], 2):
        found = compare(a, b, store=store)
        assert bool(found.refusals) == found.figures.empty
        assert found.rows()
