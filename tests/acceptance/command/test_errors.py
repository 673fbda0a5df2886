"""What a user does wrong ends a command with one line that says what, where and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from folders import contents, write_folder

import zslbench.experiment.fitted_run  # noqa: F401

# These take load_dataset when they are first imported: not while a test has replaced it.
import zslbench_audit.audit  # noqa: F401
import zslbench_data.exporting.export  # noqa: F401

RUN = ("run", "tf-vaegan", "--dataset=toy", "--threads=1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "eszl", "--dataset=toy"), 2, ["no method 'eszl'", "did you mean 'eszsl'"]),
        (("run", "eszsl", "--dataset=tooy"), 2, ["no dataset 'tooy'", "did you mean 'toy'", "no-data"]),
        (("run", "eszsl", "--dataset=cub"), 1, ["CUB", "ZSLBENCH_DATA", "--data-root"]),
        ((*RUN, "--variant=no-feedbak"), 2, ["no variant 'no-feedbak'", "did you mean 'no-feedback'"]),
        ((*RUN, "--preset=cubb"), 2, ["no preset 'cubb'", "did you mean 'cub'"]),
        ((*RUN, "--preset=eszl:cub"), 2, ["no method 'eszl'", "did you mean 'eszsl'"]),
        ((*RUN, "--preset=gone.toml"), 2, ["gone.toml", "cannot be read"]),
        ((*RUN, "--set=generator.lrr=1"), 2, ["generator 'tf-vaegan'", "'lrr'", "did you mean 'lr'"]),
        ((*RUN, "--set=generator.lr=fast"), 2, ["'lr' = 'fast'", "valid number"]),
        ((*RUN, "--set=generator.lr=-1"), 2, ["'lr' = -1", "greater than 0"]),
        ((*RUN, "--set=generator.lr=inf"), 2, ["'lr' = inf", "finite number"]),
        ((*RUN, "--set=generator.hidden=1.5"), 2, ["'hidden' = 1.5", "valid integer"]),
        ((*RUN, "--set=generator.decoder=false"), 2, ["feedback", "transform", "decoder"]),
        ((*RUN, "--set=embedding.normalize=l3"), 2, ["'minmax'", "'l2'", "'none'"]),
        ((*RUN, "--set=generator.lr"), 2, ["--set generator.lr", "<kind>.<setting>=<value>"]),
        ((*RUN, "--set=lr=1"), 2, ["--set lr=1", "generator.lr=1e-4"]),
        ((*RUN, "--set=generatr.lr=1"), 2, ["--set generatr.lr=1", "kinds: dataset"]),
        ((*RUN, "--set=dataset.clases=9"), 2, ["dataset 'toy'", "did you mean 'classes'"]),
        ((*RUN, "--set=dataset.classes=4"), 2, ["at least three", "seen"]),
        (("run", "eszsl", "--dataset=toy", "--set=generator.lr=1"), 2, ["'eszsl' has no generator"]),
        (("run", "eszsl", "--dataset=toy", "--epochs=3"), 2, ["--epochs 3", "no schedule"]),
        (("run", "eszsl", "--dataset=toy", "--seed=1", "--seeds=2"), 2, ["--seeds N or --seed K"]),
        (("run", "eszsl", "--dataset=toy", "--seed=1", "--seed=1"), 2, ["different seeds"]),
        (("run", "eszsl", "--dataset=toy", "--threads=99999"), 1, ["--threads 99999", "1024"]),
        (("run", "eszsl", "--dataset=toy", "--features=res101"), 2, ["'res101'", "simulated"]),
        (("run", "eszsl", "--dataset=toy", "--semantics=at"), 2, ["'at'", "did you mean 'att'"]),
        (("run", "--dataset=toy"), 1, ["--embedding NAME [--generator NAME] --classifier NAME"]),
        (("run", "eszsl", "--embedding=identity", "--dataset=toy"), 1, ["either a method or a composition"]),
        (("run", "--embedding=idntity", "--classifier=eszsl", "--dataset=toy"), 2, ["mean 'identity'"]),
        (("run", "--embedding=identity", "--classifier=softmax", "--dataset=toy", "--threads=1"), 1,
         ["classifier 'softmax' needs examples", "--generator NAME", "eszsl"]),
        (("show", "0123"), 2, ["no run '0123'"]),
        (("methods", "tfvaegan"), 2, ["did you mean 'tf-vaegan'"]),
    ],
)  # fmt: skip
def test_one_line_and_an_exit_code(
    zslbench: Any, one_line: Callable[..., str], arguments: tuple[str, ...], code: int, words: list[str]
) -> None:
    result = zslbench(*arguments)
    line = one_line(result)
    assert result.exit_code == code
    for word in words:
        assert word in line
    assert len(line) < 600
    # Nothing of it looks like a run, finished or not.
    assert zslbench("runs", "--format=json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rn",), ["no command 'rn'", "did you mean 'run'"]),
        (("run", "eszsl"), ["Missing option '--dataset'"]),
        (("run", "eszsl", "--dataset=toy", "--sed=1"), ["No such option", "--seed"]),
        (("run", "eszsl", "--dataset=toy", "--select=orakel"), ["'val', 'last', 'oracle', 'oracle-scripts'"]),
        (("run", "eszsl", "--dataset=toy", "--epochs=0"), ["--epochs"]),
        (("run", "eszsl", "--dataset=toy", "--seeds=none"), ["--seeds"]),
        (("table", "--format=pdf"), ["'terminal', 'markdown', 'csv', 'latex', 'json', 'html'"]),
        (("show",), ["Missing argument 'RUN'"]),
        (("show", "ab", "--classes", "--epochs"), ["--classes", "--epochs"]),
    ],
)
def test_misused_commands_show_their_usage(
    zslbench: Any, arguments: tuple[str, ...], words: list[str]
) -> None:
    result = zslbench(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: zslbench")
    for word in words:
        assert word in result.stderr


def test_debug_shows_where(zslbench: Any) -> None:
    result = zslbench("run", "eszl", "--dataset=toy", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: no method 'eszl'")


def test_a_gpu_that_is_not_there(
    zslbench: Any, one_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = zslbench("run", "eszsl", "--dataset=toy", "--device=cuda")
    line = one_line(result)
    assert result.exit_code == 1
    assert "--device cuda: torch finds no GPU" in line
    assert "--device cpu" in line


def test_presets_that_are_none(zslbench: Any, one_line: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    for text, words in (
        ("lr = 1", "'lr' is not a table named after a kind"),
        ("[genrator]\nlr = 1", "did you mean 'generator'"),
        ("[generator\n", "not valid TOML"),
        ("[generator]\nlrr = 1", "did you mean 'lr'"),
    ):
        file.write_text(text, "utf-8")
        assert words in one_line(zslbench(*RUN, f"--preset={file}"))
    file.write_bytes(b"\xff\xfe")
    assert "cannot be read" in one_line(zslbench(*RUN, f"--preset={file}"))


def test_missing_and_damaged_data(zslbench: Any, one_line: Callable[..., str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = np.arange(1, 61).reshape(6, 10)
    images = {"features": random.random((5, 60)), "labels": np.repeat(np.arange(1, 7), 10)[:, None]}
    splits = {
        "att": random.random((3, 6)),
        "trainval_loc": rows[:4, :8].reshape(-1, 1),
        "test_seen_loc": rows[:4, 8:].reshape(-1, 1),
        "test_unseen_loc": rows[4:].reshape(-1, 1),
    }
    folder = tmp_path / "data" / "Mine"
    folder.mkdir(parents=True)
    scipy.io.savemat(folder / "att_splits.mat", splits)
    run = ("run", "eszsl", "--dataset=mine", f"--data-root={folder.parent}", "--threads=1", "--select=last")

    assert "res101.mat is missing" in one_line(zslbench(*run))
    scipy.io.savemat(folder / "other.mat", images)
    assert "pass --features other" in one_line(zslbench(*run))
    result = zslbench(*run, "--features=other", "--format=json")
    assert result.exit_code == 0, result.stderr
    assert "classes are numbered from class_001" in result.stderr

    images["features"][:2, 3] = np.nan
    images["labels"][7] = 99
    scipy.io.savemat(folder / "other.mat", images)
    line = one_line(zslbench(*run, "--features=other"))  # all faults at once, with the folder
    for words in (str(folder), "2 NaN and 0 infinite", "1 labels outside 0 to 5 (98)"):
        assert words in line
    whole = (folder / "other.mat").read_bytes()
    (folder / "other.mat").write_bytes(whole[: len(whole) // 2])
    assert "other.mat: the file is cut off" in one_line(zslbench(*run, "--features=other"))
    (folder / "other.mat").write_text("hello", "utf-8")
    assert "other.mat" in one_line(zslbench(*run, "--features=other"))


def test_a_store_that_cannot_be_written(zslbench: Any, one_line: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = one_line(zslbench.eszsl(f"--store={tmp_path / 'file' / 'store'}"))
    assert "cannot write the run store" in line
    assert "--store, ZSLBENCH_STORE" in line


def test_a_run_that_diverges(zslbench: Any, one_line: Callable[..., str]) -> None:
    line = one_line(zslbench.quick("--set=classifier.lr=1e38", "--select=last"))
    assert "not finite" in line
    assert "lower the learning rate" in line


def test_out_of_memory_says_what_to_reduce(zslbench: Any, one_line: Callable[..., str]) -> None:
    line = one_line(
        zslbench.quick("--select=last", "--set=generator.per_class=1000000", "--set=generator.hidden=100000")
    )
    assert "out of memory" in line and "generator.per_class=1000000" in line
    assert "classifier.batch_size" in line


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory")])
def test_out_of_memory_anywhere_is_one_line(
    zslbench: Any, one_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    for module in ("zslbench.store.store.Store.records", "zslbench.experiment.datasets.load_dataset"):
        monkeypatch.setattr(module, fail)
    for command in (("runs",), ("table",), ("run", "eszsl", "--dataset=toy")):
        line = one_line(zslbench(*command))
        assert "out of memory" in line and "smaller" in line and "a bug in" not in line
    suite = zslbench("bench", "quick")  # its other data sets may fit
    assert suite.exit_code == 1 and "out of memory" in suite.output and "MemoryError" not in suite.output


def test_validation_says_what_it_needs(zslbench: Any, tmp_path: Path) -> None:
    """One training image of each class: nothing can be held out to measure S."""
    variables = contents()
    variables["trainval_loc"] = variables["trainval_loc"][::8]
    write_folder(tmp_path, variables)
    where = ("--dataset=small", f"--data-root={tmp_path}", "--threads=1")
    result = zslbench("run", "eszsl", *where)
    assert result.exit_code == 1
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("Error")]
    assert "two training images" in line and "--select last" in line
    assert zslbench("run", "eszsl", *where, "--select=last").exit_code == 0
    # CZSL holds out no seen image, so it is validated on the validation classes.
    write_folder(tmp_path, variables | {"test_seen_loc": None})
    assert zslbench("run", "eszsl", *where).exit_code == 0


def test_one_seen_class_has_no_validation_split(zslbench: Any, tmp_path: Path) -> None:
    variables = contents()
    for key, count in (("trainval_loc", 8), ("test_seen_loc", 2)):
        variables[key] = variables[key][:count]
    write_folder(tmp_path, variables | {"train_loc": None, "val_loc": None})
    where = ("--dataset=small", f"--data-root={tmp_path}", "--threads=1")
    result = zslbench("run", "eszsl", *where)
    assert result.exit_code == 1 and "--select last" in result.stderr
    assert zslbench("run", "eszsl", *where, "--select=last").exit_code == 0


@pytest.mark.parametrize("kind", ["file", "below a file", "pipe", "not writable"])
@pytest.mark.parametrize(
    "command",
    [("runs",), ("table",), ("show", "0"), ("run", "eszsl", "--dataset=toy"), ("bench", "quick"), ("report",),
     ("ablate", "tf-vaegan", "--dataset=toy"), ("audit", "eszsl"),
     ("tune", "tf-vaegan", "--dataset=toy", "--trials=1")],
)  # fmt: skip
def test_a_store_that_cannot_be_one_is_said_before_any_work(
    zslbench: Any,
    one_line: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    command: tuple[str, ...],
) -> None:
    place = tmp_path / "place"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind != "not writable":
        place.touch()
    elif command[0] in ("runs", "table", "show", "report"):
        return  # it need not be
    else:
        place = Path("/proc/zslbench")  # also where the user is root
    monkeypatch.setenv("ZSLBENCH_STORE", str(place / "store" if kind == "below a file" else place))
    monkeypatch.setattr("zslbench.experiment.datasets.load_dataset", None)
    assert str(place) in one_line(zslbench(*command))


@pytest.mark.slow
def test_a_full_disk_is_said_before_any_work(zslbench: Any) -> None:
    """The system refuses to write any byte to a file."""
    resource = pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-m", "zslbench", *RUN],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ") and str(zslbench.store) in line
