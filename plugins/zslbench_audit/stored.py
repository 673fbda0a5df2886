"""Results of audits, their files in the run store (``audits/<id>.json``), and which one applies to a run.

Nothing here imports torch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from zslbench.errors import ZslbenchError
from zslbench.experiment import label_text
from zslbench.store import (
    RunRecord,
    Store,
    checked_json,
    make_folder,
    parse_checked_json,
    run_id,
    write_atomically,
)

FOLDER = "audits"
FORMAT = 1
"""Increased when probes change so much that an old result no longer means the same."""
_log = logging.getLogger("zslbench")

LIMITS = (
    "The audit ran on simulated data with short schedules and the settings recorded with it. It says nothing "
    "about other settings.",
    "It finds effects of the test images that the benchmark holds. It does not find code that brings its own "
    "copy of test images or labels, in its files or over the network, nor a backbone that was trained on "
    "them.",
    "All runs of an audit share one process (which never has a true test label). State that a plugin keeps "
    "between runs may hide which test images it read in the first.",
    "A plugin that recognises an audit can behave differently in it.",
    "It ran on the CPU. Code that runs only on a GPU was not probed.",
    "It cannot tell whether somebody tuned a method's settings on test images.",
)
"""What no audit can prove."""

# --- results -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found."""

    name: str
    passed: bool
    claim: str
    """What holds if it passed, one sentence."""
    detail: str
    """What was compared and found."""

    @property
    def text(self) -> str:
        """What it proves, or how the claim was broken."""
        return f"{self.claim} {self.detail}" if self.passed else self.detail


@dataclass(frozen=True)
class AuditResult:
    """One method in one variant and reading under every probe."""

    method: str
    variant: str | None
    reading: str | None
    plugins: Mapping[str, str]
    """The plugins of its components: ``"version digest-of-the-source"`` by name."""
    zslbench: str
    """Version of the core."""
    settings: Mapping[str, Mapping[str, Any]]
    """All settings of the probe runs, by kind of component, including the data set's."""
    selection: str
    """How the probe runs selected: ``val``, or ``oracle`` as a positive control."""
    probes: tuple[ProbeResult, ...]
    when: datetime
    """UTC."""
    seconds: float
    search: Mapping[str, list[Any]] = field(default_factory=dict)
    """Hyper-parameters that the probe runs chose on validation, with their candidates."""

    @property
    def id(self) -> str:
        """A hash of what was audited, on whichever data: a repeated audit replaces the previous one."""
        found = ("probes", "when", "seconds", "settings")
        dataset = {key: one for key, one in self.settings.get("dataset", {}).items() if key != "seed"}
        facts = {name: value for name, value in self.as_dict().items() if name not in found}
        return run_id(facts | {"settings": {**self.settings, "dataset": dataset}})

    @property
    def passed(self) -> bool:
        """Whether every probe passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the failed probes."""
        return tuple(one.name for one in self.probes if not one.passed)

    @property
    def label(self) -> str:
        """The method's name in tables."""
        return label_text(self.method, self.variant, self.reading)

    @property
    def verdict(self) -> str:
        """``"7 of 7 probes passed"``."""
        return f"{len(self.probes) - len(self.failed)} of {len(self.probes)} probes passed"

    def rows(self) -> list[dict[str, Any]]:
        """One row per probe, for tables in any format."""
        about = {"method": self.method, "variant": self.variant, "reading": self.reading}
        return [{**about, **asdict(one)} for one in self.probes]

    def as_dict(self) -> dict[str, Any]:
        """JSON data for :meth:`from_dict`."""
        return asdict(self) | {"format": FORMAT, "when": self.when.isoformat()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> AuditResult:
        """The result that :meth:`as_dict` gave.

        Raises:
            ValueError, KeyError, TypeError: not a result of this format.
        """
        given = dict(content)
        if (found := given.pop("format")) != FORMAT:
            raise ValueError(f"format {found}, but this zslbench reads format {FORMAT}")
        given["probes"] = tuple(ProbeResult(**one) for one in given["probes"])
        given["when"] = datetime.fromisoformat(given["when"])
        return cls(**given)


# --- the store -----------------------------------------------------------------------------------


def save(store: Store, audit: AuditResult) -> None:
    """Write an audit into the store; it replaces an earlier one with the same id.

    Raises:
        ZslbenchError: it cannot be written.
    """
    folder = store.root / FOLDER
    try:
        make_folder(folder)
        write_atomically(folder / f"{audit.id}.json", checked_json(audit.as_dict()))
    except OSError as error:
        raise ZslbenchError(
            f"{folder}: cannot save the audit ({error.strerror or error}); free space, set permissions, or "
            "use another store (--store, ZSLBENCH_STORE)"
        ) from error


def stored(store: Store) -> list[AuditResult]:
    """Every audit in the store, oldest first. A damaged file is a warning."""
    audits = []
    for path in (store.root / FOLDER).glob("[!.]*.json"):
        try:
            audit = AuditResult.from_dict(parse_checked_json(path.read_bytes()))
            if audit.id != path.stem:
                raise ValueError(f"it is audit {audit.id}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("skipped: %s: damaged: %s", path, error)
        else:
            audits.append(audit)
    return sorted(audits, key=lambda one: (one.when, one.id))


# --- which audit applies -------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditStatus:
    """Whether a run's code was audited, for reports."""

    state: Literal["passed", "failed", "other version", "none"]
    label: str
    """A few words: ``"audited: 7 of 7 probes passed"``."""
    details: tuple[str, ...]
    """Sentences: what each probe proved or found, then what no audit can prove."""


def find(store: Store, run: RunRecord | Mapping[str, Any]) -> AuditResult | None:
    """The audit that applies to a run (or identity): same method, variant, reading, core and plugins' source.

    Of several (with different settings), one that failed takes precedence, then the latest.
    """
    identity = run.info.identity if isinstance(run, RunRecord) else run
    current = [one for one in _of_method(store, identity) if not _changes(one, identity["versions"])]
    return max(current, key=lambda one: (not one.passed, one.when), default=None)


def status_of(store: Store, run: RunRecord | Mapping[str, Any]) -> AuditStatus:
    """Whether the code of a run (a finished one, or an identity) was audited, at this version or another."""
    identity = run.info.identity if isinstance(run, RunRecord) else run
    if (found := find(store, identity)) is not None:
        texts = [f"{one.name}{'' if one.passed else ', failed'}: {one.text}" for one in found.probes]
        if found.passed:
            return AuditStatus("passed", f"audited: {found.verdict}", (*texts, *LIMITS))
        return AuditStatus("failed", f"audit failed: {found.verdict}", (*texts, *LIMITS))
    command = f"zslbench audit {identity['method']}"
    for option in ("variant", "reading"):
        command += f" --{option} {identity[option]}" if identity.get(option) else ""
    others = _of_method(store, identity)
    if not others:
        return AuditStatus("none", "not audited", (f"The store has no audit; {command} makes one.",))
    last = others[-1]
    changes = ", ".join(_changes(last, identity["versions"]))
    text = f"The audit of {last.when:%Y-%m-%d} ({last.verdict}) was of another version ({changes}); {command}"
    return AuditStatus("other version", "audited at another version", (f"{text} makes a new one.",))


def is_current(audit: AuditResult) -> bool:
    """Whether an audit is of the installed plugins and core."""
    from zslbench.experiment import core_version
    from zslbench.plugin import registry

    installed = {one.name: one for one in registry().plugins}
    versions = {f"plugin {name}": installed[name].source for name in audit.plugins if name in installed}
    return not _changes(audit, versions | {"zslbench": core_version()})


def _of_method(store: Store, identity: Mapping[str, Any]) -> list[AuditResult]:
    """The audits of the run's method, variant and reading, in any version; not those under ``oracle``."""
    wanted = (identity["method"], identity["variant"], identity.get("reading"), "val")
    return [one for one in stored(store) if (one.method, one.variant, one.reading, one.selection) == wanted]


def _changes(audit: AuditResult, versions: Mapping[str, Any]) -> list[str]:
    """What has another version than when it was audited."""
    audited = {"zslbench": audit.zslbench} | {f"plugin {name}": one for name, one in audit.plugins.items()}
    return [
        f"{name} {then}, now {versions.get(name, 'absent')}"
        for name, then in audited.items()
        if versions.get(name) != then
    ]
