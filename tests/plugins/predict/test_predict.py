"""From pictures, or features of any origin, to classes: as the run's own evaluation, and over new classes."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import picture_files
import pytest
import scipy.io
from click.testing import CliRunner

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import DataError, MissingData, SettingsError, UnknownName, ZslbenchError
from zslbench.experiment import ExecutionMode
from zslbench.plugin import build, load_class, registry, settings_model
from zslbench_data.extraction.engine import ExtractionOptions, extract

BACKBONE = "efficientnet-lite0"
GENERATIVE = {
    "generator.hidden": 16,
    "generator.epochs": 1,
    "generator.per_class": 8,
    "generator.pretraining.epochs": 1,
    "classifier.epochs": 2,
}
FIXED = {"classifier.gamma": 1.0, "classifier.lam": 1.0}
"""What ESZSL searches otherwise."""
ATTRIBUTES = ("fur", "wings", "legs", "size", "horns", "stripes")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root with ``Zoo``: pictures, attribute names, features and regions of 64-pixel pictures."""
    found = picture_files.write_zoo(tmp_path_factory.mktemp("predict") / "data")
    (found / "Zoo" / "attribute_names.txt").write_text("\n".join(ATTRIBUTES))
    one = registry().component("extractor", BACKBONE)
    extractor = load_class(one)(build(settings_model(one), {"image_size": 64}, "extractor"))
    options = ExtractionOptions(BACKBONE, workers=0, batch=16)
    extract(found / "Zoo", extractor, options, ExecutionMode("cpu", threads=1))
    return found


@pytest.fixture(scope="module")
def finished(root: Path) -> Callable[..., str]:
    """The id of a finished run of this method on Zoo."""

    def make(*method: str, **options: Any) -> str:
        how = {"select": "last", "threads": 1, "keep_weights": True, "data_root": root} | options
        done = zslbench.run(*method, dataset="zoo", store=root.parent / "runs", **how)
        return done.records[0].info.id

    return make


@pytest.fixture(scope="module")
def load(root: Path) -> Callable[..., Any]:
    """Loads a run."""

    def make(run: str, **options: Any) -> Any:
        return zslbench.load(run, store=root.parent / "runs", data_root=root, device="cpu", **options)

    return make


@pytest.fixture(scope="module")
def plain(finished: Callable[..., str]) -> str:
    """ESZSL on the means over regions."""
    return finished("eszsl", features=BACKBONE)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (("eszsl",), {"features": BACKBONE}),
        ((), {"embedding": "pooled", "classifier": "eszsl", "regions": BACKBONE}),
        pytest.param(
            ("f-clswgan",),
            {"features": f"{BACKBONE} mean", "settings": GENERATIVE},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["features", "regions", "means"],
)
def test_test_pictures_get_the_classes_of_the_runs_evaluation(
    root: Path, finished: Callable[..., str], load: Any, method: tuple[str, ...], options: dict[str, Any]
) -> None:
    """Decoded and extracted again, in batches of other sizes."""
    run = load(finished(*method, **options))
    found = run.predict(images=root / "Zoo" / "images", workers=0, batch=5, top=2)
    assert list(found.columns) == ["file", "rank", "class", "side", "score"]
    table, names = run.record.table("predictions"), run.fold.space.names
    files = list(found["file"].unique())
    assert len(files) == 48 and len(found) == 96
    best = found[found["rank"] == 1].set_index("file")
    for image, predicted in zip(table["image"], table["gzsl_prediction"], strict=True):
        assert best.loc[files[image], "class"] == names[predicted]
    scores = found["score"].to_numpy().reshape(48, 2)
    assert (scores[:, 0] >= scores[:, 1]).all()
    assert set(found["class"][found["side"] == "unseen"]) <= {"elk", "fox"}
    unseen = run.predict(images=root / "Zoo" / "images" / "elk" / "03.jpg", seen=False, workers=0)
    row = table[table["image"] == 4 * 8 + 3].iloc[0]
    assert unseen["class"].iloc[0] == names[row["czsl_prediction"]]
    assert unseen["file"].tolist() == ["03.jpg"] * 2


def test_features_from_files_get_the_same_scores(root: Path, plain: str, load: Any, tmp_path: Path) -> None:
    run = load(plain)
    pictures = run.predict(images=root / "Zoo" / "images", workers=0)
    as_mat = run.predict(features=root / "Zoo" / f"{BACKBONE}.mat")
    pd.testing.assert_frame_equal(as_mat, pictures, rtol=1e-3, atol=1e-4)
    np.save(tmp_path / "some.npy", run.dataset.features[7:9].astype(np.float64))
    as_npy = run.predict(features=tmp_path / "some.npy", top=1)
    assert as_npy["row"].tolist() == [0, 1]
    seventh = as_mat[(as_mat["rank"] == 1) & (as_mat["file"].isin(["ant/07.jpg", "bee/00.jpg"]))]
    assert as_npy["class"].tolist() == seventh["class"].tolist()


def test_regions_from_a_store_or_an_array(
    root: Path, finished: Callable[..., str], load: Any, tmp_path: Path
) -> None:
    run = load(finished(embedding="pooled", classifier="eszsl", regions=BACKBONE))
    stored = run.predict(features=root / "Zoo" / "regions" / BACKBONE)
    assert stored["file"].iloc[0] == "ant/00.jpg"
    np.save(tmp_path / "some.npy", run.dataset.regions[np.arange(3)])
    array = run.predict(features=tmp_path / "some.npy")
    assert array["class"].tolist() == stored["class"][: len(array)].tolist()
    np.testing.assert_allclose(array["score"], stored["score"][: len(array)], rtol=1e-5)


def classes_file(path: Path, vectors: dict[str, np.ndarray], names: tuple[str, ...] = ATTRIBUTES) -> Path:
    lines = [",".join(["class", *names])]
    lines += [",".join([name, *map(str, one)]) for name, one in vectors.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("method", ["eszsl", pytest.param("f-clswgan", marks=pytest.mark.slow)])
def test_new_classes_are_known_by_their_attributes(
    root: Path, finished: Callable[..., str], load: Any, tmp_path: Path, method: str
) -> None:
    """The run's own unseen classes under new names, with columns in another order, get their scores."""
    settings = GENERATIVE if method == "f-clswgan" else {}
    run = load(finished(method, features=BACKBONE, settings=settings))
    semantics = dict(zip(run.dataset.class_names, run.dataset.semantics, strict=True))
    turned = {"new elk": semantics["elk"][::-1], "new fox": semantics["fox"][::-1]}
    file = classes_file(tmp_path / "new.csv", turned, ATTRIBUTES[::-1])
    features = root / "Zoo" / f"{BACKBONE}.mat"
    new, own = run.predict(features=features, classes=file), run.predict(features=features, seen=False)
    assert set(new["side"]) == {"new"} and set(own["side"]) == {"unseen"}
    assert new["class"].str.removeprefix("new ").tolist() == own["class"].tolist()
    np.testing.assert_allclose(new["score"], own["score"], rtol=1e-6)
    both = run.predict(features=features, classes=file, seen=True, top=10)
    assert set(both["class"]) == {"ant", "bee", "cat", "dog", "new elk", "new fox"}


def test_the_scale_of_new_classes_is_that_of_the_data_set(plain: str, load: Any, tmp_path: Path) -> None:
    run = load(plain)
    vector = np.arange(1.0, 7.0)
    file, notes = classes_file(tmp_path / "new.csv", {"new": 1000 * vector}), list[str]()
    run.predict(features=_some(run, tmp_path), classes=file, notify=notes.append)
    assert len(notes) == 1 and "1000 to 6000" in notes[0]
    # Ratings from 0 to 100, and a file of zeros and ones, whose values lie between them.
    from zslbench_predict.classes import read_classes

    ratings = np.random.default_rng(0).choice([0.0, 40, 100], run.dataset.semantics.shape)
    object.__setattr__(run.dataset, "semantics", np.c_[ratings[:, :5], np.full(len(ratings), 50.0)])
    for scale, count in ((1, 1), (100, 0)):
        file = classes_file(tmp_path / "new.csv", {"new": scale * np.array([0.0, 1, 0, 1, 1, 0])})
        notes.clear()
        read_classes(file, run, notes.append)
        assert len(notes) == count
    file = classes_file(tmp_path / "new.csv", {"new": 1000 * vector})
    semantics = (ratings + 1) / np.linalg.norm(ratings + 1, axis=1, keepdims=True)
    object.__setattr__(run.dataset, "semantics", semantics)  # as the field's att
    notes.clear()
    _, values = read_classes(file, run, notes.append)
    np.testing.assert_allclose(values[0], vector / np.linalg.norm(vector), rtol=1e-6)
    assert "unit length" in notes[0]


def _some(run: Any, folder: Path) -> Path:
    np.save(folder / "features.npy", run.dataset.features[:2])
    return folder / "features.npy"


def test_what_does_not_fit_is_one_line(root: Path, plain: str, load: Any, tmp_path: Path) -> None:
    run = load(plain)
    features = _some(run, tmp_path)
    np.save(tmp_path / "narrow.npy", run.dataset.features[:2, :7])
    np.save(tmp_path / "nan.npy", np.full_like(run.dataset.features[:2], np.nan))
    vector = {"new": np.ones(6)}
    misspelt = classes_file(tmp_path / "misspelt.csv", vector, ("fur", "wing", *ATTRIBUTES[2:]))
    known = classes_file(tmp_path / "seen.csv", {"ant": np.ones(6)})
    cases: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
        ({}, SettingsError, ["images or features"]),
        ({"images": root, "features": features}, SettingsError, ["not both"]),
        ({"images": tmp_path}, MissingData, ["no pictures"]),
        ({"images": tmp_path / "gone"}, MissingData, ["no such"]),
        ({"features": tmp_path / "gone.npy"}, MissingData, ["gone.npy"]),
        ({"features": tmp_path / "narrow.npy"}, DataError, ["7 values", "1280 values"]),
        ({"features": tmp_path / "nan.npy"}, DataError, ["NaN"]),
        ({"features": features, "classes": misspelt}, DataError, ["(wing)", "did you mean 'wings'"]),
        ({"features": features, "classes": known}, SettingsError, ["seen classes", "ant"]),
        ({"features": features, "calibrated": True}, SettingsError, ["offset", "--calibrated"]),
        (
            {"images": root / "Zoo" / "images", "settings": {"extractor.image_size": 96}},
            SettingsError,
            ["image_size: 64, 96"],
        ),
        (
            {"images": root / "Zoo" / "images", "settings": {"generator.lr": 1}},
            SettingsError,
            ["generator.lr"],
        ),
    ]
    for options, kind, words in cases:
        with pytest.raises(kind) as caught:
            run.predict(workers=0, **options)
        assert all(word in str(caught.value) for word in words), caught.value
        assert "\n" not in str(caught.value)


def test_runs_that_cannot_predict_say_why(root: Path, finished: Callable[..., str], load: Any) -> None:
    with pytest.raises(ZslbenchError, match="--keep-weights --force"):
        load(finished("eszsl", features=BACKBONE, keep_weights=False, seeds=(3,)))
    with pytest.raises(ZslbenchError, match="--select oracle"):
        load(finished("eszsl", features=BACKBONE, select="oracle", settings=FIXED))
    with pytest.raises(UnknownName):
        load("no-such-run")
    with pytest.raises(SettingsError, match="leave out --regions"):
        load(finished("eszsl", features=BACKBONE), regions="other")
    shutil.copy(root / "Zoo" / f"{BACKBONE}.mat", root / "Zoo" / "brought.mat")
    brought = load(finished("eszsl", features="brought"))
    with pytest.raises(ZslbenchError, match=r"features brought .*--features FILE"):
        brought.predict(images=root / "Zoo" / "images")


def test_other_features_of_the_same_name_are_not_taken_for_the_extracted_ones(
    root: Path, finished: Callable[..., str], load: Any
) -> None:
    """A features file that was replaced after the extraction has nothing to do with the backbone."""
    contents = scipy.io.loadmat(root / "Zoo" / f"{BACKBONE}.mat")
    store = root / "Zoo" / "regions"
    shutil.copytree(store / BACKBONE, store / "changed")
    values = {key: contents[key] for key in ("features", "labels", "image_files")}
    scipy.io.savemat(root / "Zoo" / "changed.mat", values | {"features": values["features"] + 1})
    try:
        run = load(finished("eszsl", features="changed"))
        with pytest.raises(ZslbenchError, match="did not come from"):
            run.predict(images=root / "Zoo" / "images")
    finally:
        shutil.rmtree(store / "changed")


def test_calibration_takes_the_runs_offset_from_seen_classes(
    finished: Callable[..., str], load: Any, tmp_path: Path
) -> None:
    run = load(finished("eszsl", features=BACKBONE, select="val", settings=FIXED))
    file, gamma = _some(run, tmp_path), run.record.metrics["offset"]
    raw, calibrated = run.predict(features=file, top=6), run.predict(features=file, top=6, calibrated=True)
    keys = ["row", "class"]
    merged = raw.merge(calibrated, on=keys)
    assert len(merged) == 12
    difference = merged["score_x"] - merged["score_y"]
    np.testing.assert_allclose(difference, np.where(merged["side_x"] == "seen", gamma, 0.0), atol=1e-9)


# --- the command ---------------------------------------------------------------------------------


def call(root: Path, run: str, *arguments: str) -> Any:
    words = ["predict", run, *arguments, "--workers", "0", "--device", "cpu", "--threads", "1"]
    where = ["--data-root", str(root), "--store", str(root.parent / "runs")]
    return CliRunner().invoke(cli, [*words, *where])


def test_the_command_writes_csv_and_json(root: Path, plain: str, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("elk/00.jpg", "ant/01.jpg"):
        shutil.copy(root / "Zoo" / "images" / name, pictures / name.replace("/", "-"))
    shown = call(root, plain[:8], "--images", str(pictures), "--top", "1", "--format", "csv")
    assert shown.exit_code == 0, shown.output
    rows = [line.split(",") for line in shown.stdout.splitlines()]
    assert rows[0] == ["file", "rank", "class", "side", "score"]
    assert [row[:2] for row in rows[1:]] == [["ant-01.jpg", "1"], ["elk-00.jpg", "1"]]
    out = tmp_path / "out.json"
    done = call(root, plain, "--images", str(pictures), "--top", "2", "-o", str(out))
    assert done.exit_code == 0 and done.stdout == "", done.output
    found = json.loads(out.read_text())
    assert [row["rank"] for row in found] == [1, 2, 1, 2]
    assert found[0]["class"] == rows[1][2]
    done = call(root, plain, "--images", str(pictures), "-o", str(tmp_path / "out.csv"))
    assert done.exit_code == 0
    assert pd.read_csv(tmp_path / "out.csv")["class"][0] == rows[1][2]


def test_a_run_shows_its_predictions_with_file_names(root: Path, plain: str, load: Any) -> None:
    where = ["--store", str(root.parent / "runs"), "--format", "csv"]
    done = CliRunner().invoke(cli, ["show", plain, "--predictions", "--data-root", str(root), *where])
    assert done.exit_code == 0, done.output
    found = pd.read_csv(io.StringIO(done.stdout))
    assert list(found.columns[:4]) == ["image", "file", "side", "class"]
    assert len(found) == 4 * 2 + 2 * 8
    assert [file.partition("/")[0] for file in found["file"]] == found["class"].tolist()
    run = load(plain)
    best = run.predict(features=root / "Zoo" / f"{BACKBONE}.mat", top=1).set_index("file")["class"]
    assert found["gzsl_prediction"].tolist() == best[found["file"]].tolist()
    right = found["gzsl_prediction"] == found["class"]
    assert (right == found["gzsl_correct"]).all()  # there are no ties
    assert found["czsl_prediction"].isna().tolist() == (found["side"] == "seen").tolist()
    assert found["czsl_correct"].isna().tolist() == (found["side"] == "seen").tolist()
    accuracy = right[found["side"] == "unseen"].groupby(found["class"]).mean().mean()
    assert accuracy == pytest.approx(run.record.metrics["u"])
    away = CliRunner().invoke(cli, ["show", plain, "--predictions", "--data-root", str(root / "no"), *where])
    assert away.exit_code == 0 and "name the images" in away.stderr
    assert pd.read_csv(io.StringIO(away.stdout))["file"].isna().all()


def test_pictures_that_cannot_be_read_are_named_and_the_others_classified(
    root: Path, plain: str, tmp_path: Path
) -> None:
    shutil.copy(root / "Zoo" / "images" / "elk" / "00.jpg", tmp_path / "b.jpg")
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "c.txt").write_text("no picture")
    done = call(root, plain, "--images", str(tmp_path), "--top", "1", "--format", "csv")
    assert done.exit_code == 1
    assert "1 pictures cannot be read; a.jpg is empty" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[1].startswith("a.jpg") and lines[2].startswith("b.jpg,1,")
    done = call(root, plain)
    assert done.exit_code == 2 and "--images or --features" in done.stderr


def test_python_finds_the_function_and_the_loaded_run(root: Path, plain: str, tmp_path: Path) -> None:
    run = zslbench.load(plain, store=root.parent / "runs", data_root=root, device="cpu")
    file = _some(run, tmp_path)
    where = {"store": root.parent / "runs", "data_root": root, "device": "cpu", "threads": 1}
    pd.testing.assert_frame_equal(zslbench.predict(plain, features=file, **where), run.predict(features=file))


# --- methods that read pictures ------------------------------------------------------------------


@pytest.mark.slow
def test_a_method_that_trains_on_pictures_classifies_pictures(root: Path, tmp_path: Path) -> None:
    from looking import LOOKING

    from zslbench.testing.fakes import FakeEntryPoint, registry_with, using_registry

    with using_registry(registry_with(FakeEntryPoint("looking", "looking", LOOKING))):
        how = {"dataset": "zoo", "select": "last", "threads": 1, "keep_weights": True, "data_root": root}
        record = zslbench.run("looking", features=BACKBONE, store=tmp_path, **how).records[0]
        run = zslbench.load(record.info.id, store=tmp_path, data_root=root, device="cpu")
        found = run.predict(images=root / "Zoo" / "images", workers=0, batch=7, top=1)
        table, names = record.table("predictions"), run.fold.space.names
        assert [names[one] for one in table["gzsl_prediction"]] == found["class"][table["image"]].tolist()
        with pytest.raises(SettingsError, match="--images"):
            run.predict(features=root / "Zoo" / f"{BACKBONE}.mat")
