"""Hostile names, damaged runs, runs of every kind, and what is not installed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hostile import NAMES, obeyed
from page_reader import Node, read

from zslbench.cli.main import cli
from zslbench.output import visible
from zslbench.store.record import RunContent, RunRecord
from zslbench.store.store import Store
from zslbench_report.html import networks, page as page_module
from zslbench_report.html.page import SECTIONS, Section, page
from zslbench_report.html.report import Report, outcome_of_runs

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> --> $\\frac{ </svg> \u202e\x1b[2J\0"
FAST = ("--without", "tsne", "--without", "attention")


def of(outcome: Any, method: str, selection: str = "val") -> list[RunRecord]:
    return [one for one in outcome.records if one.info.method == method and one.info.selection == selection]


def rewritten(store: Store, record: RunRecord, ident: str, **changes: Any) -> RunRecord:
    """The run under another id, with some of its content changed."""
    info = dataclasses.replace(record.info, id=ident, folder=store.runs / ident, **changes.pop("info", {}))
    tables = {name: record.table(name) for name in record.table_names}
    tables |= changes.pop("tables", {})
    content = {
        "metrics": record.metrics,
        "environment": record.environment,
        "data": record.data,
        "notes": record.notes,
        **changes,
    }
    return store.write(RunContent(info=info, tables=tables, **content))


def made(records: list[RunRecord], store: Store | None = None, **options: Any) -> tuple[Node, Report]:
    without = frozenset({"tsne", "attention"})
    report = Report(outcome_of_runs(records, "Some runs"), store, without=without, **options)
    return read(page(report)), report


@pytest.mark.slow
def test_names_and_notes_are_escaped(quick_store: Any, tmp_path: Path) -> None:
    _, outcome = quick_store
    store = Store(tmp_path / "store")
    record = of(outcome, "tf-vaegan")[0]
    classes = record.table("classes")
    names = [name for name in NAMES.values() if "\udc80" not in name]
    classes["name"] = [f"{HOSTILE} {names[place % len(names)]} {place}" for place in range(len(classes))]
    written = rewritten(
        store,
        record,
        "hostile",
        info={"variant": HOSTILE, "dataset": HOSTILE},
        notes=[HOSTILE],
        tables={"classes": classes},
        environment={**record.environment, "preset": HOSTILE, "device": HOSTILE, "group": HOSTILE},
        data={**record.data, "validation_note": HOSTILE},
    )
    document, report = made([written], store, command=HOSTILE)
    assert obeyed(page(report)) == []
    assert report.faults == []
    assert len(document.all("script")) == 3 and document.all("img") == []
    assert not [name for node in document.walk() for name in node.attributes if name.startswith("on")]
    shown = " ".join(visible(HOSTILE).split())
    for section in ("results", "classes", "confusion", "protocol", "settings", "provenance", "notes"):
        assert "<script>alert(1)</script>" in document.one("section", id=section).text, section
    assert shown in document.one("section", id="notes").text
    labels = [one.attributes["aria-label"] for one in document.all("svg", role="img")]
    assert labels and all("<script>" in one for one in labels)


def test_a_damaged_table_becomes_a_note(quick_store: Any, tmp_path: Path) -> None:
    store, outcome = quick_store
    copy = Store(tmp_path / "store")
    chosen = [*of(outcome, "eszsl"), *of(outcome, "tf-vaegan")]
    for record in chosen:
        shutil.copytree(store.runs / record.info.id, copy.runs / record.info.id)
    broken, foreign = of(outcome, "eszsl")[0].info.id, of(outcome, "tf-vaegan")[0].info.id
    for table in ("curve", "classes", "epochs"):
        (copy.runs / broken / f"{table}.parquet").write_bytes(b"nothing")
    (copy.runs / foreign / "predictions.parquet").unlink()
    document, report = made(copy.records(), copy)
    notes = document.one("section", id="notes").text
    for run, table in ((broken, "curve"), (broken, "classes"), (broken, "epochs"), (foreign, "predictions")):
        assert any(run in fault and table in fault for fault in report.faults)
        assert f"{run}/{table}.parquet" in notes
    whole = {one.attributes["id"] for one in document.all("section")}
    assert {"results", "curves", "classes", "confusion", "training", "runs"} <= whole
    assert "could not be made" not in document.text
    # The numbers of the damaged run are in its record, which is whole.
    assert len(document.one("section", id="curves").one("table").rows()) == 3


def test_missing_metrics_and_columns_leave_parts_out(quick_store: Any, tmp_path: Path) -> None:
    """No f_gzsl, no epochs, metrics that are missing, tables with other columns."""
    _, outcome = quick_store
    store = Store(tmp_path / "store")
    record = of(outcome, "eszsl")[0]
    czsl = record.table("predictions")[["image", "side", "label", "czsl_prediction", "czsl_correct"]]
    written = [
        rewritten(
            store,
            record,
            "czslonly",
            metrics={"acc": 0.5, "u": None, "s": None, "h": None, "ausuc": None},
            tables={"predictions": czsl, "curve": record.table("curve").iloc[:0]},
        ),
        rewritten(
            store,
            record,
            "odd",
            info={"variant": "odd"},
            environment={},
            tables={"classes": record.table("classes").drop(columns="name"), "epochs": czsl},
        ),
    ]
    document, report = made(written, store)
    assert report.faults == ["run odd: table 'classes' has no column name"]
    assert "could not be made" not in document.text
    assert "50.0" in document.one("section", id="results").one("table").text


def test_a_section_that_fails_becomes_a_sentence(
    quick_store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(report: Report) -> None:
        raise ZeroDivisionError("by <nothing>")

    failing = [Section(one.id, one.title, fails) if one.id == "curves" else one for one in SECTIONS]
    monkeypatch.setattr(page_module, "SECTIONS", failing)
    _, outcome = quick_store
    document, report = made(of(outcome, "eszsl"))
    assert "ZeroDivisionError: by <nothing>" in document.one("section", id="curves").text
    assert any("Seen–unseen curves" in fault for fault in report.faults)
    assert document.one("section", id="classes").all("table")


def test_runs_that_differ_get_separate_lines(quick_store: Any, tmp_path: Path) -> None:
    _, outcome = quick_store
    store = Store(tmp_path / "store")
    records = of(outcome, "tf-vaegan")
    identity = dict(records[0].info.identity)
    identity["settings"] = {
        **identity["settings"],
        "classifier": {**identity["settings"]["classifier"], "lr": 9.5},
    }
    other = rewritten(store, records[0], "other", info={"identity": identity})
    found = outcome_of_runs([*records, other], "")
    assert len(found.lines) == 2
    labels = [one.label for one in found.lines]
    assert any("9.5" in one for one in labels)
    for label in labels:
        entry = found.entries[label, "toy", "val"]
        assert entry.state == ("partial" if "9.5" in label else "done")
    document, _ = made([*records, other])
    rows = {row[0]: row[1:] for row in document.all("table", class_="settings")[0].rows()[1:]}
    assert set(rows) == {"classifier.lr"} and "9.5" in rows["classifier.lr"]


@pytest.mark.slow
def test_variants_are_compared_with_the_full_method(quick_store: Any, tmp_path: Path) -> None:
    _, outcome = quick_store
    store = Store(tmp_path / "store")
    whole = of(outcome, "tf-vaegan")
    less = [
        rewritten(
            store,
            one,
            f"less{one.info.seed}",
            info={"variant": "less"},
            metrics={**one.metrics, "h": one.metrics["h"] - 0.01 * (1 + one.info.seed)},
        )
        for one in whole
    ]
    document, _ = made([*whole, *less])
    section = document.one("section", id="ablation")
    rows = section.one("table").rows()
    assert [row[0] for row in rows] == ["variant", "tf-vaegan", "tf-vaegan (less)"]
    assert rows[1][2] == "" and rows[2][2] == "−2.0" and rows[2][4] == "0.0"
    assert len(section.all("svg", role="img")) == 2


@pytest.mark.slow
def test_attention_of_runs_with_a_stored_embedding(quick_page: Node) -> None:
    section = quick_page.one("section", id="attention")
    pictures = section.all("img")
    assert len(pictures) == 2 * 4 * (2 + 6)
    assert all(one.attributes["src"].startswith("data:image/png;base64,") for one in pictures)
    assert all(one.attributes["alt"] for one in pictures)


def test_tsne_of_a_run_with_stored_networks(quick_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "MOST_PROJECTIONS", 1)
    _, outcome = quick_store
    without = frozenset(one.id for one in SECTIONS) - {"tsne", "notes"}
    runs = outcome_of_runs([*of(outcome, "sc-egg"), *of(outcome, "eszsl")], "")
    section = read(page(Report(runs, without=without))).one("section", id="tsne")
    assert len(section.all("svg", role="img")) == 1
    assert "sc-egg" in section.text
    legend = section.one("ul", class_="legend").text
    assert legend.count(" seen") >= 5 and "unseen, synthetic" not in legend  # eszsl makes none


def test_without_networks_the_page_says_how_to_store_them(quick_store: Any, tmp_path: Path) -> None:
    _, outcome = quick_store
    store = Store(tmp_path / "store")
    record = of(outcome, "tf-vaegan")[0]
    plain = rewritten(store, record, "plain", environment={**record.environment, "weights": None})
    without = frozenset(one.id for one in SECTIONS) - {"tsne"}
    section = read(page(Report(outcome_of_runs([plain], ""), without=without))).one("section")
    assert "--keep-weights" in section.text


@pytest.mark.slow
def test_without_matplotlib_the_numbers_are_there(quick_store: Any, tmp_path: Path) -> None:
    store, _ = quick_store
    file = tmp_path / "r.html"
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from zslbench.cli.main import cli\n"
        f"cli(['report', 'quick', '--store', {str(store.root)!r}, '-o', {str(file)!r}])\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    document = read(file.read_text(encoding="utf-8"))
    assert document.all("svg", role="img") == [] and document.all("img") == []
    assert "zslbench[plot]" in document.one("main").all("p", class_="banner")[-1].text
    assert len(document.one("section", id="results").one("table").rows()) > 8
    assert len(document.one("section", id="curves").one("table").rows()) == 5


# --- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def call(quick_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, store: Path | None = None) -> Result:
        root = quick_store[0].root if store is None else store
        return CliRunner().invoke(cli, ["report", *arguments, "--store", str(root)])

    return run


def test_runs_by_id(call: Any, quick_store: Any, tmp_path: Path) -> None:
    run = of(quick_store[1], "eszsl")[0].info.id
    result = call("--run", run[:10], *FAST)
    assert (result.exit_code, result.stdout) == (0, "report.html\n")
    document = read((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert document.one("h1").text == "One run"
    assert document.one("footer").one("code").text == (
        f"zslbench report --run {run[:10]} --without attention --without tsne"
    )
    assert [row[-1] for row in document.one("section", id="runs").one("table").rows()[1:]] == [run]


def test_runs_by_filter_and_an_unreadable_run(call: Any, quick_store: Any, tmp_path: Path) -> None:
    store, outcome = quick_store
    copy = tmp_path / "store"
    for record in of(outcome, "eszsl", "oracle"):
        shutil.copytree(store.runs / record.info.id, copy / "runs" / record.info.id)
    (copy / "runs" / record.info.id / "run.json").write_text("{}")
    result = call("--select", "oracle", "-o", "o.html", *FAST, store=copy)
    assert result.exit_code == 0
    assert record.info.id in result.stderr
    document = read((tmp_path / "o.html").read_text(encoding="utf-8"))
    assert "never compare" in document.one("p", class_="warn").text
    assert record.info.id in document.one("section", id="notes").text
    assert len(document.one("section", id="runs").one("table").rows()) == 3


def test_a_suite_without_runs_counts_the_other_runs_of_its_methods(
    call: Any, quick_store: Any, tmp_path: Path
) -> None:
    store, outcome = quick_store
    assert "(the store has" not in call("quick", store=tmp_path / "nothing").stderr
    for record in of(outcome, "eszsl"):  # without the ledger that says whose they are
        shutil.copytree(store.runs / record.info.id, tmp_path / "store" / "runs" / record.info.id)
    result = call("quick", *FAST, store=tmp_path / "store")
    assert result.exit_code == 0
    assert "(the store has 3 " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("quick", "--run", "abc"), "give SUITE, or --run"),
        (("--run", "abc", "--method", "eszsl"), "or --filter, --method"),
        (("--without", "curvs"), "did you mean 'curves'?"),
        (("quik",), "quick"),
        (("--method", "nothing"), "no such run"),
        (("quick", "-o", "nowhere/r.html"), "nowhere/r.html"),
        (("--run", "zzz"), "no run 'zzz'"),
    ],
)
def test_bad_arguments_end_in_one_line(
    call: Any, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    result = call(*arguments)
    assert result.exit_code != 0
    assert text in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_suite_without_runs_is_a_table_of_missing_cells(call: Any, tmp_path: Path) -> None:
    result = call("quick", store=tmp_path / "empty")
    assert result.exit_code == 0
    assert "zslbench bench quick" in result.stderr
    document = read((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "8 of 8 cells" in document.one("section", id="missing").text
    assert "missing" in document.one("section", id="results").one("table").text
