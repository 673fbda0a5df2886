"""Sentences that several probes use."""

from __future__ import annotations

from zslbench.experiment import Outcome
from zslbench_audit.artefacts import networks


def unchanged(outcome: Outcome) -> str:
    """``"all 24 fitted tensors and the choices on validation (2 epochs)"``."""
    tensors = len(networks(outcome))
    return f"all {tensors} fitted tensors and {chosen(outcome)}"


def chosen(outcome: Outcome) -> str:
    """What was chosen, in words."""
    epochs = outcome.metrics.get("epochs")
    parts = [f"{epochs} epoch{'' if epochs == 1 else 's'}"] if epochs is not None else []
    parts += [f"{name} {value}" for name, value in outcome.settings.items()]
    return f"the choices on validation ({', '.join(parts)})" if parts else "what validation found"
