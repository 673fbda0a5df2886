"""``zslbench`` and ``python FILE`` for shell commands in tests, without the seconds that each start takes.

:func:`warm_commands` writes two small scripts into a folder for ``PATH``. They hand their arguments, working
directory, environment and standard streams to a server that has imported everything; for each call it forks a
process that does what a new one would do.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

_CLIENT = """#!{python} -SEs
import json, os, socket, sys
call = {{"words": ["{name}", *sys.argv[1:]], "cwd": os.getcwd(), "environ": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect("{address}")
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(call).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(8) or b"70"))
"""


@contextlib.contextmanager
def warm_commands(folder: Path) -> Iterator[Path]:
    """A folder to put first on ``PATH``; its ``python`` takes the name of a file only."""
    folder.mkdir()
    address = folder / "s"  # the length of such a path is limited
    for name in ("zslbench", "python"):
        script = folder / name
        script.write_text(_CLIENT.format(python=sys.executable, name=name, address=address), "utf-8")
        script.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()
        server = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    try:
        yield folder
    finally:
        server.terminate()
        server.wait()


def _serve(number: int) -> None:
    """Answer calls one after the other, each in a process of its own."""
    for name in ("matplotlib.figure", "pandas", "sklearn.linear_model", "statsmodels.api", "zslbench.api"):
        with contextlib.suppress(ImportError):  # an extra
            importlib.import_module(name)
    gc.freeze()  # otherwise each process would copy all of it when it collects garbage
    with socket.socket(fileno=number) as listening:
        while True:
            connection, _ = listening.accept()
            with connection:
                _, files, _, _ = socket.recv_fds(connection, 1, 3)
                with connection.makefile("rb") as received:
                    call = json.load(received)
                child = os.fork()
                if not child:
                    _answer(files, **call)
                _, status = os.waitpid(child, 0)
                connection.sendall(b"%d" % (os.waitstatus_to_exitcode(status) & 255))
                for one in files:
                    os.close(one)


def _answer(files: list[int], words: list[str], cwd: str, environ: dict[str, str]) -> NoReturn:
    """Do what the command would do, and end this process without taking down what was imported."""
    code: object = None
    try:
        for target, one in enumerate(files):
            os.dup2(one, target)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
        if words[0] == "python":
            sys.path.insert(0, cwd)
            sys.argv = words[1:]
            runpy.run_path(words[1], run_name="__main__")
        else:
            sys.argv = words
            runpy.run_module(words[0], run_name="__main__")
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255 if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
