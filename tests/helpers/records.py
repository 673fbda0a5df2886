"""The least that a stored run must say about itself."""

from __future__ import annotations

from typing import Any

IDENTITY: dict[str, Any] = {
    "method": "eszsl",
    "variant": None,
    "components": {"classifier": "eszsl"},
    "settings": {"classifier": {"gamma": 1.5}},
    "selection": {"mode": "val"},
    "versions": {"zslbench": "1"},
    "seed": 3,
}
DATA: dict[str, Any] = {"features": "res101", "semantics": "att", "arrays": [], "split": "abc"}
