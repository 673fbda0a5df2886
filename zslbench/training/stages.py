"""Results of stages, stored under a key by which other runs find and reuse them.

A key covers everything that the result depends on: the settings that the author names (``Program.key``),
initial and frozen networks, optimisers, batches and noise, labels and features, the part of the run (which
names the fold) and its seed, and what every stage of the run depends on (data, versions, execution mode).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from torch import Tensor

from zslbench.data.provenance import array_sha256
from zslbench.plugin.programs import Derived, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks
from zslbench.store.identity import run_id
from zslbench.store.stages import StageStore
from zslbench.training.checkpoint import flatten, unflatten


@dataclass(frozen=True)
class Stages:
    """The stages of one run: looked up before they are computed, stored afterwards.

    Args:
        identity: what every stage depends on, as plain data.
        fresh: reuse nothing (``--force``), but store what is computed.
        say: called with a line about each result that is reused.
    """

    store: StageStore
    identity: Mapping[str, Any]
    fresh: bool = False
    say: Callable[[str], None] = lambda text: None
    events: list[dict[str, Any]] = field(default_factory=list)
    """For each stage with a key: ``stage``, ``key``, ``reused``, and ``seconds`` that computing it took."""
    fitted_on: Mapping[str, Tensor] = field(default_factory=dict)
    """What the component is fitted on, where earlier components made it; derived tensors depend on it."""

    def of_part(self, fitted_on: Mapping[str, Tensor] | None = None, **identity: Any) -> Stages:
        """The stages of one component, which also depend on ``identity``."""
        return replace(self, fitted_on=fitted_on or {}, identity={**self.identity, **identity})

    def find(self, stage: str, key: str, streams: Streams) -> tuple[Networks, list[dict[str, Any]]] | None:
        """Networks and rows of epochs of a stage that was computed before, or None."""
        if self.fresh and not any(event["key"] == key for event in self.events):
            return None
        found = self.store.find(key)
        if found is None:
            return None
        tensors, facts = found
        self.events.append({"stage": stage, "key": key, "reused": True, "seconds": facts["seconds"]})
        self.say(f"stage {stage}: reusing the earlier result (computed in {facts['seconds']:.0f} s)")
        nets = unflatten({path: tensor.to(streams.device) for path, tensor in tensors.items()})
        return nets, [{**row, "stage": stage} for row in facts["epochs"]]

    def keep(
        self, stage: str, key: str, nets: Networks, epochs: list[dict[str, Any]], seconds: float
    ) -> None:
        """Store a stage that was computed."""
        self.store.keep(key, flatten(nets), {"stage": stage, "epochs": epochs, "seconds": seconds})
        self.events.append({"stage": stage, "key": key, "reused": False, "seconds": seconds})

    def program_key(self, program: Program, streams: Streams, last: int) -> str | None:
        """The key of a program's result after epoch ``last``; None if it has no ``Program.key``."""
        if program.key is None:
            return None
        noise = {
            f"{i}.{j}": {name: _plain(spec) for name, spec in step.noise.items()}
            for i, steps in enumerate(program.passes)
            for j, step in enumerate(steps)
        }
        return self._key(
            streams,
            streams.seed,
            kind="program",
            settings=dict(program.key),
            passes=[
                [(s.name, list(s.updates), s.fresh_batch, s.batch_size, s.accumulate) for s in steps]
                for steps in program.passes
            ],
            noise=noise,
            optimizers={name: _plain(rule) for name, rule in program.optimizers.items()},
            length=[last, program.epochs, program.batch_size, _plain(program.sampler), program.iterations],
            initial=_digests(program.initial(streams.child("initial"))),
            frozen=_digests(program.frozen),
            state=_digests({"state": dict(program.state)}),
            features=_digest(program.features) if isinstance(program.features, Tensor) else "the fold's",
            labels=_digest(program.labels),
        )

    def derived_key(self, derived: Derived, streams: Streams) -> str:
        """The key of derived tensors; a seed matters only through the networks they are derived from."""
        return self._key(
            streams,
            None,
            kind="derived",
            settings=dict(derived.key),
            follows=_digests(derived.source),
            fitted_on=_digests({"view": dict(self.fitted_on)}),
        )

    def _key(self, streams: Streams, seed: int | None, **content: Any) -> str:
        # Nested, so that names of one part cannot hide those of another.
        return run_id({"of": dict(self.identity), "part": streams.prefix, "seed": seed, "content": content})


def _plain(declared: Any) -> Any:
    """Noise, an optimiser's rule or how batches are drawn, as plain data that tells types apart."""
    if is_dataclass(declared):
        of_fields = {one.name: _plain(getattr(declared, one.name)) for one in fields(declared)}
        return [type(declared).__name__, of_fields]
    return _digest(declared) if isinstance(declared, Tensor) else declared


def _digests(nets: Networks) -> dict[str, str]:
    return {path: _digest(tensor) for path, tensor in sorted(flatten(nets).items())}


def _digest(tensor: Tensor) -> str:
    return array_sha256(tensor.detach().cpu().contiguous().numpy())
