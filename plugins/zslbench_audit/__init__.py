"""Leak audits: a method is run under probes that would change its result if it saw what it must not see.

``zslbench_audit.run("tf-vaegan")`` gives an :class:`AuditResult`; ``keep``, ``stored``, ``find`` and ``told``
have to do with the audits in a run store. Importing this package imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lazy_loader

from zslbench import Command, hookimpl
from zslbench.store.record import RunRecord

# Not ``__dir__``: pluggy finds hooks through it.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="audit",
        target="zslbench_audit.cli:audit",
        summary="Run methods under leak probes and say what each proved.",
    )


@hookimpl
def zslbench_run_details(store: Path, record: RunRecord) -> Iterator[tuple[str, str]]:
    from zslbench.store.store import Store
    from zslbench_audit.kept import told

    yield "leak audit", told(Store(store), record).label
