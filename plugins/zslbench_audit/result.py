"""What an audit found, as plain data. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from zslbench.experiment import label_text
from zslbench.store import run_id

FORMAT = 1
"""Increased when probes change so much that an old result no longer means the same."""

LIMITS = (
    "The audit ran on simulated data, with short schedules and the settings recorded with it: it says "
    "nothing about other settings.",
    "It finds effects of the test images that the benchmark holds. It does not find code that brings its own "
    "copy of test images or labels, in its files or over the network, nor a backbone that was trained on "
    "them.",
    "All runs of an audit share one process: state that a plugin keeps between runs may hide what it read "
    "in the first.",
    "It ran on the CPU: code that runs only on a GPU was not probed.",
    "It cannot tell whether a method's settings were tuned on test images by those who chose them.",
)
"""What no audit can prove, one sentence each."""


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found."""

    name: str
    passed: bool
    claim: str
    """What holds if it passed, one sentence."""
    detail: str
    """What was compared and seen, or what broke the claim."""


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
    """All settings of the probe runs, by kind of component; the data set's among them."""
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
        """Hash of method, variant, reading, settings, selection and versions: a repeated audit replaces the
        previous one."""
        return run_id(
            {
                "format": FORMAT,
                "method": self.method,
                "variant": self.variant,
                "reading": self.reading,
                "plugins": dict(self.plugins),
                "zslbench": self.zslbench,
                "settings": {kind: dict(values) for kind, values in self.settings.items()},
                "search": dict(self.search),
                "selection": self.selection,
            }
        )

    @property
    def passed(self) -> bool:
        """Whether every probe did."""
        return all(one.passed for one in self.probes)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the failed probes."""
        return tuple(one.name for one in self.probes if not one.passed)

    @property
    def label(self) -> str:
        """What tables call the method."""
        return label_text(self.method, self.variant, self.reading)

    @property
    def verdict(self) -> str:
        """``"7 of 7 probes passed"``."""
        passed = len(self.probes) - len(self.failed)
        return f"{passed} of {len(self.probes)} probes passed"

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
