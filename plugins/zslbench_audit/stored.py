"""Audits in the run store, ``<store>/audits/<id>.json``, and which of them applies to a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zslbench.errors import ZslbenchError
from zslbench.plugin import PluginInfo
from zslbench.store import RunRecord, Store, checked_json, make_folder, parse_checked_json, write_whole
from zslbench_audit.result import LIMITS, AuditResult

FOLDER = "audits"
_PLUGIN = "plugin "
_log = logging.getLogger("zslbench")

State = Literal["passed", "failed", "other version", "none"]


@dataclass(frozen=True)
class AuditedCode:
    """Method and versions of code; an audit applies to a run if they are the same."""

    method: str
    variant: str | None
    reading: str | None
    plugins: Mapping[str, str]
    """At least the plugins of its components, ``"version digest-of-the-source"`` by name."""
    zslbench: str

    @classmethod
    def of(cls, run: RunRecord | Mapping[str, Any]) -> AuditedCode:
        """The code of a finished run, or of a run's identity."""
        identity = run.info.identity if isinstance(run, RunRecord) else run
        versions = identity["versions"]
        return cls(
            identity["method"],
            identity["variant"],
            identity.get("reading"),
            {
                name.removeprefix(_PLUGIN): str(value)
                for name, value in versions.items()
                if name.startswith(_PLUGIN)
            },
            str(versions["zslbench"]),
        )

    def same_method(self, audit: AuditResult) -> bool:
        """Whether an audit is of this method, variant and reading, in any version."""
        mine = (self.method, self.variant, self.reading)
        return mine == (audit.method, audit.variant, audit.reading) and audit.selection == "val"

    def same_code(self, audit: AuditResult) -> bool:
        """Whether an audit is of exactly this code."""
        same = all(self.plugins.get(name) == found for name, found in audit.plugins.items())
        return self.same_method(audit) and same and audit.zslbench == self.zslbench


@dataclass(frozen=True)
class AuditStatus:
    """Whether a run's code was audited, for reports."""

    state: State
    label: str
    """A few words: ``"audited: 7 of 7 probes passed"``."""
    details: tuple[str, ...]
    """Sentences: what each probe proved or found, then what no audit can prove."""
    result: AuditResult | None = field(default=None, repr=False)
    """The audit; None: there is none."""


def save(store: Store, audit: AuditResult) -> None:
    """Write an audit into the store; it replaces an earlier one with the same id.

    Raises:
        ZslbenchError: it cannot be written.
    """
    folder = store.root / FOLDER
    try:
        make_folder(folder)
        write_whole(folder / f"{audit.id}.json", checked_json(audit.as_dict()))
    except OSError as error:
        raise ZslbenchError(
            f"{folder}: cannot save the audit ({error.strerror or error}); make room or set permissions, or "
            "use another store (--store, ZSLBENCH_STORE)"
        ) from error


def stored(store: Store) -> list[AuditResult]:
    """Every audit in the store, oldest first. A damaged file is a warning."""
    return sorted(_read(store), key=lambda one: (one.when, one.id))


def find(store: Store, of: RunRecord | AuditedCode | Mapping[str, Any]) -> AuditResult | None:
    """The audit that applies to a run: same method, variant, reading, core and source of plugins.

    Of several (with different settings), one that failed takes precedence, then the latest.

    Args:
        of: a finished run, a run's identity, or a :class:`AuditedCode`.
    """
    code = of if isinstance(of, AuditedCode) else AuditedCode.of(of)
    fitting = [one for one in stored(store) if code.same_code(one)]
    return max(fitting, key=lambda one: (not one.passed, one.when), default=None)


def status_of(store: Store, of: RunRecord | AuditedCode | Mapping[str, Any]) -> AuditStatus:
    """Whether the code of a run was audited, at this version or another."""
    code = of if isinstance(of, AuditedCode) else AuditedCode.of(of)
    found = find(store, code)
    if found is not None:
        state: State = "passed" if found.passed else "failed"
        word = "audited" if found.passed else "audit failed"
        return AuditStatus(state, f"{word}: {found.verdict}", (*_sentences(found), *LIMITS), found)
    command = f"zslbench audit {code.method}"
    command += f" --variant {code.variant}" if code.variant else ""
    command += f" --reading {code.reading}" if code.reading else ""
    others = [one for one in stored(store) if code.same_method(one)]
    if not others:
        return AuditStatus("none", "not audited", (f"No audit is in the store; {command} makes one.",))
    last = others[-1]
    why = ", ".join(_changed(code, last))
    text = f"The audit of {last.when:%Y-%m-%d} ({last.verdict}) was of another version ({why}); {command} "
    return AuditStatus("other version", "audited at another version", (f"{text}makes a new one.",), last)


def is_current(audit: AuditResult) -> bool:
    """Whether an audit is of the installed plugins and core."""
    from zslbench.experiment import core_version
    from zslbench.plugin import registry

    installed = {one.name: one for one in registry().plugins}
    return audit.zslbench == core_version() and all(
        name in installed and version_of(installed[name]) == found for name, found in audit.plugins.items()
    )


def version_of(plugin: PluginInfo) -> str:
    """A plugin's version and the digest of its source, as runs record them."""
    return f"{plugin.version} {plugin.source_digest()}".strip()


def _sentences(audit: AuditResult) -> Iterator[str]:
    for one in audit.probes:
        yield f"{one.name}: {one.claim} {one.detail}" if one.passed else f"{one.name}, failed: {one.detail}"


def _changed(code: AuditedCode, audit: AuditResult) -> Iterator[str]:
    if audit.zslbench != code.zslbench:
        yield f"zslbench {audit.zslbench}, now {code.zslbench}"
    for name, found in audit.plugins.items():
        if code.plugins.get(name) != found:
            yield f"plugin {name} {found}, now {code.plugins.get(name, 'absent')}"


def _read(store: Store) -> Iterator[AuditResult]:
    for path in (store.root / FOLDER).glob("[!.]*.json"):
        try:
            audit = AuditResult.from_dict(parse_checked_json(path.read_bytes()))
            if audit.id != path.stem:
                raise ValueError(f"it is audit {audit.id}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("skipped: %s: damaged: %s", path, error)
        else:
            yield audit
