"""Files that are written atomically and carry a checksum of their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import DataError, ZslbenchError
from zslbench.store.parsing import parse_json

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = b'{\n "sha256": "'
CHECKSUM_END = len(_HEAD) + 64
"""Where the checksum of a text of :func:`checked_json` ends."""


@contextlib.contextmanager
def explained(where: Path, act: str) -> Iterator[None]:
    """Turn an OSError into a ZslbenchError: the file it names, or else ``where``, and ``"cannot <act>"``."""
    try:
        yield
    except OSError as error:
        wrong_kind = isinstance(error, NotADirectoryError | FileExistsError)
        cure = "move the file that is in the way" if wrong_kind else "free up space or fix its permissions"
        raise ZslbenchError(
            f"{error.filename or where}: cannot {act} ({error.strerror or error}); {cure}, or use another "
            "store (--store, ZSLBENCH_STORE), then run the command again"
        ) from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk. A crash may leave part of it under this name."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk; only then a renamed file is safe."""
    if os.name == "nt":  # Windows neither offers nor needs this.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, replacing any file there; a crash leaves the old or the new file, whole.

    Raises:
        OSError: nothing was changed: the disk is full, or the folder is missing or not writable.
    """
    # The dot and the suffix mark what a killed writer left.
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        write_synced(part, data)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, and wait until they are on the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


def remove_parts(folder: Path) -> None:
    """Remove what killed calls of :func:`write_atomically` left; no other process may write to the folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(path: Path) -> dict[str, Any]:
    """The records of a JSON file by name, empty if there is no file; DataError if it holds something else."""
    if not path.is_file():
        return {}
    with contextlib.suppress(ValueError):
        found = parse_json(path.read_text("utf-8"))
        if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()):
            return found
    raise DataError(path, ["is damaged"], "Move it away; a new one will be written")


def checked_json(content: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """JSON text of ``content`` that holds its own sha256, so that damage and edits are noticed.

    The first entry, ``sha256``, is the digest of the text with this entry empty.

    Args:
        allow_nan: write NaN and infinities, as Python reads them back; otherwise they are a ValueError.

    Raises:
        TypeError, ValueError: ``content`` is not JSON data, or has a key ``sha256`` already.
    """
    if "sha256" in content:
        raise ValueError("the key 'sha256' is reserved for the checksum")
    text = json.dumps({"sha256": "", **content}, indent=1, allow_nan=allow_nan).encode("ascii")
    digest = hashlib.sha256(text).hexdigest().encode("ascii")
    return _HEAD + digest + text[len(_HEAD) :]


def has_own_checksum(data: bytes) -> bool:
    """Whether the bytes are those that :func:`checked_json` returned."""
    expected = hashlib.sha256(_HEAD + data[CHECKSUM_END:]).hexdigest().encode("ascii")
    return data.startswith(_HEAD + expected)


def parse_checked_json(data: bytes) -> dict[str, Any]:
    """The content that :func:`checked_json` was given.

    Raises:
        ValueError: the bytes are not those that were written.
    """
    if not has_own_checksum(data):
        raise ValueError("its sha256 is not the recorded one")
    content: dict[str, Any] = parse_json(data, bounded=False)
    del content["sha256"]
    return content


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors bytes of tensors of any layout and device; views and shared storage are copied. A dtype
    that safetensors lacks (complex128, quantised) is a TypeError that names the tensor."""
    import safetensors.torch

    copies = {}
    for name, tensor in tensors.items():
        if name == "__metadata__":
            raise TypeError("a tensor may not be named '__metadata__': safetensors reserves that name")
        # clone: safetensors refuses tensors that share storage.
        copies[name] = tensor.detach().cpu().contiguous().clone()
        try:
            safetensors.torch.save({name: copies[name][None][:0]})
        except (KeyError, ValueError, RuntimeError):
            raise TypeError(f"tensor {name!r}: safetensors cannot store {tensor.dtype}") from None
    return safetensors.torch.save(copies)


def unpack_tensors(data: bytes) -> dict[str, Tensor]:
    """The inverse of :func:`pack_tensors`, on the CPU; no tensors share storage."""
    import safetensors.torch

    return {name: tensor.clone() for name, tensor in safetensors.torch.load(data).items()}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
    """Write tensors and what is known about them as two files: safetensors, then the JSON file ``path``.

    The JSON file makes the pair exist; it has the sha256 of both, so damage is noticed. What cannot be stored
    is a TypeError.
    """
    data = pack_tensors(tensors)
    text = checked_json({**content, "tensors_sha256": hashlib.sha256(data).hexdigest()}, allow_nan=True)
    write_atomically(path.with_suffix(".safetensors"), data)
    write_atomically(path, text)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the content that :func:`write_tensors` wrote.

    Raises:
        ValueError: a file is not the one that was written.
    """
    try:
        content = parse_checked_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    data = path.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != content.pop("tensors_sha256", None):
        raise ValueError(f"{path.stem}.safetensors does not have the sha256 recorded for it")
    return unpack_tensors(data), content
