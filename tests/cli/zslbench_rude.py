"""A plugin that prints wherever it can, changes settings of the process, and tries to end it."""

import atexit
import ctypes
import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np

from zslbench import Component, Method, hookimpl

os.write(1, b"NOISE\n")
print("NOISE import")  # noqa: T201
atexit.register(lambda: print("NOISE exit"))  # noqa: T201
atexit.register(os.write, 1, b"NOISE\n")
NAMES = ("honest", "noisy", "setting", "exiting", "stopping")


@hookimpl
def zslbench_components():
    import torch

    from zslbench.plugin.interfaces import Classifier

    torch.set_default_dtype(torch.float64)  # at import: nothing may follow from it

    class Honest(Classifier):
        needs_examples = False

        def fit(self, view):
            x, s = view.features, self.space.semantics[view.labels]
            return {"ridge": {"W": torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ s)}}

        def scores(self, nets, features):
            return features @ nets["ridge"]["W"] @ self.space.semantics.T

    class Noisy(Honest):
        def fit(self, view):
            print("NOISE fit", end="\nNOISE unfinished")  # noqa: T201
            os.write(1, b"NOISE\n")
            ctypes.CDLL(None).puts(b"NOISE")
            subprocess.run(["echo", "NOISE"], check=True)
            subprocess.Popen("sleep 1; echo NOISE", shell=True)
            threading.Thread(target=lambda: [print("NOISE") or time.sleep(0.01) for _ in range(99)]).start()  # noqa: T201
            return super().fit(view)

        def scores(self, nets, features):
            print("NOISE scores", file=sys.__stdout__)
            return super().scores(nets, features)

    class Setting(Honest):
        def fit(self, view):
            done = super().fit(view)
            torch.set_default_dtype(torch.float64), torch.set_default_device("meta")
            torch.set_grad_enabled(False), np.seterr(all="raise"), warnings.simplefilter("error")
            os.chdir(os.sep)
            os.environ["ZSLBENCH_CHECKPOINT_SECONDS"] = "never"
            return done

        def scores(self, nets, features):
            torch.set_default_device(None)
            return super().scores(nets, features)

    class Exiting(Honest):
        def fit(self, view):
            sys.exit(3)

    class Stopping(Honest):
        def scores(self, nets, features):
            raise KeyboardInterrupt

    globals().update({one.__name__: one for one in (Honest, Noisy, Setting, Exiting, Stopping)})
    for name in NAMES:
        yield Component(
            kind="classifier", name=f"rude-{name}", target=f"{__name__}:{name.title()}", summary="s"
        )


@hookimpl
def zslbench_methods():
    print("NOISE methods")  # noqa: T201
    for name in NAMES:
        classifier = f"rude-{name}"
        yield Method(name=name, embedding="identity", classifier=classifier, group="embedding", summary="s")


@hookimpl
def zslbench_run_started(run):
    raise KeyboardInterrupt("NOISE")


@hookimpl
def zslbench_run_finished(run, record):
    print("NOISE finished")  # noqa: T201
    sys.exit(4)
