"""Where and how a stage of training runs, and who observes it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from zslbench.plugin.interfaces import Networks, Program
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import Graphs
from zslbench.training.stages import Stages
from zslbench.training.step import Precision

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


@runtime_checkable
class Run(Protocol):
    """A program being trained, as the loop sees it: alone, or one seed's share of several together."""

    program: Program
    training: Training

    @property
    def epoch(self) -> int: ...

    @property
    def history(self) -> list[dict[str, Any]]: ...

    @property
    def seconds(self) -> float: ...

    def networks(self) -> Networks: ...

    def resume(self) -> None: ...

    def train_epoch(self) -> None: ...

    def figures(self) -> dict[str, float]: ...

    def evaluation(self) -> contextlib.AbstractContextManager[None]: ...

    def end_epoch(self, metrics: Mapping[str, float]) -> None: ...

    def save_epoch(self) -> None: ...

    def save(self) -> None: ...

    def close(self, error: BaseException | None = None) -> None: ...


@runtime_checkable
class GroupMember(Protocol):
    """A seed among seeds that train together (:class:`zslbench.training.replicas.group.Member`)."""

    def train_together(
        self, program: Program, semantics: Tensor, training: Training, finish: Callable[[Run], Run]
    ) -> Run | None: ...

    def inside(self) -> contextlib.AbstractContextManager[None]: ...

    def share(self, key: tuple[object, ...], make: Callable[[], T]) -> T: ...


@dataclass(frozen=True)
class Training:
    """Where and how a stage of training runs. :meth:`child` gives the context of a part of it."""

    streams: Streams
    stage: str = ""
    folder: Path | None = None
    """For checkpoints; None: the stage is short and starts over after an interruption."""
    observer: Observer = field(default_factory=Silent)
    checkpoint_seconds: float = 60.0
    """Least time between checkpoints; 0: one after every iteration."""
    stop_requested: Callable[[], bool] = lambda: False
    stages: Stages | None = None
    """Results of stages shared with other runs; None: not shared."""
    precision: Precision = "float32"
    """Of matrix products in steps."""
    graphs: Graphs | None = None
    """Captures iterations in CUDA graphs; None: they are computed step by step."""
    member: GroupMember | None = None
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
        return make() if self.member is None else self.member.share(key, make)
