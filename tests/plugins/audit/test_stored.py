"""Audits in the store: written whole, found for the runs they apply to, outdated once code changes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import zslbench
import zslbench_audit as audit
from zslbench.cli.main import cli
from zslbench.errors import ZslbenchError
from zslbench.store.store import Store
from zslbench_audit import AuditResult, ProbeResult

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESULT = AuditResult(
    method="m",
    variant=None,
    reading="paper",
    plugins={"one": "1 aaa", "two": "2 bbb"},
    zslbench="0.1.0",
    settings={"classifier": {"lr": 0.1}, "dataset": {}},
    selection="val",
    probes=(
        ProbeResult("images", True, "Nothing depends on images.", "Seen."),
        ProbeResult("rows", True, "Nothing depends on rows.", "Seen too."),
    ),
    when=WHEN,
    seconds=1.5,
)
FAILED = replace(RESULT, probes=(replace(RESULT.probes[0], passed=False, detail="Other values."),))
PLUGINS = {"one": "1 aaa", "two": "2 bbb", "data": "3 ccc"}


def identity(plugins=PLUGINS, zslbench="0.1.0", **change):
    """The identity of a run, as far as an audit depends on it."""
    versions = {"zslbench": zslbench} | {f"plugin {name}": version for name, version in plugins.items()}
    return {"method": "m", "variant": None, "reading": "paper", "versions": versions} | change


CODE = identity()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_saved_audit_is_read_back(store):
    audit.save(store, RESULT)
    assert audit.stored(store) == [RESULT]
    assert [one.name for one in (store.root / "audits").iterdir()] == [f"{RESULT.id}.json"]
    assert audit.find(store, CODE) == RESULT


def test_a_repeated_audit_replaces_the_earlier_one(store):
    audit.save(store, RESULT)
    later = replace(RESULT, when=WHEN + timedelta(days=1), seconds=9.0)
    audit.save(store, later)
    assert audit.stored(store) == [later]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "n"},
        {"variant": "v"},
        {"reading": "authors"},
        {"plugins": {"one": "1 aab", "two": "2 bbb"}},
        {"zslbench": "0.2.0"},
        {"settings": {"classifier": {"lr": 0.2}, "dataset": {}}},
        {"selection": "oracle"},
        {"search": {"classifier.lr": [1, 2]}},
    ],
)
def test_the_id_follows_from_what_was_audited(change):
    assert replace(RESULT, **change).id != RESULT.id


@pytest.mark.parametrize(
    "change",
    [
        {"method": "n"},
        {"variant": "v"},
        {"reading": None},
        {"plugins": {"one": "1 aaa", "two": "2 bbc"}},
        {"plugins": {"one": "1 aaa"}},
        {"zslbench": "0.2.0"},
    ],
)
def test_an_audit_of_something_else_does_not_apply(store, change):
    audit.save(store, RESULT)
    assert audit.find(store, identity(**change)) is None


def test_an_audit_under_oracle_applies_to_no_run(store):
    audit.save(store, replace(FAILED, selection="oracle"))
    assert audit.find(store, CODE) is None
    assert audit.status_of(store, CODE).state == "none"


def test_a_failed_audit_takes_precedence_then_the_latest(store):
    other = {"classifier": {"lr": 0.2}, "dataset": {}}
    later = replace(RESULT, settings=other, when=WHEN + timedelta(days=1))
    audit.save(store, RESULT)
    audit.save(store, later)
    assert audit.find(store, CODE) == later
    failed = replace(FAILED, settings={"classifier": {"lr": 0.3}, "dataset": {}})
    audit.save(store, failed)
    assert audit.find(store, CODE) == failed


def test_status_for_reports(store):
    assert audit.status_of(store, CODE).label == "not audited"
    assert "zslbench audit m --reading paper" in audit.status_of(store, CODE).details[0]
    audit.save(store, RESULT)
    status = audit.status_of(store, CODE)
    assert (status.state, status.label) == ("passed", "audited: 2 of 2 probes passed")
    assert status.details[0] == "images: Nothing depends on images. Seen."
    assert status.details[-len(audit.LIMITS) :] == audit.LIMITS
    changed = audit.status_of(store, identity({"one": "1 aaa", "two": "2 ddd"}))
    assert (changed.state, changed.label) == ("other version", "audited at another version")
    assert "plugin two 2 bbb, now 2 ddd" in changed.details[0]
    audit.save(store, FAILED)
    failed = audit.status_of(store, CODE)
    assert (failed.state, failed.label) == ("failed", "audit failed: 0 of 1 probes passed")
    assert failed.details[0] == "images, failed: Other values."


def test_a_damaged_file_is_skipped_with_a_warning(store, caplog):
    audit.save(store, RESULT)
    path = next((store.root / "audits").iterdir())
    path.write_bytes(path.read_bytes().replace(b"Nothing depends on rows", b"Everything depends on it"))
    logging.getLogger("zslbench").propagate = True
    assert audit.stored(store) == []
    assert "damaged" in caplog.text
    assert json.loads(path.read_bytes())["method"] == "m"


def test_a_file_under_another_name_is_skipped(store):
    audit.save(store, RESULT)
    path = next((store.root / "audits").iterdir())
    path.rename(path.with_name("0123456789abcdef.json"))
    assert audit.stored(store) == []


def test_a_store_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ZslbenchError, match="cannot save the audit"):
        audit.save(Store(tmp_path / "file"), RESULT)


def test_the_audit_of_a_run(known, small, tmp_path, monkeypatch):
    """A real run and a real audit: found until the plugin's source is another."""
    store = Store(tmp_path)
    small = small | {"classifier.gamma": 1.0, "classifier.lam": 1.0, "classifier.coding": "pm1"}
    run = zslbench.run("eszsl", dataset="toy", settings=small, store=tmp_path, device="cpu", threads=1)
    found = audit.judge("eszsl", settings=small, store=tmp_path)
    record = run.records[0]
    assert audit.find(store, record) == audit.find(store, record.info.identity) == found
    assert set(found.plugins) == {"common", "eszsl"}
    assert audit.is_current(found)
    assert len(store.records()) == 1  # nothing of the probe runs is there
    assert store.unfinished() == []
    assert not (store.root / "stages").exists()
    shown = CliRunner().invoke(cli, ["show", record.info.id, "--store", str(tmp_path), "--format", "csv"])
    assert "audit,leak audit,audited: 8 of 8 probes passed" in shown.stdout.splitlines()
    plugin = known.method("eszsl").plugin
    monkeypatch.setitem(plugin.__dict__, "source_digest", "another")
    assert not audit.is_current(found)
    again = zslbench.run("eszsl", dataset="toy", settings=small, store=tmp_path, device="cpu", threads=1)
    assert audit.find(store, again.records[0]) is None
    assert audit.status_of(store, again.records[0]).state == "other version"


def test_the_package_imports_no_torch():
    code = "import sys, zslbench_audit; print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
