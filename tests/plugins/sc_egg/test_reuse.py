"""Runs that share stages: which are found again, and that a run's results are the same with and without."""

from __future__ import annotations

import shutil

import pytest

from zslbench.plugin.lookup import PluginInfo

SCEN = {"stage1", "stage2", "range", "g"}
FINAL = "final/embedding/"


def reused(record, fold=FINAL):
    """Of each stage of the embedding: whether it was found."""
    events = record.environment["stages"]
    return {one["stage"].removeprefix(fold): one["reused"] for one in events if one["stage"].startswith(fold)}


def results(record):
    """Everything that a run says apart from when it was and what was reused."""
    tables = {name: record.table(name) for name in ("networks", "predictions", "epochs", "classes", "curve")}
    return record.metrics, tables


def assert_same(one, other):
    (metrics, tables), (other_metrics, other_tables) = results(one), results(other)
    assert metrics == other_metrics
    for name, table in tables.items():
        assert table.equals(other_tables[name]), name


@pytest.fixture(scope="module")
def computed(run_in, tmp_path_factory):
    """A store with one run, and that run."""
    store = tmp_path_factory.mktemp("store")
    return store, run_in(store, epochs=1)


@pytest.fixture
def first(computed, tmp_path):
    """The run, whose stages alone are kept in the test's own store."""
    store, record = computed
    shutil.copytree(store / "stages", tmp_path / "stages")
    return record


@pytest.fixture
def run(small_run):
    return lambda settings=None, **options: small_run(settings, **({"epochs": 1} | options))


def test_a_run_with_and_without_kept_stages_is_the_same(run, first, tmp_path):
    """The second one differs in stage 3, so that it is no run that was computed before."""
    warm = run({"generator.lr": 3e-4})
    cold = run({"generator.lr": 3e-4}, store=tmp_path / "cold")
    assert reused(first) == reused(cold) == dict.fromkeys(SCEN, False)
    assert reused(warm) == dict.fromkeys(SCEN, True)
    assert warm.info.id == cold.info.id != first.info.id
    assert_same(warm, cold)


@pytest.mark.parametrize(
    "settings",
    [
        {"generator.lambda_u": 0.0, "generator.hidden": 8},
        {"classifier.lr": 0.01},
    ],
)
def test_a_changed_later_stage_retrains_nothing_of_scen(run, first, settings):
    assert reused(run(settings)) == dict.fromkeys(SCEN, True)


@pytest.mark.slow
def test_a_changed_stage_2_finds_stage_1(run, first, tmp_path):
    changed = run({"embedding.stage2.epochs": 3})
    assert reused(changed) == dict.fromkeys(SCEN, False) | {"stage1": True}
    assert_same(changed, run({"embedding.stage2.epochs": 3}, store=tmp_path / "cold"))
    changed = run({"embedding.stage2.lr": 2e-4})
    assert reused(changed) == dict.fromkeys(SCEN, False) | {"stage1": True}


def test_a_changed_stage_1_finds_nothing(run, first):
    assert reused(run({"embedding.stage1.lambda_g": 0.5})) == dict.fromkeys(SCEN, False)


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {"seeds": [1]}),
        ({"dataset.seed": 1}, {}),
        ({}, {"semantics": "original_att"}),
        ({}, {"threads": 2}),
    ],
)
def test_other_seeds_data_and_machines_share_nothing(run, first, settings, options):
    assert reused(run(settings, **options)) == dict.fromkeys(SCEN, False)


def test_other_versions_share_nothing(run, first, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zslbench.__version__", "99.0")
        assert reused(run()) == dict.fromkeys(SCEN, False)
    with monkeypatch.context() as patch:
        patch.setattr(PluginInfo, "source_digest", property(lambda self: "edited"))
        assert reused(run()) == dict.fromkeys(SCEN, False)


def test_force_computes_anew(run, first):
    forced = run(force=True)
    assert reused(forced) == dict.fromkeys(SCEN, False)
    assert_same(forced, first)


def test_a_damaged_stage_is_noticed_told_and_computed_again(run, first, tmp_path):
    paths = sorted((tmp_path / "stages").glob("*.safetensors"))
    assert len(paths) == len(SCEN)
    for path in paths:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    again = run({"generator.lr": 3e-4})
    assert reused(again) == dict.fromkeys(SCEN, False)
    assert sum("damaged" in note for note in again.notes) == len(SCEN)
    assert reused(run({"generator.lr": 4e-4})) == dict.fromkeys(SCEN, True)


@pytest.mark.slow
def test_the_two_folds_have_stages_of_their_own_and_selection_shares_them(run):
    """``last`` finds what ``val`` computed on all training images."""
    larger = {"dataset.classes": 14}
    chosen = run(larger, select="val")
    assert {"val_h", "h_cal"} <= chosen.metrics.keys()
    assert reused(chosen) == reused(chosen, "validation/embedding/") == dict.fromkeys(SCEN, False)
    last = run(larger, select="last")
    assert reused(last) == dict.fromkeys(SCEN, True)
    networks = [record.table("networks").set_index("tensor")["sha256"] for record in (chosen, last)]
    for name in networks[1].index[networks[1].index.str.startswith("embedding/")]:
        assert networks[0][name] == networks[1][name]
