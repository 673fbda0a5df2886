"""``zslbench ablate`` on real runs of a tiny method."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zslbench
from zslbench.errors import Interrupted, UnknownName

GIVEN = ("--select", "last", "--threads", "1")
SMALL = ("--set", "dataset.images_per_class=6", *GIVEN)


def records(result: Any) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["variant"], row["dataset"]): row for row in json.loads(result.stdout)}


def test_every_variant_is_run_and_compared_with_the_whole(lab: Any) -> None:
    """The figures are those of the runs themselves, and nothing is computed twice."""
    result = lab("ablate", "lab", "--dataset", "toy", "--seeds", "2", *SMALL, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = records(result)
    assert list(found) == [("weak", "toy"), ("other", "toy"), ("full", "toy")]
    assert "runs: 6 computed, 0 found" in result.stderr
    figures = {}
    for name in ("weak", "other", None):
        option = ("--variant", name) if name else ()
        alone = lab("run", "lab", "--dataset", "toy", "--seeds", "2", *SMALL, *option, "--format", "json")
        assert "found in the store: 2 of 2" in alone.stderr
        figures[name] = [row["Acc"] for row in json.loads(alone.stdout)]
    for name in ("weak", "other"):
        row = found[name, "toy"]
        assert row["Acc_mean"] == pytest.approx(sum(figures[name]) / 2)
        apart = [one - whole for one, whole in zip(figures[name], figures[None], strict=True)]
        assert row["Acc_diff_mean"] == pytest.approx(sum(apart) / 2)
        assert row["Acc_diff_std"] == pytest.approx(abs(apart[0] - apart[1]) / 2**0.5)
        assert (row["seeds"], row["state"], row["features"]) == (2, "ok", "simulated")
    assert found["full", "toy"]["Acc_diff_mean"] == 0
    again = lab("ablate", "lab", "--dataset", "toy", "--seeds", "2", *SMALL, "--format", "json")
    assert again.stdout == result.stdout
    assert "runs: 0 computed, 6 found" in again.stderr


def test_the_table_has_the_published_figures_beside_ours(lab: Any) -> None:
    result = lab("ablate", "lab", "--dataset", "toy", *SMALL)
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert lines[0].startswith("Ablation of lab on toy (simulated)")
    assert lines[3].split() == ["variant", *["Acc", "U", "S", "H", "Acc", "H"] * 2]
    weak, other, full = (line.split() for line in lines[5:])
    assert (weak[:3], other[:3]) == (["M", "w/o", "much"], ["M", "w/o", "ridge"])
    assert weak[-6:] == ["80.0", "10.0", "20.0", "13.3", "+10.0", "−21.0"]
    assert full[:2] == ["lab", "(full)"]
    assert full[-6:] == ["70.0", "30.0", "40.0", "34.3", "–", "–"]
    assert "note: published: Table 9" in result.stderr
    # Published: weak > full > other. What came out is told wherever it is another order.
    assert "toy: published Acc" in result.stderr and "weak > full > other" in result.stderr


@pytest.mark.parametrize("fmt", ["csv", "latex", "markdown"])
def test_other_formats(lab: Any, fmt: str) -> None:
    result = lab("ablate", "lab", "--dataset", "toy", "--dataset", "gone", *GIVEN, "--format", fmt)
    assert result.exit_code == 0, result.stderr
    if fmt == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [(row["variant"], row["dataset"]) for row in rows][2:4] == [("full", "toy"), ("weak", "gone")]
        assert rows[0]["Acc_published"] == "80.0"
        assert rows[3]["Acc_published"] == ""
        return
    assert "80.0" in result.stdout
    assert "missing" in result.stdout
    if fmt == "latex":  # one table, data sets side by side
        assert result.stdout.count(r"\toprule") == 1
        assert r"\multicolumn{12}{c}{toy (simulated)}" in result.stdout
        assert r"\multicolumn{6}{c}{gone}" in result.stdout
    else:  # too wide: one table below the other, then the notes
        assert result.stdout.count("**Ablation of lab on") == 2
        assert "\n\npublished: Table 9\n" in result.stdout
        assert "\n\ndata set 'gone': " in result.stdout


def test_a_missing_data_set_is_a_column_unless_all_are(lab: Any) -> None:
    some = lab("ablate", "lab", "--dataset", "gone", "--dataset", "toy", *GIVEN, "--format", "json")
    assert some.exit_code == 0
    found = records(some)
    assert {row["state"] for key, row in found.items() if key[1] == "gone"} == {"missing"}
    assert found["full", "gone"]["Acc_mean"] is None
    assert found["full", "toy"]["Acc_mean"] > 0
    # It is told before the first run, not hours later.
    assert some.stderr.index("'gone'") < some.stderr.index("run 1 of 3")
    none = lab("ablate", "lab", "--dataset", "gone", *GIVEN)
    assert (none.exit_code, none.stdout) == (1, "")
    assert none.stderr.startswith("Error: gone: ") and "Get it from nowhere" in none.stderr


def test_a_faulty_data_set_ends_it_before_anything_is_computed(lab: Any) -> None:
    result = lab("ablate", "lab", "--dataset", "toy", "--dataset", "faulty", *GIVEN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip().endswith("Error: faulty.mat: no features")
    assert json.loads(lab("runs", "--format", "json").stdout) == []


def test_a_run_that_fails_takes_no_other_with_it(lab: Any) -> None:
    result = lab("ablate", "lame", "--dataset", "toy", "--seeds", "2", *SMALL, "--format", "json")
    assert result.exit_code == 1
    found = records(result)
    assert list(found) == [("full", "toy"), ("fails", "toy")]
    assert (found["full", "toy"]["seeds"], found["full", "toy"]["state"]) == (2, "ok")
    assert (found["fails", "toy"]["failed"], found["fails", "toy"]["state"]) == (2, "failed")
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: 2 of 4 runs failed: fails on toy, seed 0: ")
    assert "it cannot be fitted" in last
    # The variant that changes nothing is the method: the same run under either name.
    alone = lab("run", "lame", "--dataset", "toy", *SMALL, "--format", "csv")
    assert "found in the store: 1 of 1" in alone.stderr


def test_chosen_variants_and_always_the_whole(lab: Any) -> None:
    result = lab("ablate", "lab", "--dataset", "toy", *SMALL, "--variants", "other", "--format", "json")
    assert list(records(result)) == [("other", "toy"), ("full", "toy")]
    for name, words in (("othr", "did you mean 'other'?"), ("fulll", "did you mean 'full'?")):
        wrong = lab("ablate", "lab", "--dataset", "toy", "--variants", name)
        assert wrong.exit_code == 2
        assert f"'{name}'" in wrong.stderr and words in wrong.stderr
    bare = lab("ablate", "eszsl", "--dataset", "toy")
    assert bare.exit_code == 2 and "'eszsl'" in bare.stderr and "variants" in bare.stderr


def test_a_setting_that_a_variant_does_not_have_is_left_out_there(lab: Any) -> None:
    given = ("--set", "classifier.ridge=2.5")
    result = lab("ablate", "lab", "--dataset", "toy", *SMALL, *given, "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert "'other'" in result.stderr and "classifier.ridge" in result.stderr
    weak, full = (records(result)[name, "toy"] for name in ("weak", "full"))
    assert weak["Acc_mean"] == full["Acc_mean"]  # what the user sets wins over the variant
    wrong = lab("ablate", "lab", "--dataset", "toy", *SMALL, "--set", "classifier.rige=2.5")
    assert (wrong.exit_code, "did you mean 'ridge'" in wrong.stderr) == (2, True)


def test_a_reading_holds_for_all_of_it(lab: Any) -> None:
    result = lab("ablate", "lab", "--dataset", "toy", *SMALL, "--reading", "code", "--format", "json")
    assert {row["method"] for row in records(result).values()} == {"lab [code]"}
    runs = json.loads(lab("runs", "--format", "json").stdout)
    assert {row["method"] for row in runs} == {"lab [code]", "lab (weak) [code]", "lab (other) [code]"}
    wrong = lab("ablate", "lab", "--dataset", "toy", "--reading", "coed")
    assert "'coed'" in wrong.stderr and "did you mean 'code'?" in wrong.stderr


def test_from_python(lab: Any) -> None:
    settings = {"dataset.images_per_class": 6}
    found = zslbench.ablate("lab", dataset="toy", seeds=[3, 1], settings=settings, select="last", threads=1)
    assert found.seeds == (3, 1)
    assert found.frame()["variant"].tolist() == ["weak", "other", "full"]
    assert found.table()["", "", "variant"].tolist() == ["M w/o much", "M w/o ridge", "lab (full)"]
    assert len(found.records) == 6
    assert found.failures == ()
    with pytest.raises(UnknownName, match="no method 'labb'"):
        zslbench.ablate("labb", dataset="toy")


def test_show_tells_the_reading(lab: Any) -> None:
    for reading in ("print", "code"):
        run = lab("run", "lab", "--dataset", "toy", *SMALL, "--reading", reading, "--format", "json")
        (row,) = json.loads(run.stdout)
        shown = lab("show", row["run"], "--format", "json")
        assert shown.exit_code == 0, shown.stderr
        rows = [(one["name"], one["value"]) for one in json.loads(shown.stdout) if one["about"] == "reading"]
        name, ridge = {"print": ("print (default)", 1.0), "code": ("code", 7.0)}[reading]
        assert rows[0] == ("name", name)
        assert rows[2:] == [("row 1", f"ridge {ridge}"), ("row 2", "as printed")]
    output = lab("run", "lab", "--dataset", "toy", *SMALL, "--variant", "weak", "--reading", "code").stdout
    assert output.startswith("lab (weak) [code] on toy (simulated), selection last, %")
    # A variant without that setting: the method's function fails, and the run is shown all the same.
    run = lab("run", "lab", "--dataset", "toy", *SMALL, "--variant", "other", "--format", "json")
    shown = lab("show", json.loads(run.stdout)[0]["run"])
    assert shown.exit_code == 0
    assert "lab_fake.model:explain failed: KeyError: 'ridge'" in shown.stderr
    assert "print (default)" in shown.stdout


def test_one_that_was_stopped_goes_on(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    from zslbench.experiment import pipeline

    run, calls = pipeline.run, []

    def stopped(recipe: Any, *others: Any) -> Any:
        calls.append(recipe.variant)
        if len(calls) == 2:
            raise Interrupted("stopped; run the same command again to continue")
        return run(recipe, *others)

    monkeypatch.setattr(pipeline, "run", stopped)
    first = lab("ablate", "lab", "--dataset", "toy", *SMALL)
    assert (first.exit_code, first.stdout, calls) == (130, "", ["weak", "other"])
    assert "1 of 3" in first.stderr.splitlines()[-1]
    again = lab("ablate", "lab", "--dataset", "toy", *SMALL, "--format", "csv")
    assert again.exit_code == 0
    assert "runs: 2 computed, 1 found" in again.stderr


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from zslbench.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "ablate", "--help"], capture_output=True, text=True)
    assert "--variants" in done.stdout
    assert not {"torch", "pandas", "numpy", "pydantic", "sklearn"} & set(done.stdout.split())


def test_presets_add_up(lab: Any, tmp_path: Any) -> None:
    """A later one wins where both speak of a setting; each holds where it alone does."""
    for name, text in (("one", "ridge = 2.0\nfails = true"), ("two", "fails = false")):
        (tmp_path / f"{name}.toml").write_text(f"[classifier]\n{text}\n", "utf-8")
    given = [str(tmp_path / f"{name}.toml") for name in ("one", "two")]
    run = lab("run", "lab", "--dataset", "toy", *SMALL, "--preset", given[0], "--preset", given[1])
    assert run.exit_code == 0, run.stderr
    (row,) = json.loads(lab("runs", "--format", "json").stdout)
    shown = {
        one["name"]: one["value"] for one in json.loads(lab("show", row["run"], "--format", "json").stdout)
    }
    assert (shown["classifier.ridge"], shown["preset"]) == ("2.0", " + ".join(given))
    turned = lab("ablate", "lab", "--dataset", "toy", *SMALL, "--preset", given[1], "--preset", given[0])
    assert turned.exit_code == 1  # fails = true wins
    assert "2 of 3 runs failed" in turned.stderr  # not the variant without that classifier


def test_dry_runs_of_run_and_ablate_write_nothing_and_find_what_was_computed(
    lab: Any, tmp_path: Path
) -> None:
    run = ("run", "lab", "--dataset", "toy", "--seeds", "2", *SMALL)
    ablation = ("ablate", "lab", "--dataset", "toy", *SMALL)

    def states(*words: str) -> list[tuple[Any, ...]]:
        planned = lab(*words, "--dry-run", "--format", "json")
        assert planned.exit_code == 0, planned.stderr
        return [(row["line"], row["seed"], row["state"]) for row in json.loads(planned.stdout)]

    assert states(*run) == [("lab", 0, "to run"), ("lab", 1, "to run")]
    assert {one[2] for one in states(*ablation)} == {"to run"}
    assert not (tmp_path / "store").exists()
    assert lab(*run, "--seeds", "1").exit_code == 0
    assert states(*run) == [("lab", 0, "found"), ("lab", 1, "to run")]
    assert [one[2] for one in states(*ablation)] == ["to run", "to run", "found"]
    assert "1 in about" in lab(*run, "--dry-run").stderr
    wrong = lab("run", "lab", "--dataset", "gone", "--dry-run", *GIVEN)
    assert wrong.exit_code != 0 and "not here" in wrong.stderr
