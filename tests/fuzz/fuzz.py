"""Reads damaged files of every format in child processes that are watched.

Nothing may hang, crash, raise anything but a ZslbenchError of one line, take all memory, run a pickle, or
accept other values where a digest guards them.

    python tests/fuzz/fuzz.py [--mutations 100] [--seed 0] [--format NAME] [--page FILE]

A mutation depends on the seed, the format and its number alone: ``--format "MAT plain" --first 17
--mutations 1`` repeats one.
"""

from __future__ import annotations

import argparse
import json
import platform
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 5.0
"""Longest processor time of a mutation."""
PATIENCE = 60.0
"""Seconds after which a child without an answer is ended: the machine may do other work."""
MEGABYTES = 512
"""Most memory of a mutation."""
WORKER = Path(__file__).with_name("fuzz_worker.py")


@dataclass
class Tally:
    """The outcomes of one format."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    megabytes: int = 0

    def add(self, line: dict[str, Any]) -> None:
        end, what = line["end"], line["what"]
        if end == "fault":
            pass
        elif line["cpu"] > SECONDS:
            end, what = "fault", f"took {line['cpu']:.1f} s"
        elif line["mb"] > MEGABYTES:
            end, what = "fault", f"took {line['mb']} MB"
        self.ends[end] += 1
        self.seconds, self.megabytes = max(self.seconds, line["cpu"]), max(self.megabytes, line["mb"])
        if end == "fault":
            self.faults.append(f"{line['format']}, {line['number']} ({line['file']}): {what}")


def watched(names: Sequence[str] | None, seed: int, numbers: range) -> Iterator[dict[str, Any]]:
    """The outcomes of a child; a mutation at which it dies or hangs is a fault, and another child goes on."""
    firsts = None if names is None else dict.fromkeys(names, numbers.start)
    while firsts is None or firsts:
        words = [sys.executable, str(WORKER), str(seed), str(numbers.stop), json.dumps(firsts)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            lines: queue.Queue[str | None] = queue.Queue()
            threading.Thread(target=_listen, args=(child.stdout, lines), daemon=True).start()
            line: dict[str, Any] = {}
            begun: dict[str, Any] = {}
            what = ""
            while not what:
                try:
                    text = lines.get(timeout=PATIENCE)
                except queue.Empty:
                    what = f"no answer for {PATIENCE:.0f} s"
                    break
                if text is None:
                    what = f"the process ended ({child.wait()})"
                    break
                line = json.loads(text)
                if line == {"end": "all"}:
                    return
                if "formats" in line:
                    firsts = dict.fromkeys(line["formats"], 0) if firsts is None else firsts
                    continue
                if "broken" in line:
                    raise SystemExit(line["broken"])
                if "begin" in line:
                    begun = line
                    continue
                begun = {}
                yield line
            child.kill()
        if not begun or firsts is None:
            raise SystemExit(f"the worker failed before the first mutation: {what}")
        yield {**begun, "number": begun["begin"], "end": "fault", "what": what, "cpu": 0.0, "mb": 0}
        for name in list(firsts):  # those before it are done
            if name == begun["format"]:
                firsts[name] = begun["begin"] + 1
                break
            del firsts[name]


def _listen(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def fuzz(names: Sequence[str] | None, seed: int, numbers: range) -> dict[str, Tally]:
    """Tallies by format; ``names``: of formats, None: all, with numbers from 0."""
    found: dict[str, Tally] = {}
    for line in watched(names, seed, numbers):
        found.setdefault(line["format"], Tally()).add(line)
        if line["end"] == "fault":
            sys.stderr.write(f"fault: {line}\n")
    return found


def page(found: dict[str, Tally], command: str) -> str:
    """A Markdown page of the figures."""
    import torch

    from benchmarks.common import processor

    names = {
        "refused": "refused",
        "same": "read, as written",
        "changed": "read, other values",
        "fault": "faults",
    }
    rows = [["format", "mutations", *names.values(), "longest, s", "most memory, MB"]]
    for name, one in found.items():
        counts = [str(one.ends[end]) for end in names]
        rows.append([name, str(one.ends.total()), *counts, f"{one.seconds:.2f}", str(one.megabytes)])
    total = [str(sum(one.ends[end] for one in found.values())) for end in names]
    mutations = sum(one.ends.total() for one in found.values())
    slowest, largest = (
        max(getattr(one, what) for one in found.values()) for what in ("seconds", "megabytes")
    )
    rows.append(["all", str(mutations), *total, f"{slowest:.2f}", str(largest)])
    table = [f"| {' | '.join(row)} |" for row in rows]
    table.insert(1, f"| --- |{' ---: |' * (len(rows[0]) - 1)}")
    machine = f"{processor()}, no GPU; Python {platform.python_version()}, torch {torch.__version__}"
    return "\n".join(
        [
            "# Damaged files\n",
            f"Regenerate with `{command}`.\n",
            "Small intact files of every format that zslbench reads are damaged at random (seeded) and read",
            f"as commands read them. A fault is a traceback, a crash, over {SECONDS:.0f} s of processor",
            f"time, more than {MEGABYTES} MB, an error that is not one line, an executed pickle, or other",
            "values where a digest guards them (region stores, records, audits, checkpoints, archives with",
            "checksums). Elsewhere `read, other values` are valid files with other content, such as a CSV",
            "file with another number.",
            "",
            *table,
            f"\nHardware: {machine}.\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=100, help="of each format (default 100)")
    parser.add_argument("--first", type=int, default=0, help="number of the first, with --format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", action="append", help="only this, may be repeated; all by default")
    parser.add_argument("--page", type=Path, help="write the figures there")
    given = parser.parse_args()
    found = fuzz(given.format, given.seed, range(given.first, given.first + given.mutations))
    for name, one in found.items():
        sys.stdout.write(f"{name}: {dict(one.ends)}, {one.seconds:.2f} s, {one.megabytes} MB\n")
        for text in one.faults:
            sys.stdout.write(f"  {text}\n")
    if given.page:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        command = (
            f"python tests/fuzz/fuzz.py --mutations {given.mutations} --seed {given.seed} --page {given.page}"
        )
        given.page.write_text(page(found, command))
    sys.exit(any(one.faults for one in found.values()))


if __name__ == "__main__":
    main()
