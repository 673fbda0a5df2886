"""What the plugin registers, and a log of its runs. Imports no torch: classes are named by strings."""

import json
import os
from pathlib import Path

from zslbench import Component, Method, Variant, hookimpl

PAPER = "Gneiting & Raftery, JASA 2007 (the score)"


@hookimpl
def zslbench_components():
    yield Component(
        kind="generator",
        name="their-generator",
        target="their_method.generator:TheirGenerator",
        settings="their_method.settings:TheirSettings",
        summary="One network from attributes and noise to features, trained by the energy score",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods():
    yield Method(
        name="their-method",
        embedding="identity",
        generator="their-generator",
        classifier="softmax",
        summary="One network from attributes and noise to features, trained by the energy score",
        paper=PAPER,
        presets="their_method.presets",
        variants=(
            Variant(
                name="no-spread",
                summary="nothing keeps synthetic features of a class apart",
                settings={"generator.spread": 0.0},
            ),
        ),
    )


@hookimpl
def zslbench_run_started(run):
    log("started", run)


@hookimpl
def zslbench_epoch_ended(run, stage, epoch, metrics):
    log("epoch", run, stage=stage, epoch=epoch, metrics=dict(metrics))


@hookimpl
def zslbench_run_finished(run, record):
    log("finished", run, h=record.metrics["h"])


def log(event, run, **more):
    """Append a line to the file that THEIR_LOG names."""
    if "THEIR_LOG" in os.environ:
        with Path(os.environ["THEIR_LOG"]).open("a", encoding="utf-8") as file:
            print(json.dumps({"event": event, "run": run.id, **more}), file=file)
