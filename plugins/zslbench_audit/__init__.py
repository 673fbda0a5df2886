"""Leak audits: runs a method under probes that change its result if it uses data it must not see.

``zslbench_audit.run("tf-vaegan")`` returns an :class:`AuditResult`; ``save``, ``stored``, ``find`` and
``status_of`` handle the audits in a run store. Importing this package imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import lazy_loader

from zslbench import Command, hookimpl

if TYPE_CHECKING:
    from zslbench.store import RunRecord

# Not ``__dir__``: pluggy finds hooks through it.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="audit",
        target="zslbench_audit.cli:audit",
        summary="Test methods with leak probes and report what each proved.",
    )


@hookimpl
def zslbench_run_details(store: Path, record: RunRecord) -> Iterator[tuple[str, str]]:
    from zslbench.store import Store
    from zslbench_audit.stored import status_of

    yield "leak audit", status_of(Store(store), record).label
