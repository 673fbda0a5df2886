"""Whatever plugins set in the process is restored, and runs begin with known values."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zslbench.plugin.process import START, STATE, preserved


def _decimals() -> None:
    decimal.getcontext().prec = 3


def _stderr() -> None:
    sys.stderr = sys.stdout


def _filled() -> None:
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _benchmark() -> None:
    torch.backends.cudnn.benchmark = True


CHANGES: dict[str, Callable[[], Any]] = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's treatment of denormal numbers": lambda: torch.set_flush_denormal(True),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's filling of new memory": _filled,
    "torch's precision of matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's cuDNN flags": _benchmark,
    "numpy's handling of floating-point errors": lambda: np.seterr(all="raise"),
    "numpy's print options": lambda: np.set_printoptions(precision=2),
    "the precision of decimal numbers": _decimals,
    "the filters of warnings": lambda: warnings.simplefilter("error"),
    "the level of logging": lambda: logging.disable(logging.CRITICAL),
    "garbage collection": gc.disable,
    "standard error": _stderr,
    "the recursion limit": lambda: sys.setrecursionlimit(sys.getrecursionlimit() - 7),
    "the locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "the environment variables": lambda: os.environ.update(HOME="1"),
    "the working directory": lambda: os.chdir(Path(os.sep)),
    "the handlers of signals": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
}


def read(name: str) -> Any:
    return STATE[name][0]()


def test_every_setting_is_tried() -> None:
    assert CHANGES.keys() == STATE.keys()


@pytest.mark.parametrize("name", STATE)
def test_each_is_restored_and_reported(name: str) -> None:
    before = read(name)
    with preserved() as changed:
        CHANGES[name]()
        assert read(name) != before
    assert read(name) == before
    # The switch of deterministic algorithms imports a compiler, which sets more.
    assert name in [one.partition(" (")[0] for one in changed]


def test_nothing_is_reported_where_nothing_changed() -> None:
    with preserved(START) as changed:
        pass
    assert changed == []


def test_it_begins_with_known_values_and_ends_with_those_of_the_caller() -> None:
    with preserved():
        for name in START:
            CHANGES[name]()
        callers = {name: read(name) for name in START}
        with preserved(START) as changed:
            assert {name: read(name) for name in START} == START
            assert torch.zeros(1).dtype == torch.float32
            assert torch.ones(1, requires_grad=True).mul(2).requires_grad
        assert changed == []
        assert {name: read(name) for name in START} == callers


def test_all_at_once_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: access[0]() for name, access in STATE.items()}
    with pytest.raises(ValueError, match="broken"), preserved():
        for change in CHANGES.values():
            change()
        raise ValueError("broken")
    assert {name: access[0]() for name, access in STATE.items()} == before


def test_a_folder_that_was_removed_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    with preserved() as changed:
        os.chdir(tmp_path)
        (tmp_path / "gone").rmdir()
    assert [one.partition(" (")[0] for one in changed] == ["the working directory"]


def test_what_torch_cannot_report_is_restored_with_everything_after_it() -> None:
    matrices: Any = torch.backends.cuda.matmul
    before = {name: read(name) for name in STATE}
    with preserved() as changed:
        matrices.fp32_precision = "tf32"
        gc.disable()
        with pytest.raises(RuntimeError):
            read("torch's precision of matrix products")
    assert {name: read(name) for name in STATE} == before
    names = [one.partition(" (")[0] for one in changed]
    assert names == ["torch's precision of matrix products", "garbage collection"]

    matrices.fp32_precision = "tf32"  # by the caller
    with preserved(START) as changed:
        assert read("torch's precision of matrix products") == "highest"
    assert changed == []


def test_what_a_compiler_sets_is_restored_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIRS", "1"), monkeypatch.setenv("GONE", "1")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)  # of a compiler in an earlier test
    before = {name: read(name) for name in STATE}
    with preserved() as changed:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = "new"
        sys.setrecursionlimit(sys.getrecursionlimit() + 1000)
    assert {name: read(name) for name in STATE} == before
    assert changed == []
    with preserved() as changed:
        os.environ.update(NEW="2", THEIRS="2")
        del os.environ["GONE"]
    assert changed == ["the environment variables (GONE, THEIRS)"]
