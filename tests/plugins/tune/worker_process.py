"""One worker process: ``python worker_process.py STORE kill|wait``.

``kill``: it is killed after the second epoch of its first trial. ``wait``: it computes nothing until another
worker has started.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from tiny import RATES, TRAINED

import zslbench
from zslbench.training.context import Silent
from zslbench_tune.search import Search


class Killed(Silent):
    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Any) -> None:
        if stage == "validation/generator" and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


class KillsItself:
    def say(self, text: str) -> None: ...

    @contextmanager
    def observer(self, title: str) -> Any:
        yield Killed()


def main(store: Path, what: str) -> None:
    os.environ["ZSLBENCH_CHECKPOINT_SECONDS"] = "0"
    options: dict[str, Any] = {"search": RATES, "settings": TRAINED, "epochs": 3, "every": 1, "threads": 1}
    options |= {"device": "cpu", "store": store}
    if what == "kill":
        zslbench.tune("tf-vaegan", dataset="toy", trials=2, display=KillsItself(), **options)
        return
    original = Search.value

    def together(self: Any, *arguments: Any) -> Any:
        deadline = time.monotonic() + 300
        (store / f"started-{os.getpid()}").touch()
        while len(list(store.glob("started-*"))) < 2:
            if time.monotonic() > deadline:
                raise SystemExit("no other worker came")
            time.sleep(0.05)
        return original(self, *arguments)

    Search.value = together  # type: ignore[method-assign]
    zslbench.tune("tf-vaegan", dataset="toy", trials=2, **options)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
