"""A recorder that, like a CUDA graph, knows operations on memory and nothing of Python.

Capturing runs the work once on a copy of the world (all that was changed in place is put back) and notes each
operation with its tensors; replaying does the operations again and puts results where they were. What Python
decided or counted while capturing is decided and counted for good, and a look at a value is an error, as in a
CUDA graph. So is what a deterministic GPU does by a look at the host in some of torch's releases (scattering,
as the gradients of ``gather`` and of advanced indices do), and a constant that comes from the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

LOOKS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "item", "masked_select")
SCATTERS = ("scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "index_put", "index_put_",
            "_index_put_impl_", "index_add", "index_add_")  # fmt: skip
FROM_THE_HOST = ("lift_fresh", "lift_fresh_copy")
FORBIDDEN = {f"aten::{name}" for name in (*LOOKS, *SCATTERS, *FROM_THE_HOST)}


class Tape(TorchDispatchMode):
    """Notes operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().partition(".")[0] in FORBIDDEN or _is_masked(func, args):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func.name()}")
        kwargs = kwargs or {}
        # Tensors may be moved to other values later by their owners (``tensor.grad = None``); memory stays.
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, Tensor):
                storage = one.untyped_storage()
                self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        held = tree_map(_view, (args, kwargs))
        made = func(*args, **kwargs)
        for one in tree_leaves(made):
            if isinstance(one, Tensor):  # what is made while capturing has no value before
                self.before.setdefault(one.untyped_storage().data_ptr(), (one.untyped_storage(),) * 2)
        self.operations.append((func, *held, tree_map(_view, made)))
        return made

    def put_back(self) -> None:
        for storage, copy in self.before.values():
            if copy is not storage:
                storage.copy_(copy)

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, made in self.operations:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def _is_masked(func: Any, args: Any) -> bool:
    """Whether rows are taken by a mask, whose length torch has to look at."""
    if not func.name().startswith("aten::index."):
        return False
    return any(isinstance(one, Tensor) and one.dtype == torch.bool for one in args[1])


def _view(one: Any) -> Any:
    """The same memory as another tensor object, which nobody else changes."""
    return torch.ops.aten.alias.default(one.detach()) if isinstance(one, Tensor) else one


class Recorder:
    """Repeats the work: the bookkeeping of graphs without a graph."""

    def warm(self, call: Callable[[], None]) -> None:
        call()

    def capture(self, call: Callable[[], None]) -> Callable[[], None]:
        return call


class Taping(Recorder):
    """Plays a tape."""

    def __init__(self) -> None:
        self.captured = 0
        self.replayed = 0

    def capture(self, call: Callable[[], None]) -> Callable[[], None]:
        tape = Tape()
        try:
            with tape:
                call()
        finally:
            tape.put_back()
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            tape.replay()

        return replay
