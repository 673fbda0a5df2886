"""Training results that runs share: any run that needs the same result finds it.

``<store>/stages/<key>.safetensors`` and ``<key>.json`` hold a result's tensors and facts about it. Nothing
else refers to these files: the folder may be deleted whenever no run is being computed; the stages are then
trained again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.store.files import explained, read_tensors, write_tensors
from zslbench.store.identity import plain_data

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger("zslbench")


class StageStore:
    """The stage results of one run store; ``folder`` is created with the first result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors (on the CPU) and facts stored under ``key``; None: absent or damaged."""
        path = self.folder / f"{key}.json"
        try:
            tensors, content = read_tensors(path)
            return {name: tensors[name] for name in content["tensors"]}, content["facts"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s: this stage is damaged and will be trained again: %s", path, error)
            return None

    def keep(self, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Store a result; it replaces the same result of another run."""
        # The other file does not keep the tensors' order.
        content = {"tensors": list(tensors), "facts": plain_data(facts, "facts")}
        with explained(self.folder, "store the stage"):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_tensors(self.folder / f"{key}.json", tensors, content)
