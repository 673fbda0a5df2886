"""Checkpoints: bit for bit, whole after any kill, no damage unnoticed."""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from processes import started_processes

from zslbench.errors import ZslbenchError
from zslbench.training.checkpoint import load, save


def two_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        save(folder, {"w": torch.full((7,), float(step)), "rng": torch.arange(5).byte()}, {"step": step})


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def test_every_kind_of_tensor_comes_back_bit_for_bit(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    payloads = torch.tensor([0x7FC00001, 0x7F800001, -1, -(2**31)], dtype=torch.int32).view(torch.float32)
    given = {
        "states/generator": torch.Generator().manual_seed(5).get_state(),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "bool": torch.tensor([True, False]),
        "flag": torch.tensor(True),
        "long": torch.tensor([-(2**63), 2**63 - 1]),
        "nan payloads": payloads,
        "half": torch.tensor([1.5, math.inf]).half(),
        "bfloat16": torch.tensor([1.5, -0.0]).bfloat16(),
        "transposed": base.T,
        "strided": base[:, ::2],
        "row": base[1],
        "shared with row": base[1],
        "expanded": torch.tensor([1.0]).expand(4),
        "empty": torch.zeros(0, 3),
        "trained": torch.nn.Parameter(base),
    }
    save(tmp_path, given, {})
    found = load(tmp_path)
    assert found is not None
    assert found[0].keys() == given.keys()
    for name, tensor in given.items():
        back = found[0][name]
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape), name
        assert bits(back) == bits(tensor.detach()), name
    found[0]["row"].zero_()
    assert found[0]["shared with row"].tolist() == base[1].tolist()


def test_a_dtype_that_cannot_be_stored_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"'odd'.*complex128"):
        save(tmp_path, {"odd": torch.zeros(2, dtype=torch.complex128)}, {})
    with pytest.raises(TypeError, match=r"meta\['epochs'\]: key 3"):
        save(tmp_path, {}, {"epochs": {3: "x"}})
    assert load(tmp_path) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40)
@given(meta=st.dictionaries(st.text(), json_values, max_size=5))
def test_meta_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, meta: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("meta")
    save(folder, {}, meta)
    found = load(folder)
    assert found is not None and found[1] == meta
    assert repr(found[1]) == repr(meta)  # 1 stays an int, 1.0 a float, -0.0 negative.


def test_nan_in_meta_comes_back(tmp_path: Path) -> None:
    save(tmp_path, {}, {"best": math.nan, "low": -math.inf})
    found = load(tmp_path)
    assert found is not None and math.isnan(found[1]["best"]) and found[1]["low"] == -math.inf


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    assert load(tmp_path / "not there") is None
    for step in range(1, 6):
        save(tmp_path, {"w": torch.tensor(step)}, {"step": step})
        found = load(tmp_path)
        assert found is not None and found[1] == {"step": step} and found[0]["w"] == step
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint-{n}.{suffix}" for n in (4, 5) for suffix in ("json", "safetensors")]


@pytest.mark.parametrize("half", ["json", "safetensors"])
def test_any_flipped_bit_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, half: str) -> None:
    two_checkpoints(tmp_path)
    originals = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    name = f"checkpoint-2.{half}"
    choose = random.Random(0)
    for position in range(len(originals[name])):
        for old in tmp_path.iterdir():
            old.unlink()
        for one, data in originals.items():
            (tmp_path / one).write_bytes(data)
        damaged = bytearray(originals[name])
        damaged[position] ^= 1 << choose.randrange(8)
        (tmp_path / name).write_bytes(damaged)
        caplog.clear()
        found = load(tmp_path)
        assert found is not None and found[1] == {"step": 1}, position
        assert found[0]["w"].tolist() == [1.0] * 7
        assert "checkpoint 2 is damaged" in caplog.text and name in caplog.text


@pytest.mark.parametrize("half", ["json", "safetensors"])
@pytest.mark.parametrize("left", [None, 0, 1, 60, -1])
def test_truncated_and_missing_halves_are_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, half: str, left: int | None
) -> None:
    two_checkpoints(tmp_path)
    path = tmp_path / f"checkpoint-2.{half}"
    data = path.read_bytes()
    path.unlink() if left is None else path.write_bytes(data[:left])
    found = load(tmp_path)
    assert found is not None and found[1] == {"step": 1}
    assert "checkpoint 2" in caplog.text
    # The next saves go on and the good one is not thrown away for the damaged one.
    save(tmp_path, {"w": torch.tensor(2)}, {"step": 22})
    assert load(tmp_path)[1] == {"step": 22}  # type: ignore[index]
    for newest in tmp_path.glob("checkpoint-2.*"):
        newest.write_bytes(b"rubbish")
    assert load(tmp_path)[1] == {"step": 1}  # type: ignore[index]


def test_halves_of_two_checkpoints_do_not_make_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two_checkpoints(tmp_path)
    (tmp_path / "checkpoint-2.json").write_bytes((tmp_path / "checkpoint-1.json").read_bytes())
    (tmp_path / "checkpoint-2.safetensors").write_bytes((tmp_path / "checkpoint-1.safetensors").read_bytes())
    assert load(tmp_path)[1] == {"step": 1}  # type: ignore[index]
    assert "checkpoint-2.json" in caplog.text and "checkpoint 1" in caplog.text


def test_all_damaged_means_starting_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two_checkpoints(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert load(tmp_path) is None
    assert caplog.text.count("is damaged") == 2


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_checkpoints(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ZslbenchError, match="No space left on device") as error:
            save(tmp_path, {"w": torch.tensor(3)}, {"step": 3})
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started_processes(Path(__file__).with_name("checkpoint_process.py")) as start:
        yield start(tmp_path / "here")


def ask(process: subprocess.Popen[str], command: str) -> tuple[int, str]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(command + "\n")
    process.stdin.flush()
    step, how = process.stdout.readline().split()
    return int(step), how


def whole_step(folder: Path) -> int:
    """The step of the checkpoint that is there, checked to be of one step throughout; 0: none."""
    found = load(folder)
    if found is None:
        return 0
    tensors, step = found[0], int(found[1]["step"])
    assert set(tensors["a"].tolist()) == {step} and set(tensors["b/c"].flatten().tolist()) == {step}
    return step


@pytest.mark.slow
def test_killed_at_random_moments(
    tmp_path: Path, saver: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    moments, last, kills, longest = random.Random(11), 0, 0, 0.05
    while kills < 25 or last <= 3:  # on a slow machine no save gets through until the delays are longer
        kills, longest = kills + 1, longest if kills < 25 else 2 * longest
        assert longest < 60
        saved, how = ask(saver, f"delay {moments.uniform(0.001, longest)}")
        step = whole_step(tmp_path / "here")
        assert how == "killed"
        # Whatever save() returned from is there; the one it was killed in may be.
        assert max(saved, last) <= step <= max(saved, last) + 1
        last = step
    assert "is damaged" not in caplog.text


@pytest.mark.slow
def test_killed_at_every_line(
    tmp_path: Path, saver: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Exhaustive: a load and a third save end at their first line, then at their second, and so on."""
    for _ in range(2):
        saver_line = ask(saver, "line 100000")
    assert saver_line == (2, "done")
    shutil.copytree(tmp_path / "here", tmp_path / "before")
    line, how, steps = 0, "killed", []
    while how == "killed":
        line += 1
        shutil.rmtree(tmp_path / "here")
        shutil.copytree(tmp_path / "before", tmp_path / "here")
        saved, how = ask(saver, f"line {line}")
        steps.append(whole_step(tmp_path / "here"))
        assert steps[-1] >= saved
    assert how == "done" and line > 80
    assert steps == sorted(steps) and set(steps) == {2, 3}
    assert "is damaged" not in caplog.text
    assert len(list((tmp_path / "here").iterdir())) == 4
