"""``zslbench published``."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from zslbench.errors import UnknownName
from zslbench.experiment import PublishedResults
from zslbench_published.cli import published


def call(*arguments: str) -> Any:
    return CliRunner().invoke(published, arguments, catch_exceptions=True)


def test_a_method_in_any_spelling() -> None:
    result = call("gcm_cf", "--dataset", "AWA2", "--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [(row["h"], row["disputed"]) for row in rows] == [(60.3, True), (67.0, False)]
    assert rows[0]["h_mark"] == "‡"
    assert rows[0]["h_recomputed"] == pytest.approx(66.9526, abs=1e-3)
    assert rows[0]["note"].startswith("printed H 60.3, but")
    assert "does not follow" in result.stderr


def test_all_of_them_for_programs() -> None:
    rows = list(csv.DictReader(call("--format", "csv").stdout.splitlines()))
    known = PublishedResults.load().rows
    mine = [row for row in rows if not row["variant"]]
    assert len(mine) == len(known)
    assert {(row["method"], row["dataset"], row["h"]) for row in mine} == {
        (one.method, one.dataset, str(one.figures["H"]) if one.printed["H"] else "") for one in known
    }
    # The ablation that a plugin declares is listed after its method.
    variants = [row for row in rows if row["variant"]]
    assert {row["variant"] for row in variants} >= {"baseline", "no-lce", "full"}


def test_the_first_row_is_the_one_that_is_found() -> None:
    rows = json.loads(call("sdgzsl", "--dataset", "cub", "--format", "json").stdout)
    first = PublishedResults.load().find("sdgzsl", "cub")
    assert first is not None
    assert (rows[0]["source"], rows[0]["h"]) == (first.source, first.figures["H"])


def test_for_readers() -> None:
    text = call("sc-egg", "--dataset", "sun").stdout
    assert "69.2" in text
    assert "no-lce" in text
    every = call("--dataset", "awa2")
    assert "60.3‡" in every.stdout
    assert "GCM-CF on awa2 (SC-EGG IJCAI-22 Table 1): printed H 60.3" in every.stdout
    assert "probably AWA1" not in every.stdout  # notes only where there is room
    assert "zslbench published METHOD" in every.stderr
    assert "probably AWA1" in call("f-clswgan").stdout


def test_one_source() -> None:
    rows = json.loads(call("--source", "ijcai-22 table 1", "--format", "json").stdout)
    assert len(rows) == 17 * 3
    assert {row["source"] for row in rows} == {"SC-EGG IJCAI-22 Table 1"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Sc-Eg"], "did you mean 'sc-egg'"),
        (["sc-egg", "--dataset", "flo"], "known: awa2, cub, sun"),
        (["sc-egg", "--source", "SDGZSL"], "'SDGZSL'"),
    ],
)
def test_unknown_names(arguments: list[str], words: str) -> None:
    result = call(*arguments)
    assert words in str(result.exception)
    assert result.exit_code != 0


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom zslbench_published.cli import published\n"
        "published(['--format', 'csv'], standalone_mode=False)\n"
        "heavy = {'torch', 'pandas', 'numpy', 'scipy', 'sklearn', 'pydantic'}\n"
        "print(sorted(heavy & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_a_method_that_no_source_has_is_not_a_spelling_mistake() -> None:
    for name in ("clip", "DAP"):
        result = call(name)
        assert isinstance(result.exception, UnknownName) and "did you mean" not in str(result.exception)
