"""Checkpoints that survive being killed at any instruction and notice any damage.

A checkpoint of generation n is two files of the folder, ``checkpoint-n.safetensors`` (written first) and
``checkpoint-n.json`` (written last: it makes the checkpoint exist). The JSON holds the sha256 of the
safetensors file and of itself. The last two generations are kept. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.store.files import (
    checked_json,
    pack_tensors,
    parse_checked_json,
    remove_parts,
    unpack_tensors,
    write_whole,
)
from zslbench.store.identity import plain_data

_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)\.(safetensors|json)")
_log = logging.getLogger("zslbench")


def save(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write the next checkpoint and remove all but the last two. One process may save into a folder.

    Args:
        folder: made where it does not exist.
        tensors: of any dtype that safetensors has, any layout, any device; saved bit for bit.
        meta: plain data (text, numbers including NaN and infinities, true/false, None, lists,
            dictionaries with text keys); tuples come back as lists.

    Raises:
        ZslbenchError: it cannot be written (disk full, not writable); the earlier checkpoints stay.
        TypeError: a tensor's dtype or something in ``meta`` cannot be stored.
    """
    data = pack_tensors(tensors)
    content = {"tensors_sha256": hashlib.sha256(data).hexdigest(), "meta": plain_data(meta, "meta")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_parts(folder)
        new = max(_generations(folder, "json"), default=0) + 1
        write_whole(folder / f"checkpoint-{new}.safetensors", data)
        write_whole(
            folder / f"checkpoint-{new}.json", checked_json({"generation": new, **content}, allow_nan=True)
        )
        # JSON first: without it a generation does not exist, so none is ever half removed.
        for suffix in ("json", "safetensors"):
            for old in _generations(folder, suffix):
                if old <= new - _KEPT:
                    (folder / f"checkpoint-{old}.{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise ZslbenchError(
            f"{folder}: cannot write the checkpoint ({error.strerror or error}); free space there or use "
            "another store (--store, ZSLBENCH_STORE), then run the same command again"
        ) from error


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint as (tensors on the CPU, meta); None: there is none.

    A damaged checkpoint is reported as a warning and set aside (``.damaged`` is added to its names, so
    that the next save keeps the good one), and the generation before it is used.
    """
    generations = _generations(folder, "json")
    unfinished = [one for one in _generations(folder, "safetensors") if one > max(generations, default=0)]
    if unfinished:
        _log.warning(
            "%s: checkpoint %d has no JSON half (its writer was interrupted, or the file was lost); %s",
            folder,
            max(unfinished),
            "the one before it is used" if generations else "the run starts over",
        )
    for generation in sorted(generations, reverse=True):
        try:
            return _read(folder, generation)
        except (OSError, ValueError) as error:
            _log.warning("%s: checkpoint %d is damaged and not used: %s", folder, generation, error)
            _set_aside(folder, generation)
    return None


def _generations(folder: Path, suffix: str) -> list[int]:
    names = (_NAME.fullmatch(path.name) for path in folder.glob(f"checkpoint-*.{suffix}"))
    return [int(name[1]) for name in names if name is not None]


def _read(folder: Path, generation: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = folder / f"checkpoint-{generation}.json"
    try:
        content = parse_checked_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    if content["generation"] != generation:
        raise ValueError(f"{path.name} is that of checkpoint {content['generation']}")
    data = path.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != content["tensors_sha256"]:
        raise ValueError(f"checkpoint-{generation}.safetensors does not have the sha256 recorded for it")
    return unpack_tensors(data), content["meta"]


def _set_aside(folder: Path, generation: int) -> None:
    for suffix in ("json", "safetensors"):
        path = folder / f"checkpoint-{generation}.{suffix}"
        try:
            path.replace(path.with_name(path.name + ".damaged"))
        except OSError:
            continue  # The half that is missing, or a folder that can only be read.
