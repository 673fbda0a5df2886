"""Kept results of stages: whole or absent, whatever happens to the files or to those who write them."""

from __future__ import annotations

import itertools
import math
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import Start, started_processes

from zslbench.errors import ZslbenchError
from zslbench.store.stages import StageStore

KEY = "0123456789abcdef"
TENSORS = {
    "net/w": torch.tensor([[1.5, -0.0], [math.inf, math.nan]]),
    "net/t": torch.arange(6.0).reshape(2, 3).T,
    "other/count": torch.tensor(3),
}
FACTS = {"stage": "final/embedding/stage1", "epochs": [{"epoch": 1, "loss": math.nan}], "seconds": 2.5}


@pytest.fixture
def stages(tmp_path: Path) -> StageStore:
    return StageStore(tmp_path / "stages")


@pytest.fixture
def other_process(stages: StageStore) -> Iterator[Start]:
    """Starts ``stages_process.py`` on the same folder, with what it does and further arguments."""
    with started_processes(Path(__file__).with_name("stages_process.py")) as start:
        yield lambda what, *arguments: start(what, stages.folder, *arguments)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def test_what_is_kept_is_found_bit_for_bit(stages: StageStore) -> None:
    assert stages.find(KEY) is None and not stages.folder.exists()  # looking makes no folder
    stages.keep(KEY, TENSORS, FACTS)
    found = stages.find(KEY)
    assert found is not None
    tensors, facts = found
    assert list(tensors) == list(TENSORS)  # in the order in which they were kept
    for name, tensor in TENSORS.items():
        assert (tensors[name].dtype, tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert bits(tensors[name]) == bits(tensor)
    assert repr(facts) == repr(FACTS)
    assert stages.find(KEY[::-1]) is None
    assert {path.suffix for path in stages.folder.iterdir()} == {".json", ".safetensors"}


def test_what_is_found_is_nobody_elses(stages: StageStore) -> None:
    stages.keep(KEY, {"net/w": torch.ones(3)}, FACTS)
    first = stages.find(KEY)
    assert first is not None
    first[0]["net/w"].zero_()
    again = stages.find(KEY)
    assert again is not None and again[0]["net/w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("half", ["json", "safetensors"])
def test_any_flipped_bit_is_noticed_and_put_right(
    stages: StageStore, caplog: pytest.LogCaptureFixture, half: str
) -> None:
    stages.keep(KEY, TENSORS, FACTS)
    path = stages.folder / f"{KEY}.{half}"
    whole = path.read_bytes()
    choose = random.Random(0)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << choose.randrange(8)
        path.write_bytes(damaged)
        caplog.clear()
        assert stages.find(KEY) is None, position
        assert "damaged" in caplog.text and KEY in caplog.text
    stages.keep(KEY, TENSORS, FACTS)
    caplog.clear()
    assert stages.find(KEY) is not None and caplog.text == ""


@pytest.mark.parametrize("half", ["json", "safetensors"])
def test_any_truncation_is_noticed(stages: StageStore, half: str) -> None:
    stages.keep(KEY, TENSORS, FACTS)
    path = stages.folder / f"{KEY}.{half}"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert stages.find(KEY) is None, length
    path.write_bytes(whole + b"\0")
    assert stages.find(KEY) is None


@pytest.mark.parametrize("half", ["json", "safetensors"])
def test_half_a_result_is_none(stages: StageStore, half: str) -> None:
    stages.keep(KEY, TENSORS, FACTS)
    (stages.folder / f"{KEY}.{half}").unlink()
    assert stages.find(KEY) is None
    stages.keep(KEY, TENSORS, FACTS)
    assert stages.find(KEY) is not None


def test_a_result_under_anothers_name_is_not_taken_for_it(stages: StageStore) -> None:
    """Files that were renamed or copied by hand."""
    stages.keep(KEY, TENSORS, FACTS)
    stages.keep("other", {"net/w": torch.zeros(2)}, FACTS)
    shutil.copy(stages.folder / f"{KEY}.safetensors", stages.folder / "other.safetensors")
    assert stages.find("other") is None


def test_the_folder_may_be_deleted(stages: StageStore) -> None:
    stages.keep(KEY, TENSORS, FACTS)
    shutil.rmtree(stages.folder)
    assert stages.find(KEY) is None
    stages.keep(KEY, TENSORS, FACTS)
    assert stages.find(KEY) is not None


def test_a_folder_that_cannot_be_written_is_one_line(stages: StageStore) -> None:
    stages.folder.write_text("a file in its place")
    with pytest.raises(ZslbenchError, match=str(stages.folder)) as caught:
        stages.keep(KEY, TENSORS, FACTS)
    assert "\n" not in str(caught.value) and "--store" in str(caught.value)
    assert stages.find(KEY) is None


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
def test_a_writer_killed_at_any_line_leaves_the_old_or_the_new_result_or_none(
    stages: StageStore, other_process: Callable[..., Any], before: bool
) -> None:
    """Between the two files too; then the next one that computes the stage keeps it."""
    process = other_process("killed")
    old: dict[str, object] = {"number": 1, "seconds": 1.0}
    answer, line, found_numbers = "killed", 0, []
    while answer == "killed":
        line += 1
        shutil.rmtree(stages.folder, ignore_errors=True)
        if before:
            stages.keep(KEY, {"net/w": torch.ones(3000)}, old)
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        found = stages.find(KEY)
        if found is not None:
            assert bool((found[0]["net/w"] == found[1]["number"]).all())
        found_numbers.append(None if found is None else found[1]["number"])
        if line % 10 == 0:
            stages.keep(KEY, {"net/w": torch.ones(3000)}, old)
            assert stages.find(KEY) is not None
    assert answer == "done" and line > 40
    assert found_numbers[0] == (1 if before else None) and found_numbers[-1] == 2
    assert set(found_numbers) <= {1, 2, None}
    assert None in found_numbers  # between the two files
    # What was there stays until the tensors are replaced, and the new result is there from its JSON on.
    changes = [a != b for a, b in itertools.pairwise(found_numbers)]
    assert sum(changes) == (2 if before else 1)


@pytest.mark.slow
def test_processes_that_keep_the_same_key_end_with_one_whole_result(
    stages: StageStore, other_process: Callable[..., Any]
) -> None:
    """Different contents on purpose: a mixture of two must never pass for a result."""
    processes = [other_process("race", number, 20) for number in (1, 2)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        found = stages.find(KEY)
        assert found is None or bool((found[0]["net/w"] == found[1]["number"]).all())
    assert [process.wait() for process in processes] == [0, 0]
    assert sorted(path.name for path in stages.folder.iterdir()) == [f"{KEY}.json", f"{KEY}.safetensors"]
    stages.keep(KEY, {"net/w": torch.ones(3)}, {"number": 1, "seconds": 0.0})
    assert stages.find(KEY) is not None


@pytest.mark.slow
def test_processes_that_compute_the_same_always_leave_it(
    stages: StageStore, other_process: Callable[..., Any]
) -> None:
    """As in fact they do: then no moment is without a result."""
    stages.keep(KEY, {"net/w": torch.full((3000,), 7.0)}, {"number": 7, "seconds": 2.0})
    processes = [other_process("race", 7, 10) for _ in range(2)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        found = stages.find(KEY)
        assert found is not None and bool((found[0]["net/w"] == 7).all())
    assert [process.wait() for process in processes] == [0, 0]
