"""Damages and reads files, one JSON line each; run by ``fuzz.py`` as a child, with a limit on memory."""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz_formats import FORMATS, Format, digest

from zslbench.data.images.depth import Unreadable
from zslbench.errors import ZslbenchError
from zslbench.output import visible

MEMORY = 12 << 30
"""Bytes of addresses: a size that a file claims is then an error at once, not a slow machine."""


def peak(*, reset: bool = False) -> int:
    """Most MB that this process held since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def outcome(one: Format, folder: Path, intact: object) -> dict[str, str]:
    """What came of reading damaged files."""
    try:
        read: Any = one.read(folder)
        found = digest(read)
    except (ZslbenchError, Unreadable) as error:
        text = visible(str(error))  # as commands show it
        if not text.strip() or "\n" in text or "Traceback" in text:
            return {"end": "fault", "what": f"not one clear line: {text[:300]!r}"}
        return {"end": "refused", "what": text[:300]}
    except BaseException as error:
        return {"end": "fault", "what": f"{type(error).__name__}: {error}"[:300]}
    if found == digest(intact):
        return {"end": "same", "what": ""}
    if not one.guarded:
        return {"end": "changed", "what": ""}
    known = {digest(part) for part in (*intact, *one.also, None)}  # type: ignore[misc]
    if all(digest(part) in known for part in read):
        return {"end": "refused", "what": "a damaged part was left out, with a warning"}
    return {"end": "fault", "what": "accepted with other values than were written"}


def attempts(one: Format, seed: int, numbers: range) -> Iterator[dict[str, object]]:
    """Each mutation's outcome, seconds and memory, announced before it is read."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        os.environ["FUZZ_MARKER"] = str(root / "executed")
        (root / "intact").mkdir()
        one.make(root / "intact")
        shutil.copytree(root / "intact", root / "first")
        intact = None if one.name == "pickles" else one.read(root / "first")
        for number in numbers:
            chance = random.Random(f"{seed} {one.name} {number}")
            folder = root / str(number)
            shutil.copytree(root / "intact", folder)
            file = one.damage(folder, chance)
            yield {"begin": number, "format": one.name, "file": file}
            before, started = peak(reset=True), (time.perf_counter(), time.process_time())
            found = outcome(one, folder, intact)
            took = {"seconds": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]}
            yield {"number": number, "format": one.name, "file": file, **found, **took, "mb": peak() - before}
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    seed, last, firsts = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what parsers print is not ours
    os.dup2(nowhere, 2)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ZSLBENCH_CACHE"] = cache
        lines.write(json.dumps({"formats": [one.name for one in FORMATS]}) + "\n")
        for one in FORMATS:
            if firsts is None or one.name in firsts:
                try:
                    for line in attempts(one, seed, range(firsts[one.name] if firsts else 0, last)):
                        lines.write(json.dumps(line) + "\n")
                except Exception:
                    lines.write(json.dumps({"broken": traceback.format_exc()}) + "\n")
                    return
    lines.write(json.dumps({"end": "all"}) + "\n")


if __name__ == "__main__":
    main()
