"""Settings of runs that take about a second."""

from __future__ import annotations

from typing import Any

TF_VAEGAN: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 12,
    "generator.hidden": 16,
    "generator.batch_size": 32,
    "generator.per_class": 10,
    "generator.critic_steps": 2,
    "classifier.epochs": 2,
}
"""tf-vaegan on a toy data set of 10 classes."""
