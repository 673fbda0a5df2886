"""The other end of :mod:`zslbench_audit.process`: answers requests on standard input until it is closed."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from typing import IO, Any

from zslbench.plugin import one_line, plugin_code
from zslbench_audit.process import send


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks; it ends this one
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Plugins find an empty standard input, and what they print is not taken for a reply.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    serve(requests, replies)


def _end_with(parent: int) -> None:
    """End this process, whatever it computes, soon after its parent has ended, however that happened."""
    while os.getppid() == parent:  # on Windows for ever
        time.sleep(0.5)
    os._exit(1)


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests until there are no more, or nobody reads the replies."""
    from zslbench_audit.worker import Worker

    worker = Worker()
    while True:
        try:
            action, given = pickle.load(requests)
        except EOFError:
            return
        message: dict[str, Any]
        arrays = {}
        try:
            with plugin_code("audit"):
                if action == "audit":
                    message = {"value": _audit(replies, given)}
                else:
                    value, arrays = getattr(worker, action)(**given)
                    message = {"value": value}
        except Exception as error:
            own = type(error).__module__ in ("zslbench.errors", "zslbench_audit.process")
            message = {"error": str(error) if own else one_line(error), "type": type(error).__name__}
        try:
            send(replies, message, arrays)
        except BrokenPipeError:
            return


def _audit(replies: IO[bytes], given: dict[str, Any]) -> dict[str, Any]:
    from zslbench_audit.audit import judge

    return judge(**given, notify=lambda text: send(replies, {"says": text})).as_dict()


if __name__ == "__main__":
    main()
