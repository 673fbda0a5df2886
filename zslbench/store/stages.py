"""Results of training stages, kept beside the runs so that any run that needs the same one finds it.

``<store>/stages/<key>.safetensors`` (written first) and ``<key>.json`` (written last: it makes the result
exist) hold the tensors and what is known of them. The JSON holds the sha256 of both. Nothing else refers to
these files: the folder may be deleted whenever no run is being computed, and stages are then trained again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import ZslbenchError
from zslbench.store.files import (
    checked_json,
    pack_tensors,
    parse_checked_json,
    unpack_tensors,
    write_whole,
)
from zslbench.store.identity import plain_data

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger("zslbench")


class StageStore:
    """The kept results of one run store.

    Args:
        folder: ``<store>/stages``, made when something is first kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors (on the CPU) and facts kept under ``key``; None: there are none that are whole."""
        path = self.folder / f"{key}.json"
        try:
            content = parse_checked_json(path.read_bytes())
            data = path.with_suffix(".safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != content["tensors_sha256"]:
                raise ValueError("the tensors do not have the sha256 recorded for them")
            tensors = unpack_tensors(data)
            return {name: tensors[name] for name in content["tensors"]}, content["facts"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s: a kept stage is damaged and not used: %s", path, error)
            return None

    def keep(self, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Keep a result; what is there under the same key is replaced (it is the same).

        Raises:
            ZslbenchError: it cannot be written.
        """
        data = pack_tensors(tensors)
        content = {
            "tensors": list(tensors),  # their order, which the other file does not keep
            "tensors_sha256": hashlib.sha256(data).hexdigest(),
            "facts": plain_data(facts, "facts"),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / f"{key}.safetensors", data)
            write_whole(self.folder / f"{key}.json", checked_json(content, allow_nan=True))
        except OSError as error:
            raise ZslbenchError(
                f"{self.folder}: cannot keep the stage ({error.strerror or error}); free space there or use "
                "another store (--store, ZSLBENCH_STORE), then run the same command again"
            ) from error
