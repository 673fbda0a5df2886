"""Checkpoints that survive a kill at any instruction and detect any damage.

Checkpoint n is two files of a folder, ``checkpoint-n.safetensors`` (written first) and ``checkpoint-n.json``
(written last: it makes the checkpoint exist). The JSON holds the sha256 of the safetensors file and its own.
The last two checkpoints are kept. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zslbench.plugin.views import Networks
from zslbench.store.files import explained, read_tensors, remove_parts, write_tensors
from zslbench.store.identity import plain_data

_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)\.(safetensors|json)")
_log = logging.getLogger("zslbench")


def save(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write the next checkpoint and remove all but the last two. Only one process may save into a folder.

    Args:
        folder: created if missing.
        tensors: of any layout and device; saved bit for bit.
        meta: plain data, also NaN and infinities; tuples come back as lists.

    Raises:
        ZslbenchError: it cannot be written (disk full, no permission); earlier checkpoints stay.
        TypeError: a tensor's dtype or something in ``meta`` cannot be stored.
    """
    content = {"meta": plain_data(meta, "meta")}
    with explained(folder, "write the checkpoint"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_parts(folder)
        new = max(_generations(folder, "json"), default=0) + 1
        write_tensors(folder / f"checkpoint-{new}.json", tensors, {"generation": new, **content})
        # JSON first: without it a checkpoint does not exist, so none is ever half removed.
        for suffix in ("json", "safetensors"):
            for old in _generations(folder, suffix):
                if old <= new - _KEPT:
                    (folder / f"checkpoint-{old}.{suffix}").unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest intact checkpoint as (tensors on the CPU, meta), or None.

    A damaged checkpoint causes a warning, gets the suffix ``.damaged`` so that the next save keeps the good
    one, and the one before it is used.
    """
    generations = _generations(folder, "json")
    newest = max(_generations(folder, "safetensors"), default=0)
    if newest > max(generations, default=0):
        cause = f"checkpoint {newest} has no JSON file (writing it was interrupted, or the file was lost)"
        effect = "using the one before it" if generations else "the run starts over"
        _log.warning("%s: %s; %s", folder, cause, effect)
    for generation in sorted(generations, reverse=True):
        try:
            tensors, content = read_tensors(folder / f"checkpoint-{generation}.json")
            if (other := content["generation"]) != generation:
                raise ValueError(f"checkpoint-{generation}.json is that of checkpoint {other}")
            return tensors, content["meta"]
        except (OSError, ValueError) as error:
            _log.warning("%s: checkpoint %d is damaged and will not be used: %s", folder, generation, error)
            _set_aside(folder, generation)
    return None


def _generations(folder: Path, suffix: str) -> list[int]:
    names = (_NAME.fullmatch(path.name) for path in folder.glob(f"checkpoint-*.{suffix}"))
    return [int(name[1]) for name in names if name is not None]


def _set_aside(folder: Path, generation: int) -> None:
    for suffix in ("json", "safetensors"):
        path = folder / f"checkpoint-{generation}.{suffix}"
        with contextlib.suppress(OSError):  # this half is missing, or the folder is read-only
            path.replace(path.with_name(path.name + ".damaged"))


# --- names of tensors in a file --------------------------------------------------------------------


def flatten(nets: Networks) -> dict[str, Tensor]:
    """``{"critic": {"out.bias": t}}`` as ``{"critic/out.bias": t}``."""
    return {f"{net}/{name}": tensor for net, tensors in nets.items() for name, tensor in tensors.items()}


def unflatten(flat: Mapping[str, Tensor]) -> Networks:
    """The inverse of :func:`flatten`."""
    nets: Networks = {}
    for path, tensor in flat.items():
        net, _, name = path.partition("/")
        nets.setdefault(net, {})[name] = tensor
    return nets


def select(flat: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries whose names start with ``prefix``, without it."""
    return {path[len(prefix) :]: tensor for path, tensor in flat.items() if path.startswith(prefix)}


def prefixed(prefix: str, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`select`."""
    return {prefix + path: tensor for path, tensor in flat.items()}
