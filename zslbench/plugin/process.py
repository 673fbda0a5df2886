"""Process-wide settings, which plugins may change: runs start from known values and restore the old ones."""

from __future__ import annotations

import contextlib
import decimal
import gc
import locale
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

_Access = tuple[Callable[[], Any], Callable[[Any], object]]
"""How to read a setting, and how to set it to a value that was read."""


def _attributes(module: Any, *names: str) -> _Access:
    def write(values: tuple[Any, ...]) -> None:
        for name, value in zip(names, values, strict=True):
            setattr(module, name, value)

    return lambda: tuple(getattr(module, name) for name in names), write


def _flushes_denormals() -> bool:
    """torch can set this, but cannot report it, so try."""
    return not bool((torch.full((1,), 1e-310, dtype=torch.float64, device="cpu") * 1.0).any())


def _set_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]


def _set_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _folder() -> str | None:
    with contextlib.suppress(OSError):  # it no longer exists
        return os.getcwd()  # noqa: PTH109
    return None


def _set_folder(before: str | None) -> None:
    with contextlib.suppress(OSError):
        os.chdir(before or os.curdir)


def _signal_handlers() -> dict[int, Any]:
    """Empty outside the main thread, where handlers cannot be set."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _set_signal_handlers(before: Mapping[int, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def matmul_precision() -> str:
    """torch's precision of float32 matrix products; ``"highest"`` from now on where torch cannot tell it,
    because somebody has mixed torch's old and new functions for it."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        torch.set_float32_matmul_precision("highest")
        return torch.get_float32_matmul_precision()


_deterministic: Any = torch.utils.deterministic  # a module whose setting is a property
_backends: Any = torch.backends.cudnn

STATE: Mapping[str, _Access] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
    ),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "torch's autocast": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda value: torch.set_autocast_enabled("cpu", value),
    ),
    "torch's treatment of denormal numbers": (_flushes_denormals, torch.set_flush_denormal),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's deterministic algorithms": (
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    "torch's filling of new memory": _attributes(_deterministic, "fill_uninitialized_memory"),
    "torch's precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "torch's cuDNN flags": _attributes(_backends, "enabled", "benchmark", "deterministic", "allow_tf32"),
    "numpy's handling of floating-point errors": (np.geterr, lambda errors: np.seterr(**errors)),
    "numpy's print options": (np.get_printoptions, lambda options: np.set_printoptions(**options)),
    "the precision of decimal numbers": (
        lambda: decimal.getcontext().prec,
        lambda digits: setattr(decimal.getcontext(), "prec", digits),
    ),
    "the filters of warnings": (lambda: list(warnings.filters), _set_filters),
    "the level of logging": (lambda: logging.root.manager.disable, logging.disable),
    "garbage collection": (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    "standard error": _attributes(sys, "stderr", "excepthook"),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL), lambda one: locale.setlocale(locale.LC_ALL, one)),
    "the environment variables": (lambda: dict(os.environ), _set_environment),
    "the working directory": (_folder, _set_folder),
    "the handlers of signals": (_signal_handlers, _set_signal_handlers),
}
"""By a readable name. ``sys.path`` is left out: later imports may need what a plugin added to it."""

START: Mapping[str, Any] = {
    "torch's default dtype": torch.float32,
    "torch's default device": torch.device("cpu"),
    "torch's gradient mode": True,
    "torch's anomaly detection": False,
    "torch's autocast": False,
    "torch's treatment of denormal numbers": False,
    "numpy's handling of floating-point errors": {
        "divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn",
    },
}  # fmt: skip
"""What runs start with, whatever the caller or an imported plugin has set: their numbers depend on it."""


@contextlib.contextmanager
def preserved(start: Mapping[str, Any] = {}, names: Iterable[str] = STATE) -> Iterator[list[str]]:
    """Restore these settings at the end; the list then names those that were changed.

    Not listed are new environment variables and a raised recursion limit, which a compiler needs: they
    disturb nobody. A setting that cannot be read at the beginning is left alone.

    Args:
        start: values to set within the context.
    """
    matmul_precision()
    before: dict[str, Any] = {}
    for name in names:
        with contextlib.suppress(Exception):
            before[name] = STATE[name][0]()
    changed: list[str] = []
    given = before | dict(start)
    _restore(start)
    try:
        yield changed
    finally:
        for name, after in _restore(given):
            changed.extend(_described(name, given[name], after))
        _restore(before)


_UNREADABLE = "unreadable"


def _described(name: str, before: Any, after: Any) -> Iterator[str]:
    """The change in words, if it may disturb others."""
    values = f"{before} before, {after} after"
    if name == "the environment variables":
        values = ", ".join(sorted(key for key in before if before[key] != after.get(key)))
        if not values:
            return
    if name == "the recursion limit" and after > before:
        return
    yield f"{name} ({values})" if len(values) < 80 else name


def _restore(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Set whatever differs from these values; returns the names and previous values.

    Nothing is raised: the other settings must be restored, and an error must not replace a run's result.
    """
    found = []
    for name, value in values.items():
        read, write = STATE[name]
        now: Any = _UNREADABLE
        with contextlib.suppress(Exception):
            now = read()
        if now != value:
            found.append((name, now))
            with contextlib.suppress(Exception):
                write(value)
    return found
