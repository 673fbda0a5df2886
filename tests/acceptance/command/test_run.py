"""``zslbench run``: what it shows, what it finds again, and what each of its options does."""

from __future__ import annotations

import csv
import io
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from zslbench.store.record import RunRecord
from zslbench.store.store import Store

FIGURES = ("Acc", "U", "S", "H", "AUSUC")


def rows(result: Any) -> list[dict[str, Any]]:
    """The rows of a run that was asked for json."""
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def figures(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (*FIGURES, "U_cal", "S_cal", "H_cal", "epochs")}


def record(zslbench: Any, row: dict[str, Any]) -> Any:
    return Store(zslbench.store).resolve(row["run"])


def test_a_run_shows_a_row_per_seed_and_their_mean(zslbench: Any) -> None:
    result = zslbench.quick("--seeds=3")
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["tf-vaegan", "on", "toy", "(simulated),", "selection", "val,", "%"]
    assert lines[1] == ["seed", *FIGURES, "U_cal", "S_cal", "H_cal", "epochs", "run"]
    assert [line[0] for line in lines[3:]] == ["0", "1", "2", "mean"]

    found = rows(zslbench.quick("--seeds=3", "--format=json"))
    assert [row["seed"] for row in found] == [0, 1, 2]
    last = next(line for line in result.stdout.splitlines() if "mean ± std" in line)
    shown = re.findall(r"(\d+\.\d) ± (\d+\.\d)", last)
    for name, (mean, std) in zip((*FIGURES, "U_cal", "S_cal", "H_cal"), shown, strict=True):
        values = [row[name] for row in found]
        assert mean == f"{statistics.mean(values):.1f}"
        assert std == f"{statistics.stdev(values):.1f}"  # over n - 1
    for row in found:
        u, s = row["U"], row["S"]
        assert row["H"] == pytest.approx(2 * u * s / (u + s) if u + s else 0)
        assert all(0 <= row[name] <= 100 for name in FIGURES)


def test_a_finished_run_is_found_and_force_repeats_it(zslbench: Any) -> None:
    first = rows(zslbench.quick("--format=json"))
    folder = record(zslbench, first[0]).folder
    again = zslbench.quick("--format=json", "--seeds=2")
    assert rows(again)[0] == first[0]  # down to the seconds that it took
    assert "found in the store: 1 of 2" in again.stderr
    assert record(zslbench, first[0]).folder == folder
    assert "found in the store" not in zslbench.quick("--seed=7").stderr

    forced = zslbench.quick("--format=json", "--force")
    assert "found in the store" not in forced.stderr
    newer = record(zslbench, rows(forced)[0])
    assert newer.folder != folder and newer.finished > RunRecord(folder).finished
    assert figures(rows(forced)[0]) == figures(first[0])
    assert rows(forced)[0]["run"] == first[0]["run"]
    assert sorted(one.info.seed for one in Store(zslbench.store).records()) == [0, 1, 7]


def test_seeds_one_by_one_are_the_seeds_of_a_range(zslbench: Any) -> None:
    chosen = rows(zslbench.eszsl("--seed=5", "--seed=1", "--format=json"))
    assert [row["seed"] for row in chosen] == [5, 1]
    assert chosen[1]["run"] == rows(zslbench.eszsl("--seeds=2", "--format=json"))[1]["run"]


def test_variant_preset_and_settings_are_what_is_run(zslbench: Any, tmp_path: Path) -> None:
    plain = record(zslbench, rows(zslbench.quick("--format=json"))[0]).info.identity["settings"]
    assert plain["generator"]["feedback"] is True
    assert plain["generator"]["lr"] == 3e-3  # of the preset for toy, found by the data set's name
    assert plain["generator"]["hidden"] == 8
    assert plain["generator"]["epochs"] == 2

    found = rows(zslbench.quick("--variant=no-feedback", "--format=json"))[0]
    assert found["method"] == "tf-vaegan (no-feedback)"
    variant = record(zslbench, found)
    assert variant.info.variant == "no-feedback"
    assert variant.info.identity["settings"]["generator"]["feedback"] is False

    file = tmp_path / "mine.toml"
    file.write_text("[generator]\nlr = 0.25e-3\nhidden = 999\n[embedding]\nnormalize = 'l2'\n", "utf-8")
    for preset, lr in (("cub", 1e-4), ("tf-vaegan:awa2", 1e-5), (str(file), 0.25e-3)):
        one = record(zslbench, rows(zslbench.quick(f"--preset={preset}", "--format=json"))[0])
        assert one.info.identity["settings"]["generator"]["lr"] == lr
        assert one.info.identity["settings"]["generator"]["hidden"] == 8  # --set wins
        assert one.environment["preset"] == preset
    assert one.info.identity["settings"]["embedding"]["normalize"] == "l2"


def test_values_of_settings_have_their_types(zslbench: Any) -> None:
    result = zslbench.quick(
        "--set=generator.feedback=false", "--set=generator.latent=3", "--set=generator.lr=2e-4",
        "--set= generator.a1 = 0.5 ", "--format=json",
    )  # fmt: skip
    settings = record(zslbench, rows(result)[0]).info.identity["settings"]["generator"]
    names = ("feedback", "latent", "lr", "a1")
    assert tuple(settings[name] for name in names) == (False, 3, 2e-4, 0.5)
    # "none" is None where a setting may be None, and the word where it is one of the words.
    latent = rows(zslbench.quick("--set=generator.latent=none", "--format=json"))[0]
    assert latent["run"] == rows(zslbench.quick("--format=json"))[0]["run"]
    scaled = rows(zslbench.eszsl("--set=embedding.normalize=none", "--format=json"))[0]
    assert record(zslbench, scaled).info.identity["settings"]["embedding"]["normalize"] == "none"


def test_selection_on_test_images_is_marked(zslbench: Any) -> None:
    shown = zslbench.quick("--select=oracle", "--seeds=2")
    assert shown.exit_code == 0, shown.stderr
    seeds = [line.split()[0] for line in shown.stdout.splitlines() if re.match(r"\s+\d", line)]
    assert seeds == ["0†", "1†"]
    assert "mean ± std†" in shown.stdout
    assert "† oracle: epochs and classifiers chosen on the test images" in shown.stderr
    oracle = rows(zslbench.quick("--select=oracle", "--format=json"))[0]
    assert oracle["selection"] == "oracle"
    assert oracle["H_cal"] is None
    honest = zslbench.quick("--select=val")
    assert "†" not in honest.stdout + honest.stderr
    assert rows(zslbench.quick("--select=last", "--format=json"))[0]["epochs"] == 2
    assert "0 (last)" in zslbench.quick("--select=last").stdout


def test_the_schedule_is_the_one_selected(zslbench: Any) -> None:
    found = rows(zslbench.quick("--epochs=3", "--every=2", "--format=json"))[0]
    one = record(zslbench, found)
    assert one.info.identity["selection"] == {"mode": "val", "every": 2}
    epochs = one.table("epochs")
    validation = epochs[epochs["stage"] == "validation/generator"]
    assert list(validation["epoch"]) == [1, 2, 3]
    assert list(validation["val_h"].notna()) == [False, True, True]
    assert found["epochs"] in (2, 3)
    assert (epochs["stage"] == "final/generator").sum() == found["epochs"]


def test_a_composition_by_hand_gives_the_methods_figures(zslbench: Any) -> None:
    parts = ("run", "--embedding=identity", "--classifier=eszsl", "--dataset=toy", "--threads=1")
    by_hand = zslbench(*parts, "--select=last", "--set=embedding.normalize=l2", "--format=json")
    composed, method = rows(by_hand)[0], rows(zslbench.eszsl("--format=json"))[0]
    assert composed["method"] == "identity+none+eszsl"
    assert figures(composed) == figures(method)
    assert composed["run"] != method["run"]
    other = ("--embedding=identity", "--generator=tf-vaegan", "--classifier=softmax", "--dataset=toy")
    generative = zslbench("run", *other, *zslbench.options, "--format=json")
    assert rows(generative)[0]["method"] == "identity+tf-vaegan+softmax"


def test_formats_for_programs_hold_nothing_else(zslbench: Any) -> None:
    result = zslbench.quick("--format=csv", "--seeds=2")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["seed"] for row in table] == ["0", "1"]
    assert "tf-vaegan · toy · seed 1" in result.stderr
    found = rows(zslbench.quick("--format=json", "--seeds=2"))
    assert {float(row["H"]) for row in table} == {row["H"] for row in found}
    assert rows(zslbench.eszsl("--format=json"))[0]["epochs"] is None


def test_progress_is_plain_lines_on_standard_error(zslbench: Any) -> None:
    result = zslbench.quick()
    assert "\x1b" not in result.output
    stages = [line.split(":")[0].strip() for line in result.stderr.splitlines() if ": epoch " in line]
    assert stages == [
        "validation/generator",
        "validation/gzsl",
        "final/generator",
        "final/gzsl",
        "final/czsl",
    ]
    assert re.search(r"validation/generator: epoch 2/2, \d+ s, 0 s left  decoder_loss", result.stderr)
    assert "epoch" not in result.stdout.replace("epochs", "")


@pytest.mark.parametrize(
    ("fmt", "count", "pattern"),
    [("latex", 3, r"\\begin\{tabular\}\{.*?\\end\{tabular\}"), ("markdown", 5, r"(?m)^\|.*\|$")],
)
def test_formats_for_papers_are_whole(zslbench: Any, fmt: str, count: int, pattern: str) -> None:
    text = zslbench.eszsl("--seeds=2", f"--format={fmt}").stdout
    assert re.search(pattern, text, re.DOTALL if fmt == "latex" else 0)
    if fmt == "latex":
        assert "81.5 $\\pm$ 0.0" in text
        body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
        assert body.count(r"\\") == count
        widths = {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}
    else:
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == count
        widths = {line.count("|") for line in lines}
    assert len(widths) == 1


def test_weights_are_kept_on_request(zslbench: Any) -> None:
    without = record(zslbench, rows(zslbench.eszsl("--format=json"))[0])
    assert without.networks() == {}
    result = zslbench.eszsl("--keep-weights")
    assert "weights" in result.stderr and "--force" in result.stderr
    kept = record(zslbench, rows(zslbench.eszsl("--keep-weights", "--force", "--format=json"))[0])
    assert set(kept.networks()) == set(kept.table("networks")["tensor"])
