"""Run by path in a process of its own: computes runs in forked children that end at a given training step.

Each line on standard input is JSON: ``options`` of ``zslbench.run`` or the ``command`` line's arguments,
``at``: a stage and its step (from 1) inside which the child sends itself ``signal``; None: never. Each line
of the answer is JSON too: how the child ended and, where it finished, what its run found.
"""
# ruff: noqa: T201 (standard output is how it answers the test)

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

# Imported before the forks, so that a child starts at once.
import pandas
import pyarrow.parquet  # noqa: F401
import torch
import torch._dynamo  # torch.optim imports it, which takes seconds

import zslbench
import zslbench.cli.progress
import zslbench.cli.run
import zslbench.experiment.execution
import zslbench.experiment.pipeline
import zslbench_tf_vaegan.generator  # noqa: F401
from zslbench.plugin.discovery import registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store
from zslbench.training import program_run
from zslbench.training.context import Silent


def digest(record: RunRecord) -> dict[str, Any]:
    """Everything that must not depend on interruptions; floats in their exact decimal form."""
    names = ("networks", "epochs", "candidates", "predictions", "classes", "curve")
    tables = {name: record.table(name).to_csv(index=False) for name in names}
    return {
        "id": record.info.id,
        "resumed": record.info.resumed,
        "metrics": {name: repr(value) for name, value in sorted(record.metrics.items())},
        "notes": [note for note in record.notes if "checkpoint" not in note],
        **{name: hashlib.sha256(text.encode()).hexdigest() for name, text in tables.items()},
        "tensors": len(record.table("networks")),
    }


def count_steps(at: list[Any] | None, number: int) -> dict[str, int]:
    """Counts the training steps of every stage; sends the signal in the middle of the step ``at``.

    Stages that evaluate another one's epochs (classifiers fitted in between) are counted apart, and so are
    the runs that are ``written``.
    """
    found: dict[str, int] = {}
    begin, write = program_run.ProgramRun._begin, Store.write

    def count(what: str) -> None:
        found[what] = found.get(what, 0) + 1
        if [what, found[what]] == at:
            os.kill(os.getpid(), number)

    def counting(self: Any, nets: Any, frozen: Any, function_of: Any) -> None:
        quiet = isinstance(self.training.observer, Silent)
        stage = "evaluations" if quiet else self.training.stage

        def counted_of(step: Any) -> Any:
            function = function_of(step)

            def counted(*arguments: Any) -> Any:
                result = function(*arguments)
                count(stage)
                return result

            return counted

        begin(self, nets, frozen, counted_of)

    def counted_write(self: Any, *arguments: Any, **options: Any) -> Any:
        record = write(self, *arguments, **options)
        count("written")
        return record

    program_run.ProgramRun._begin = counting  # type: ignore[method-assign]
    Store.write = counted_write  # type: ignore[method-assign]
    return found


def child(job: dict[str, Any], answer: int) -> int:
    found = count_steps(job["at"], job.get("signal", 9))
    if "command" in job:
        sys.argv = ["zslbench", *job["command"]]
        log = os.open(job["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from zslbench.cli.main import main

        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0
    records = zslbench.run(**job["options"]).records
    answers = {"steps": found, "all": [digest(one) for one in records]} | digest(records[0])
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(json.dumps(answers).encode())
    return 0


def main() -> None:
    torch.set_num_threads(1)
    registry()
    pandas.DataFrame()
    for line in sys.stdin:
        job = json.loads(line)
        back, forth = os.pipe()
        process = os.fork()
        if process == 0:
            code = 70
            try:
                code = child(job, forth)
            except BaseException:
                import traceback

                traceback.print_exc()
            os._exit(code)
        os.close(forth)
        with os.fdopen(back) as answers:
            text = answers.read()
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(json.dumps({"code": code, **(json.loads(text) if text else {})}), flush=True)


if __name__ == "__main__":
    main()
