"""What a run leaves of its training and its choices, in a form that can be compared to the last bit."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zslbench.data.provenance import array_sha256
from zslbench.experiment import Outcome
from zslbench.training.flat import flatten

Artefacts = dict[str, Any]
"""By a name for people, as ``"final generator/critic/out.bias"`` or ``"chosen epochs"``."""

_CHOSEN = (
    "epochs",
    "offset",
    *(f"{best}_{what}" for best in ("h", "acc") for what in ("epoch", "candidate", "classifier_epoch")),
)


def networks(outcome: Outcome) -> Artefacts:
    """The sha256 of every fitted tensor, of the final fit and of the one on the validation fold."""
    return {
        f"{side} {kind}/{path}": tensor_sha256(tensor)
        for side, by_kind in (("final", outcome.networks), ("validation", outcome.validation_networks))
        for kind, nets in by_kind.items()
        for path, tensor in flatten(nets).items()
    }


def choices(outcome: Outcome) -> Artefacts:
    """What selection chose and found: epochs, hyper-parameters, offset, and every figure on the way."""
    metrics = {key: outcome.metrics[key] for key in _CHOSEN if key in outcome.metrics}
    found = {key: value for key, value in outcome.metrics.items() if key.startswith("val_")}
    return {
        **{f"chosen {key}": value for key, value in metrics.items()},
        **{f"chosen {key}": value for key, value in outcome.settings.items()},
        **{f"validation's {key.removeprefix('val_')}": value for key, value in found.items()},
        # Text, because a figure that is missing is a NaN, which equals nothing.
        "figures of the candidates": repr(outcome.candidates),
        "figures of the epochs": repr(outcome.epochs),
    }


def fitted(outcome: Outcome) -> Artefacts:
    """Everything of a run but what it says of the test images."""
    return networks(outcome) | choices(outcome)


def differing(one: Artefacts, other: Artefacts) -> list[str]:
    """Names of artefacts that are not the same, or that only one run has."""
    absent = object()
    return [
        name for name in dict.fromkeys([*one, *other]) if one.get(name, absent) != other.get(name, absent)
    ]


def tensor_sha256(tensor: Tensor) -> str:
    """sha256 of dtype, shape and values."""
    return array_sha256(tensor.detach().cpu().contiguous().numpy())
