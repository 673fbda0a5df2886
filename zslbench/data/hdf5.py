"""Opens HDF5 files once a child process has examined them: a hostile file can crash or hang the library.

The child process reads everything that this one will read, except large numeric arrays: attributes, names,
text, references. Its time and memory are limited, and each state of a file is examined only once
(:mod:`zslbench.data.once`). Where no child process can be started, files are opened unexamined.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from zslbench.data.mat5 import RATIO
from zslbench.data.once import FileState, file_state, is_known, remember
from zslbench.errors import DataError
from zslbench.store.parsing import parse_json

if TYPE_CHECKING:
    import h5py

_CHECK = "HDF5 file"
_SECONDS, _BYTES_PER_SECOND, _MOST_SECONDS = 3, 5 << 20, 60
"""Processor seconds for an examination: ``_SECONDS``, plus one per ``_BYTES_PER_SECOND`` of the file, at most
``_MOST_SECONDS``."""
_CHEAP_SECONDS = 0.3
"""Processor seconds: an error that takes no longer may simply occur again in this process."""
_PATIENCE, _LONGEST_WAIT = 20, 300.0
"""Longest wait for an answer, as a multiple of the processor time allowed, and in seconds."""
_MEMORY = 2 << 30
"""Bytes of memory for an examination, to which twice the file's size is added."""
_MOST_ENTRIES, _LARGEST_ATTRIBUTE, _LARGEST_READ = 1000, 1 << 20, 1 << 24
_ADVICE = "Get a fresh copy of the file"


@contextlib.contextmanager
def open_examined(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: examining it crashed, failed or took too long, or it claims more values than it holds.
        OSError: it is not an HDF5 file.
    """
    import h5py

    _examiner.require_harmless(path)
    with h5py.File(path, "r") as file:
        yield file


class _Examiner:
    """The child process, started when first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._lock = threading.Lock()
        self._harmless: set[FileState] = set()

    def require_harmless(self, path: Path) -> None:
        with self._lock:
            state = file_state(path)
            if state in self._harmless or is_known(_CHECK, [state]):
                return
            if fault := self._ask(path, state[1]):
                raise DataError(path, [fault], _ADVICE)
            self._harmless.add(state)
            remember(_CHECK, [state])

    def _ask(self, path: Path, size: int) -> str:
        """What is wrong with the file; empty: nothing."""
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
        except OSError:  # no child process can be started here: better unexamined than unusable
            return ""
        process, seconds = self._process, min(_SECONDS + size / _BYTES_PER_SECOND, _MOST_SECONDS)
        assert process is not None and process.stdin is not None
        wait, late = min(_PATIENCE * seconds, _LONGEST_WAIT), False
        try:
            process.stdin.write(json.dumps([str(path), size, seconds]).encode() + b"\n")
            process.stdin.flush()
            if answer := self._answers.get(timeout=wait):
                examined, fault = parse_json(answer)
                if examined != str(path):
                    raise RuntimeError(f"asked about {path}, answered about {examined}")
                return str(fault)
        except Empty:
            late = True
            process.kill()
        except OSError:  # it has ended
            pass
        except BaseException:  # such as Ctrl-C: a late answer would be taken for the next file's
            process.kill()
            self._process = None
            raise
        self._process = None
        code = process.wait()
        if late or code == -24:  # SIGXCPU
            return f"cannot be read as HDF5 in {wait if late else seconds:.0f} s"
        if code == -9:  # SIGKILL, which this process did not send
            fault = "not examined: the process that examines HDF5 files was killed"
            raise DataError(path, [fault], "Memory may be short: free some, then repeat the command")
        if code in (0, 1, 2):  # Python's own, so not a fault of the file
            fault = f"not examined: the process that examines HDF5 files failed (exit code {code})"
            raise DataError(path, [fault], f"To see why, run: {shlex.join(_command())}")
        return f"cannot be read as HDF5: it crashes the library (exit code {code})"

    def _start(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))  # an empty entry would be the current folder
        process = self._process = subprocess.Popen(
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the parent; when that exits, the input is closed
        )
        atexit.register(process.kill)
        answers = self._answers = SimpleQueue()

        def receive() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                answers.put(line)
            answers.put(b"")

        threading.Thread(target=receive, daemon=True).start()


def _command() -> list[str]:
    return [sys.executable or "", "-P", "-m", "zslbench.data.hdf5"]  # -P: nothing from the current folder


_examiner = _Examiner()


# --- in the child process -------------------------------------------------------------------------


def _serve() -> None:
    """Examine the files that standard input names, one line each, and answer with path and fault."""
    import h5py  # noqa: F401 (if it cannot be imported, no file is harmless)

    for line in sys.stdin:
        path, size, seconds = parse_json(line)
        began = time.process_time()
        _limit("RLIMIT_AS", _MEMORY + 2 * size)
        _limit("RLIMIT_CPU", int(began + seconds + 1))
        try:
            fault = _examine(Path(path))
        except Exception as error:  # the parent raises cheap errors itself, if it reads that part at all
            costly = (
                time.process_time() - began > _CHEAP_SECONDS
                or "alloc" in f"{type(error).__name__} {error}".lower()
            )
            fault = f"cannot be read as HDF5 ({error})" if costly or isinstance(error, MemoryError) else ""
        print(json.dumps([path, fault]), flush=True)  # noqa: T201 (the answer)


def _limit(name: str, value: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def _examine(path: Path) -> str:
    """What makes the file unusable; empty: nothing."""
    import h5py

    with h5py.File(path, "r") as file:
        items: list[tuple[str, Any]] = []
        if len(file) > _MOST_ENTRIES:
            return f"has {len(file)} entries, more than {_MOST_ENTRIES}"
        for name in file:
            if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
                return f"keeps '{name}' in another file"
            item = file.get(name)
            items.append((name, item))
            if isinstance(item, h5py.Group) and name != "#refs#":  # a sparse array
                items += [(f"{name}/{inner}", item.get(inner)) for inner in item]
        for name, item in items:
            if fault := _fault(file, name, item):
                return fault
    return ""


def _fault(file: h5py.File, name: str, item: Any) -> str:
    import h5py

    for attribute in () if item is None else item.attrs:
        found = item.attrs.get_id(attribute)
        size = found.dtype.itemsize
        for length in found.shape or ():
            size *= length
        if size > _LARGEST_ATTRIBUTE:
            return f"'{name}' has an attribute '{attribute}' of {size} bytes"
        item.attrs[attribute]
    if not isinstance(item, h5py.Dataset) or item.shape is None:
        return ""
    if item.is_virtual or item.external:
        return f"keeps '{name}' in another file"
    stored = item.id.get_storage_size()
    if item.nbytes > stored * (RATIO if item.compression else 1):
        return f"'{name}' claims shape {item.shape} in {stored} stored bytes"
    if item.dtype == h5py.ref_dtype:
        for reference in item[()].ravel():
            if reference:
                file[reference]
    elif item.dtype.kind not in "fiub" or item.nbytes <= _LARGEST_READ:
        item[()]
    elif item.shape:
        item[:1], item[-1:]
    return ""


if __name__ == "__main__":
    _serve()
