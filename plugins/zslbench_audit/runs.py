"""The runs that probes compare: made by the process with the plugins, evaluated by this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from zslbench.evaluation import Evaluation, Selection, evaluate_scores
from zslbench.experiment import Outcome
from zslbench.plugin import Dataset
from zslbench.training import unflatten
from zslbench_audit.altered import copied
from zslbench_audit.process import Arrays, Process

Alter = Callable[[Dataset, int], Dataset]
"""Makes another data set from one, at random from a seed."""

Traces = Mapping[str, list[str]]
"""``settings`` of the process that a run left changed, global generators that it has ``drawn`` from."""

SEED = 0
"""Seed of the runs, unless a probe changes it."""
GLOBAL_SEED = 1
"""Seed of the process's global random generators, unless a probe changes it."""


@dataclass(frozen=True)
class ProbeRuns:
    """Runs of a method for its probes. Their evaluations and figures are made here, where no plugin is."""

    process: Process
    """The process with the plugins, which has resolved the method."""
    method: Mapping[str, Any]
    """What it resolved, as :meth:`zslbench_audit.worker.Worker.resolve` says."""
    dataset: Dataset
    """The data set given to that process, with false classes for its test images."""
    truth: Dataset
    """The same with the true classes."""
    selection: Selection
    _computed: dict[tuple[str, int, int], tuple[Outcome, Traces]] = field(default_factory=dict)

    def run(self, alter: Alter | None = None, *, seed: int = SEED, global_seed: int = GLOBAL_SEED) -> Outcome:
        """The outcome on the data set, or on an altered one; computed once for the same arguments.

        Its ``metrics`` are what the process with the plugins reports; its evaluation is made here.
        ``global_seed`` is that of the process's global generators.
        """
        key = (alter.__name__ if alter else "", seed, global_seed)
        if key not in self._computed:
            data = alter(self.dataset, SEED) if alter else copied(self.dataset)
            self._computed[key] = self.compute(data, seed, global_seed)
        return self._computed[key][0]

    def traces(self, *, global_seed: int) -> Traces:
        """What a run on the unaltered data set changed in the process."""
        self.run(global_seed=global_seed)
        return self._computed["", SEED, global_seed][1]

    def compute(
        self, data: Dataset, seed: int = SEED, global_seed: int = GLOBAL_SEED
    ) -> tuple[Outcome, Traces]:
        """A run on this data set, and what it changed in the process."""
        value, found = self.ask("run", data, seed, global_seed)
        traces = value.pop("traces")
        networks, validation = (_networks(found, side) for side in ("final", "validation"))
        outcome = Outcome(
            evaluate_scores(data, _below(found, "scores")),
            networks=networks,
            validation_networks=validation,
            **value,
        )
        return outcome, traces

    def ask(
        self, action: str, data: Dataset, seed: int = SEED, global_seed: int = GLOBAL_SEED
    ) -> tuple[Any, Arrays]:
        """What the process with the plugins replies to a request about this data set."""
        given: dict[str, Any] = {"dataset": data, "seed": seed, "global_seed": global_seed}
        return self.process.ask(action, selection=self.selection, **given)

    def against_truth(self, outcome: Outcome) -> Evaluation:
        """The evaluation of a run on the unaltered data set with the true classes."""
        return evaluate_scores(self.truth, outcome.evaluation.scores)


def _below(arrays: Arrays, folder: str) -> Arrays:
    return {
        name.removeprefix(f"{folder}/"): one for name, one in arrays.items() if name.startswith(f"{folder}/")
    }


def _networks(arrays: Arrays, side: str) -> dict[str, Any]:
    """Networks by kind, as in an :class:`~zslbench.experiment.Outcome`."""
    tensors = _below(arrays, side)
    kinds = dict.fromkeys(name.partition("/")[0] for name in tensors)
    return {
        kind: unflatten({name: torch.from_numpy(one) for name, one in _below(tensors, kind).items()})
        for kind in kinds
    }
