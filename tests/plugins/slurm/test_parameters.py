"""``--slurm KEY=VALUE``."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from zslbench.errors import SettingsError
from zslbench_slurm.parameters import minutes, parse, wants_gpu


def test_names_of_submitit_and_of_sbatch() -> None:
    given = {"partition": "gpu", "cpus-per-task": "4", "time": "04:00:00", "array_parallelism": "50"}
    expected = {"partition": "gpu", "cpus_per_task": 4, "time": 240, "array_parallelism": 50}
    assert parse(given) == expected | {"additional_parameters": {"requeue": True}}


def test_without_a_time_there_is_an_hour() -> None:
    assert parse({})["time"] == 60


def test_lists_and_flags() -> None:
    given = {"setup": "module load cuda && ulimit -n 9", "srun_args": "--mpi=none -l", "exclusive": "true"}
    found = parse(given)
    assert found["setup"] == ["module load cuda && ulimit -n 9"]
    assert found["srun_args"] == ["--mpi=none", "-l"]
    assert found["exclusive"] is True


def test_any_other_option_of_sbatch() -> None:
    found = parse({"sbatch.reservation": "exams", "sbatch.overcommit": ""})
    assert found["additional_parameters"] == {"requeue": True, "reservation": "exams", "overcommit": True}


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("partitoin", "partition"),
        ("array-paralelism", "array_parallelism"),
        ("nodes", "one node"),
        ("ntasks_per_node", "array_parallelism"),
        ("num_gpus", "gpus_per_node"),
        ("use_srun", "signal"),
        ("command", "comment"),
        ("map_count", "sbatch.map_count"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(key: str, names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        parse({key: "1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90), ("30:00", 30), ("30:01", 31), ("0:30", 1), ("04:00:00", 240), ("1:00:01", 61),
        ("2-0", 2880), ("1-12", 2160), ("1-12:30", 2190), ("1-12:30:30", 2191),
    ],
)  # fmt: skip
def test_times_as_sbatch_takes_them(text: str, expected: int) -> None:
    assert minutes(text) == expected


@given(st.integers(0, 9), st.integers(0, 23), st.integers(0, 59))
def test_days_hours_and_minutes_in_every_form(days: int, hours: int, mins: int) -> None:
    total = days * 1440 + hours * 60 + mins
    if total:
        assert minutes(f"{days}-{hours}:{mins}") == minutes(f"{days * 24 + hours}:{mins}:00") == total
        assert minutes(f"{total}") == minutes(f"{total}:00") == total


@pytest.mark.parametrize("text", ["", "0", "0:00", "soon", "4h", "-1", "1:2:3:4", "1-", "1-2-3", "٣", "1.5"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(SettingsError):
        parse({"time": text})


@pytest.mark.parametrize("value", ["0", "-3", "many", "2.5", ""])
def test_what_is_no_number(value: str) -> None:
    with pytest.raises(SettingsError, match="array_parallelism"):
        parse({"array_parallelism": value})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"partition": "gpu"}, False),
        ({"gres": "gpu:a100:1"}, True),
        ({"gres": "lustre:1"}, False),
        ({"gpus-per-node": "1"}, True),
        ({"gpus_per_task": "1"}, True),
        ({"sbatch.gpus": "1"}, True),
        ({"sbatch.tres-per-node": "gres/gpu:1"}, True),
    ],
)
def test_whether_jobs_get_a_gpu(options: dict[str, str], expected: bool) -> None:
    assert wants_gpu(parse(options)) is expected
