"""A run: what identifies it, what it produced, and the record that reads it back."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import DataError, UnknownName, did_you_mean
from zslbench.store.files import (
    CHECKSUM_END,
    checked_json,
    has_own_checksum,
    pack_tensors,
    parse_checked_json,
    sha256_of,
    unpack_tensors,
)

if TYPE_CHECKING:
    import pandas
    from torch import Tensor

RUN_FILE = "run.json"
NETWORKS_FILE = "networks.safetensors"
FIGURES_ONLY = "figures-only"
"""An empty file in the folder of a run that came without its tables and networks."""
_ADVICE = "Remove the folder, or compute the run again with --force"


@dataclass(frozen=True)
class RunInfo:
    """What identifies a run; lifecycle hooks receive it."""

    id: str
    """:func:`zslbench.store.identity.run_id` of ``identity``."""
    method: str
    variant: str | None
    dataset: str
    seed: int
    selection: str
    """How the epoch was selected: ``last``, ``val``, ``oracle`` or ``oracle-scripts``; ``external``: unknown,
    since the scores were made elsewhere."""
    identity: Mapping[str, Any]
    """Everything that the run's numbers depend on."""
    folder: Path
    """Where a finished run is. Of a run in progress, where it will be unless the store has one with this id
    that it replaces."""
    resumed: bool = False
    """Whether it continues from a checkpoint."""
    reading: str | None = None
    """The reading of the method's paper; None: the method has no readings."""


@dataclass(frozen=True)
class RunContent:
    """The content of a finished run."""

    info: RunInfo
    metrics: Mapping[str, float | int | str | None]
    """A NaN or infinite value is stored as null and read back as None."""
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    notes: Sequence[str] = ()
    tables: Mapping[str, pandas.DataFrame] = field(default_factory=dict)
    """By name: epochs, predictions, classes, curve, ..."""
    networks: Mapping[str, Tensor] = field(default_factory=dict)
    """Fitted tensors under flattened names, ``part/net/tensor``."""


class BrokenRunError(DataError):
    """The folder does not hold a complete run."""


class NoRunError(BrokenRunError):
    """The folder is missing, or there is no run in it."""


class RunRecord:
    """A finished run in its folder. Opening it reads only ``run.json``, tables and networks on demand.

    Raises:
        DataError: there is no readable run in the folder.
    """

    def __init__(self, folder: Path) -> None:
        from zslbench.store.content import check_content  # pydantic: listings that open no run need none

        self.folder = folder
        try:
            self._text = _file(folder / RUN_FILE).read_bytes()
            content = parse_checked_json(self._text)
            check_content(content)
            self.info = RunInfo(**content["run"], folder=folder)
            self.finished: datetime = datetime.fromisoformat(content["finished"])
            """When the run was written, UTC."""
            self.metrics: dict[str, float | int | str | None] = content["metrics"]
            self.environment: dict[str, Any] = content["environment"]
            self.data: dict[str, Any] = content["data"]
            self.notes: tuple[str, ...] = tuple(content["notes"])
            self.digests: dict[str, str] = content["files"]
            """The sha256 of each file except ``run.json``, by name."""
        except FileNotFoundError:
            raise NoRunError(folder, [f"has no {RUN_FILE}, so it is not a run of zslbench"]) from None
        except OSError as error:
            raise DataError(folder / RUN_FILE, [f"cannot be read: {error.strerror or error}"]) from None
        except (ValueError, TypeError, RecursionError) as error:
            raise BrokenRunError(folder / RUN_FILE, [f"damaged: {error}"], _ADVICE) from None

    @property
    def figures_only(self) -> bool:
        """Whether the run came from an archive of figures, without tables and networks."""
        return (self.folder / FIGURES_ONLY).is_file()

    def same_results(self, other: RunRecord) -> bool:
        """Whether both have the same metrics and, byte for byte, the same tables and networks."""
        return self.metrics == other.metrics and self.digests == other.digests

    @property
    def table_names(self) -> list[str]:
        """Names of the run's tables, sorted."""
        return sorted(name.removesuffix(".parquet") for name in self.digests if name.endswith(".parquet"))

    def table(self, name: str) -> pandas.DataFrame:
        """One of the run's tables; UnknownName if it has none of this name.

        Raises:
            DataError: the file is missing or is not the one that was written.
        """
        import pandas

        file = f"{name}.parquet"
        if file not in self.digests:
            raise UnknownName(
                f"run {self.info.id}: no table '{name}', {did_you_mean(name, self.table_names)}"
            )
        data = self._read(file)
        try:
            return pandas.read_parquet(BytesIO(data))
        except (ValueError, OSError) as error:  # pyarrow's errors are of these types
            raise DataError(self.folder / file, [f"is not a Parquet file: {error}"], _ADVICE) from None

    def networks(self) -> dict[str, Tensor]:
        """The fitted tensors, on the CPU, by flattened name; DataError as :meth:`table`."""
        return unpack_tensors(self._read(NETWORKS_FILE)) if NETWORKS_FILE in self.digests else {}

    def verify(self) -> list[str]:
        """One line for each file that is missing, changed or not part of the run; with :attr:`figures_only`,
        tables and networks may be missing."""
        faults, only = [], self.figures_only
        for name, recorded in {RUN_FILE: hashlib.sha256(self._text).hexdigest(), **self.digests}.items():
            try:
                if sha256_of(_file(self.folder / name)) != recorded:
                    faults.append(f"{name}: not the file that was written (its sha256 differs)")
            except FileNotFoundError:
                faults += [] if only and name != RUN_FILE else [f"{name}: missing"]
            except OSError as error:
                faults.append(f"{name}: cannot be read ({error.strerror or error})")
        if self.folder.is_dir():
            own = {RUN_FILE, *self.digests, *([FIGURES_ONLY] if only else [])}
            extra = {path.name for path in self.folder.iterdir()} - own
            faults += [f"{name}: not a file of this run" for name in sorted(extra)]
        return faults

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            data = _file(path).read_bytes()
        except OSError as error:
            if self.figures_only:
                raise DataError(
                    path,
                    ["was left out by 'zslbench runs export --without-tables'"],
                    "Import an archive with tables, or compute the run again with --force",
                ) from None
            fault = f"cannot be read: {error.strerror or error}"
        else:
            if hashlib.sha256(data).hexdigest() == self.digests[name]:
                return data
            fault = "damaged: its sha256 is not the recorded one"
        if not self.folder.exists():
            raise DataError(path, ["the run was replaced or removed after it was opened"], "Open it again")
        raise DataError(path, [fault], _ADVICE)


def is_whole(folder: str, run: str) -> bool:
    """Whether the folder has the ``run.json`` of this run, as it was written. Nothing else is checked."""
    from zslbench.store.content import FORMAT

    file = f"{folder}/{RUN_FILE}"
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
            return False
        with open(file, "rb") as opened:  # noqa: PTH123
            data = opened.read()
    except OSError:
        return False
    # As checked_json writes it: plans ask this of thousands of runs, and parsing takes most of the time.
    start = f'",\n "format": {FORMAT},\n "run": {{\n  "id": "{run}",\n'.encode()
    return has_own_checksum(data) and data.startswith(start, CHECKSUM_END)


def _file(path: Path) -> Path:
    """The path, if it is a regular file: reading a pipe would block forever."""
    if path.exists() and not path.is_file():
        raise OSError(f"{path.name} is not a file")
    return path


def files_of(content: RunContent, finished: datetime) -> dict[str, bytes]:
    """The files of a run's folder: Parquet tables, the networks, and ``run.json`` with the sha256 of each."""
    from zslbench.store.content import FORMAT, check_content

    files = {}
    for name, table in content.tables.items():
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise ValueError(f"table name {name!r}: use letters, digits, '-' and '_'")
        buffer = BytesIO()
        table.to_parquet(buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    if content.networks:
        files[NETWORKS_FILE] = pack_tensors(content.networks)
    described = {
        "format": FORMAT,
        "run": {name: value for name, value in vars(content.info).items() if name != "folder"},
        "finished": finished.isoformat(),
        "metrics": content.metrics,
        "environment": content.environment,
        "data": content.data,
        "notes": list(content.notes),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    stored = _storable(described)
    check_content(stored)
    files[RUN_FILE] = checked_json(stored)
    return files


def _storable(value: Any) -> Any:
    """JSON form of any value, even a path or an array: a run of hours is not lost for one of them."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if isinstance(value, int) or math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _storable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(one) for one in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, tensors.
        return _storable(value.tolist())
    return str(value)
