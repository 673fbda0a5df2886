"""The preset that a search writes, and the runs that use it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny import RATES, TOY, TRAINED

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.presets import parse_preset
from zslbench_tune.result import preset_text
from zslbench_tune.space import parse_search, space_of


def dataset_settings(of: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in of.items() if key.startswith("dataset.")}


@pytest.mark.slow
def test_the_winner_as_a_preset_and_its_runs(tune: Any, run: Any, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "mine.toml"
    found = tune(trained=True, output=file)
    assert found.preset == file
    record = run("tf-vaegan", settings=dataset_settings(TRAINED), preset=str(file), select="last")
    # Every setting is the winner's or was fixed in the search.
    settings = record.info.identity["settings"]
    expected = TRAINED | dict(found.best.settings) | {"generator.epochs": 3}
    assert {key: settings[key.partition(".")[0]][key.partition(".")[2]] for key in expected} == expected
    toy = resolve(registry(), "toy", method="tf-vaegan", settings=expected).parts
    assert {kind: part.values() for kind, part in toy.items()} == settings
    # It trains the part of the schedule that was best.
    assert record.metrics["epochs"] == record.info.identity["selection"]["until"] == found.best.epochs
    # The record has their provenance.
    (tuned,) = record.environment["tuned"]
    provenance = tomllib.loads(file.read_text("utf-8"))["provenance"]
    assert tuned == {"preset": str(file), **provenance}
    assert provenance["value"] == found.best.value
    assert provenance["values"] == [found.best.seeds[0]]
    assert (provenance["trials"], provenance["trial"]) == (2, found.best.number)
    assert provenance["space"] == {"generator.lr": "0.001:0.1:log"}
    assert provenance["study"] == found.study
    assert provenance["journal"] == found.journal.name
    assert provenance["data"]["validation"] == record.data["validation_fingerprint"]
    assert provenance["plugins"].keys() == {"common", "datasets", "tf-vaegan"}
    assert record.notes == ()
    shown = CliRunner().invoke(
        cli, ["show", record.info.id, "--store", str(tmp_path / "runs"), "--format", "json"]
    )
    rows = {(row["about"], row["name"]): row["value"] for row in json.loads(shown.stdout)}
    assert rows["search", "study"] == found.study
    assert rows["search", "objective"] == "H on the validation split, mean over seeds"
    assert "tuned" not in {name for _, name in rows}


def test_what_was_tuned_is_not_searched_again(tune: Any, run: Any) -> None:
    found = tune(search={"classifier.gamma": [0.1, 1.0]}, trials=2)
    record = run("eszsl", preset=str(found.preset))
    assert record.info.identity["search"] == {}
    assert record.info.identity["settings"]["classifier"]["gamma"] == found.best.settings["classifier.gamma"]
    assert record.metrics["val_h"] == found.best.value
    untuned = run("eszsl")
    assert set(untuned.info.identity["search"]) == {"classifier.gamma", "classifier.lam", "classifier.coding"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"settings": TOY | {"dataset.unseen": 4}}, "validation split"),
        ({"method": "tf-vaegan", "epochs": 1}, "method eszsl, not tf-vaegan"),
        ({}, None),
    ],
)
def test_a_preset_for_another_search_gets_a_note(tune: Any, run: Any, options: Any, words: Any) -> None:
    found = tune(trials=1)
    text = found.preset.read_text("utf-8")
    settings = options.get("settings", TOY)
    if options.get("method"):  # only settings that both methods have
        text = "[embedding]\nnormalize = 'l2'\n" + text[text.index("\n[provenance]") :]
        found.preset.write_text(text, "utf-8")
        settings = settings | {"generator.hidden": 8, "generator.per_class": 4, "classifier.epochs": 1}
    options = {"method": "eszsl"} | options | {"settings": settings}
    record = run(options.pop("method"), preset=str(found.preset), **options)
    notes = [note for note in record.notes if "was tuned for" in note]
    assert len(notes) == (words is not None)
    if words:
        assert words in notes[0]
        assert str(found.preset) in notes[0]


def test_a_preset_for_another_data_set(tune: Any) -> None:
    found = tune(trials=1)
    text = found.preset.read_text("utf-8").replace('dataset = "toy"', 'dataset = "cub"')
    found.preset.write_text(text.replace('features = "simulated"', 'features = "res101"'), "utf-8")
    record = zslbench.run(
        "eszsl", dataset="toy", preset=str(found.preset), settings=TOY, threads=1, store=found.preset.parent
    ).records[0]
    assert record.notes[-1] == (
        f"preset {found.preset} was tuned for data set cub, not toy; features res101, not simulated"
    )


def test_every_kind_of_setting_is_written_and_read_back() -> None:
    changes = {"generator.penalty_bounds": (1e-8, 1e300), "generator.latent": None, "generator.a1": 0.1 + 0.2}
    recipe = resolve(registry(), "toy", method="tf-vaegan", settings=changes)
    space = space_of(recipe, requested=dict([parse_search("generator.lr=1:2")]), tunable={}, fixed={})
    odd = {"study": 'a"b\\c\nd\x7f€', "n": 1e-300, "flag": True, "list": [1, 2.5], "data": {"a b": "x"}}
    text = preset_text(recipe, space, odd, "the validation split")
    preset = parse_preset(text, "x")
    assert preset.provenance == odd
    flat = preset.settings
    assert not any(key.startswith(("dataset.", "provenance")) for key in flat)
    plain = resolve(registry(), "toy", method="tf-vaegan", settings=flat)
    assert {kind: part.values() for kind, part in plain.parts.items()} == {
        kind: part.values() for kind, part in recipe.parts.items()
    }


def test_provenance_that_is_not_a_table() -> None:
    with pytest.raises(SettingsError, match="preset x: 'provenance'"):
        parse_preset("provenance = 3", "x")
    assert parse_preset("[generator]\nlr = 1.0", "x").provenance is None


def test_presets_replace_only_their_own(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"x\.txt"):
        tune(output=tmp_path / "x.txt")
    mine = tmp_path / "mine.toml"
    mine.write_text("[generator]\nlr = 1.0\n", "utf-8")
    with pytest.raises(SettingsError, match=r"mine\.toml"):
        tune(output=mine)
    assert mine.read_text("utf-8") == "[generator]\nlr = 1.0\n"
    first = tune(trials=1, output=tmp_path / "own.toml")
    again = tune(trials=6, output=tmp_path / "own.toml")  # replaces its own preset
    assert parse_preset(again.preset.read_text("utf-8"), "x").provenance["trials"] == 6  # type: ignore[index]
    assert first.preset == again.preset
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_none_of_the_trials_has_a_value(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(ZslbenchError, match=r"none of 2 trials .*not finite"):
        tune(trained=True, search={"generator.lr": [1e30, 2e30]}, output=tmp_path / "x.toml")
    assert not (tmp_path / "x.toml").exists()


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    command = ["tune", "eszsl", "--dataset", "toy", "--threads", "1", "--trials", "3", "--seeds", "2"]
    command += ["--search", "classifier.gamma=1e-3:1e3:log", "--set", "classifier.lam=0.123"]
    command += [part for key, value in TOY.items() for part in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(cli, [*command, "--format", "json", "-o", str(tmp_path / "w.toml")])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert len(rows) == 3
    assert [row["val_H"] for row in rows] == sorted((row["val_H"] for row in rows), reverse=True)
    assert f"preset saved: {tmp_path / 'w.toml'}" in result.stderr
    preset = parse_preset((tmp_path / "w.toml").read_text("utf-8"), "w").settings
    assert preset["classifier.lam"] == 0.123
    assert preset["classifier.gamma"] == rows[0]["classifier.gamma"]
    shown = CliRunner().invoke(cli, [*command, "-o", str(tmp_path / "w.toml")])
    assert "best of 3 trials" in shown.stdout
    assert f"{rows[0]['classifier.gamma']:.4g}" in shown.stdout
    twice = CliRunner().invoke(cli, [*command, "--search", "classifier.gamma=1,2"])
    assert twice.exit_code == 2 and "--search classifier.gamma" in twice.stderr


@pytest.mark.parametrize("missing", ["optuna", "tomlkit"])
def test_without_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "zslbench_tune.study", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    result = CliRunner().invoke(cli, ["tune", "eszsl", "--dataset", "toy"])
    assert result.exit_code == 1
    assert "pip install 'zslbench[tune]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_rates_of_the_tests_are_a_space() -> None:
    recipe = resolve(registry(), "toy", method="tf-vaegan", settings=TRAINED)
    assert space_of(recipe, requested=RATES, tunable={}, fixed=TRAINED).origin == "user"
