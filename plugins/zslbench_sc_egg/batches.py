"""A word about balanced batches whose size the number of classes does not divide (row 17)."""

from __future__ import annotations

import logging

log = logging.getLogger("zslbench")


def warn_of_uneven(who: str, sampler: str, batch_size: int, classes: int) -> None:
    """Warn where some classes get one image more than others; the authors' code leaves these rows out."""
    if sampler == "balanced" and batch_size > classes and batch_size % classes:
        log.warning(
            "%s: balanced batches of %d from %d classes give %d of them one image more (the authors' "
            "code would leave these rows out)",
            who,
            batch_size,
            classes,
            batch_size % classes,
        )
