"""Searches of compositions of components that no method makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny import RIDGES, TOY, content

import zslbench
from zslbench import Options, Range
from zslbench.cli.main import cli
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.plugin.declarations import Method
from zslbench_tune.space import shared_ranges

PARTS = {"embedding": "identity", "classifier": "eszsl"}


def method(name: str, generator: str, **tunable: Any) -> Method:
    ranges = {key.replace("__", "."): spec for key, spec in tunable.items()}
    return Method(
        name=name,
        group="generative",
        embedding="same",
        generator=generator,
        classifier="linear",
        tunable=ranges,
        summary="x",
    )


def test_ranges_on_which_all_methods_with_a_component_agree() -> None:
    lr, other, hidden = Range(1e-5, 1e-3, log=True), Range(1e-4, 1e-3), Options((8, 16))
    methods = [
        method("a", "gan", generator__lr=lr, generator__hidden=hidden, classifier__lr=lr, classifier__c=lr),
        method("b", "vae", generator__lr=other, classifier__lr=other, classifier__c=lr, embedding__x=lr),
    ]
    parts: dict[Any, str] = {"dataset": "toy", "embedding": "same", "classifier": "linear"}
    assert shared_ranges(methods, parts) == {"classifier.c": lr}
    gan = shared_ranges(methods, parts | {"generator": "gan"})
    assert gan == {"generator.lr": lr, "generator.hidden": hidden, "classifier.c": lr}
    assert shared_ranges(methods, {"embedding": "mine"}) == {}


def test_the_parts_of_a_method_are_searched_like_the_method(tune: Any, run: Any, tmp_path: Path) -> None:
    whole = tune(trials=2, search=None, validation_splits=2)
    options: dict[str, Any] = {"threads": 1, "device": "cpu", "store": tmp_path / "store"}
    fixed = TOY | {"embedding.normalize": "l2"}  # as the method has it
    found = zslbench.tune(dataset="toy", trials=2, settings=fixed, validation_splits=2, **PARTS, **options)
    assert content(found) == content(whole)
    assert found.study != whole.study
    record = zslbench.run(dataset="toy", preset=str(found.preset), settings=TOY, **PARTS, **options).records[
        0
    ]
    assert record.notes == ()
    assert record.metrics["val_h"] == found.best.splits[0]


def test_either_a_method_or_its_parts(tmp_path: Path) -> None:
    for wrong in ({"method": "eszsl", **PARTS}, {"embedding": "identity"}, {}):
        with pytest.raises(ZslbenchError, match="--classifier"):
            zslbench.tune(dataset="toy", store=tmp_path, **wrong)
    with pytest.raises(SettingsError, match="--search"):  # nothing is declared for its components
        zslbench.tune(dataset="toy", store=tmp_path, embedding="identity", classifier="attribute-scores")


def test_the_command_that_runs_the_winner_names_the_parts(tmp_path: Path) -> None:
    command = ["tune", "--dataset", "toy", "--threads", "1", "--trials", "1", "--store", str(tmp_path)]
    command += [part for key, value in PARTS.items() for part in (f"--{key}", value)]
    command += [part for key, value in RIDGES.items() for part in ("--search", f"{key}={value}")]
    command += [part for key, value in TOY.items() for part in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert "zslbench run --embedding identity --classifier eszsl --dataset toy --preset" in result.stderr
