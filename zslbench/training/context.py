"""Where and how a stage of training runs, and who observes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from zslbench.plugin.streams import Streams
from zslbench.training.graphs import Graphs
from zslbench.training.stages import Stages
from zslbench.training.step import Precision
from zslbench.training.threads import Member

T = TypeVar("T")


@runtime_checkable
class Observer(Protocol):
    """Follows training: progress bars, logs, plugins' lifecycle hooks."""

    def stage_started(self, stage: str, epochs: int, done: int) -> None: ...

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...

    def stage_ended(self, stage: str) -> None: ...


class Silent:
    """An observer that does nothing."""

    def stage_started(self, stage: str, epochs: int, done: int) -> None: ...

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...

    def stage_ended(self, stage: str) -> None: ...


@dataclass(frozen=True)
class Training:
    """Where and how a stage of training runs. :meth:`child` gives the context of a part of it."""

    streams: Streams
    stage: str = ""
    folder: Path | None = None
    """For checkpoints; None: the stage is short and starts over after an interruption."""
    require_sound_data: Callable[[], None] = lambda: None
    """Called before a checkpoint or a stage is saved; raises if the data cannot be trusted."""
    observer: Observer = field(default_factory=Silent)
    checkpoint_seconds: float = 60.0
    """Least time between checkpoints; 0: one after every iteration."""
    stop_requested: Callable[[], bool] = lambda: False
    stages: Stages | None = None
    """Results of stages shared with other runs; None: not shared."""
    precision: Precision = "float32"
    """The precision of matrix products in steps."""
    graphs: Graphs | None = None
    """Captures iterations in CUDA graphs; None: they are computed step by step."""
    keep_scores: bool = False
    """Whether evaluations keep all scores, not only the leaders that figures need."""
    debug_samples: bool = False
    """Whether epochs of a generator's training record statistics of its synthetic features."""
    member: Member | None = None
    """Set if several seeds train together."""

    def child(self, name: str, *, stream: str | None = None) -> Training:
        """The context of a part. ``stream`` names its random streams if they must differ from ``name``
        (candidates that are compared share their noise)."""
        return replace(
            self,
            streams=self.streams.child(stream or name),
            stage=f"{self.stage}/{name}" if self.stage else name,
            folder=self.folder / name if self.folder else None,
        )

    def unsaved(self) -> Training:
        """Without checkpoints and observer, for short stages inside another."""
        return replace(self, folder=None, observer=Silent())

    def shared(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """What does not depend on the seed, made once for all seeds that train together."""
        return make() if self.member is None else self.member.group.share(key, make)
