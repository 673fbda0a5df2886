"""Attention figures: maps lie where the embedding looks, with the right names in the right order."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zslbench.errors import DataError, PluginError, SettingsError, ZslbenchError
from zslbench.experiment import fitted_run
from zslbench_report.plots import attention
from zslbench_report.plots.images import choose_rows, picture_files


@pytest.fixture(scope="module")
def dataset(looking: Any) -> Any:
    """The data of the run, as the figure's code loads them."""
    return fitted_run.load_run(looking).dataset


def draw(record: Any, **options: Any) -> Any:
    return attention.figure(record, attention.compute(record, **options))


def panels(figure: Any, line: int, columns: int) -> list[Any]:
    """The axes of one image, left to right (the last axes of a figure are the colour bar's)."""
    return figure.axes[line * columns : (line + 1) * columns]


def drawn(panel: Any) -> np.ndarray:
    (image,) = panel.images
    return np.asarray(image.get_array(), dtype=np.float64)


def place(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(one) for one in np.unravel_index(values.argmax(), values.shape))


def test_a_run_without_weights_has_its_embedding(finished: Callable[..., Any]) -> None:
    """Its maps can be drawn; what needs the generator says how to get it."""
    record = finished(keep_weights=False, seeds=(3,))
    assert record.environment["weights"] == "embedding"
    assert {name.partition("/")[0] for name in record.networks()} == {"embedding"}
    assert len(draw(record, rows=[5], top=2).axes) == 2 + 2 + 1
    with pytest.raises(ZslbenchError, match="--keep-weights --force"):
        fitted_run.load_run(record)


def test_maps_show_where_the_embedding_looks(looking: Any, dataset: Any) -> None:
    rows, top = [5, 61, 100], 6
    figure = draw(looking, rows=rows, top=top)
    for line, row in enumerate(rows):
        first, overall, *maps = panels(figure, line, 2 + top)
        regions = dataset.regions[np.array([row])][0]
        strongest = regions[:, :10].max(axis=0)  # channel a stands for attribute a
        best = sorted(range(10), key=lambda a: -strongest[a])[:top]
        for panel, attribute in zip(maps, best, strict=True):
            cells = drawn(panel)
            region = int(regions[:, attribute].argmax())
            expected = np.zeros((3, 3))
            expected[region // 3, region % 3] = 1
            np.testing.assert_array_equal(cells, expected)
            name, score = panel.get_title().split("\n")
            assert name == dataset.attribute_names[attribute]
            assert float(score) == pytest.approx(strongest[attribute], rel=5e-3)
        energy = (regions.astype(np.float64) ** 2).sum(axis=1)
        np.testing.assert_allclose(drawn(overall), (energy / energy.max()).reshape(3, 3), rtol=1e-5)
        mean = regions.mean(axis=1)
        np.testing.assert_allclose(drawn(first), (mean / mean.max()).reshape(3, 3), rtol=1e-5)
        assert dataset.class_names[dataset.labels[row]] in first.get_ylabel().replace("\n", " ")
        assert f"image {row}" in first.get_title()


def test_an_image_is_labelled_with_its_outcome(looking: Any, dataset: Any) -> None:
    table = looking.table("predictions")
    wrong, right = (table[table["gzsl_correct"] == one]["image"].iloc[0] for one in (False, True))
    trained = dataset.split.trainval[0]
    figure = draw(looking, rows=[int(wrong), int(right), int(trained)], top=1)
    notes = [panels(figure, line, 3)[0].get_ylabel().replace("\n", " ") for line in range(3)]
    prediction = dataset.class_names[table.set_index("image").loc[wrong, "gzsl_prediction"]]
    assert notes[0].endswith(f"predicted as {prediction}")
    assert notes[1].endswith(") correct")
    assert notes[2].endswith("(seen) training image")


def test_the_title_names_the_run(looking: Any) -> None:
    title = draw(looking, count=1, top=1).get_suptitle()
    for part in ("looker+blobs+softmax", "toy", looking.info.id, "simulated data"):
        assert part in title


def test_names_given_and_names_missing(looking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [f"has_colour::number_{one}" for one in range(10)]
    figure = draw(looking, rows=[0], top=10, attribute_names=given)
    names = {" ".join(panel.get_title().split()[:-1]) for panel in panels(figure, 0, 12)[2:]}
    assert names == {f"has colour: number {one}" for one in range(10)}
    load = fitted_run.load_dataset
    monkeypatch.setattr(
        fitted_run, "load_dataset", lambda *a, **k: dataclasses.replace(load(*a, **k), attribute_names=None)
    )
    figure = draw(looking, rows=[0], top=20)  # there are ten
    assert {panel.get_title().split("\n")[0] for panel in panels(figure, 0, 12)[2:]} == {
        f"attribute {one}" for one in range(10)
    }


def test_long_names_stay_on_three_lines(looking: Any) -> None:
    figure = draw(looking, rows=[0], top=1, attribute_names=["very long name " * 20] * 10)
    *name, _ = panels(figure, 0, 3)[2].get_title().split("\n")
    assert len(name) == 3
    assert name[-1].endswith("…")


def test_default_images_are_correct_ones_of_several_classes(looking: Any, dataset: Any) -> None:
    table = looking.table("predictions").set_index("image")
    rows = choose_rows(looking, dataset, (), 4)
    assert list(rows) == list(choose_rows(looking, dataset, (), 4))
    assert list(table.loc[rows, "side"]) == ["seen", "seen", "unseen", "unseen"]
    for side in ("seen", "unseen"):
        here = table[table["side"] == side]
        shown = here.loc[[row for row in rows if row in here.index]]
        right = here[here["gzsl_correct"]]
        assert shown["gzsl_correct"].sum() == min(2, len(right))
        assert shown["label"].nunique() == min(2, right["label"].nunique()) or len(right) < 2
    everything = choose_rows(looking, dataset, (), 1000)
    assert sorted(everything) == sorted(table.index)


def test_pictures_are_found_by_the_end_of_their_path(
    looking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(f"/somebody/images/{one % 4}.kind/bird_{one}.png" for one in range(120))
    load = fitted_run.load_dataset
    monkeypatch.setattr(
        fitted_run, "load_dataset", lambda *a, **k: dataclasses.replace(load(*a, **k), image_files=files)
    )
    folder = tmp_path / "deep" / "er" / "1.kind"
    folder.mkdir(parents=True)
    Image.new("RGB", (90, 60), (40, 120, 200)).save(folder / "bird_5.png")
    # The same file name in another folder is another picture.
    (tmp_path / "2.kind").mkdir()
    Image.new("RGB", (90, 60), (255, 0, 0)).save(tmp_path / "2.kind" / "bird_5.png")
    notes: list[str] = []
    figure = draw(looking, rows=[5, 6], top=2, images=tmp_path, notify=notes.append)
    first, _, best, _ = panels(figure, 0, 4)
    np.testing.assert_allclose(drawn(first), np.full((60, 90, 3), [40, 120, 200]) / 255, atol=1e-6)
    # Over a picture the strongest place is the middle of its region, and far from it the picture is grey.
    heat = drawn(best)
    assert heat.shape == (60, 90, 3)
    reddest = place(heat[:, :, 0] - heat[:, :, 2])
    plain = draw(looking, rows=[5], top=2)
    row, column = place(drawn(panels(plain, 0, 4)[2]))
    assert abs(reddest[0] - (row + 0.5) * 20) <= 10
    assert abs(reddest[1] - (column + 0.5) * 30) <= 15
    assert np.ptp(heat, axis=2).min() < 1e-6
    # The other image has no picture: its panels show the grid, and a note says so.
    assert drawn(panels(figure, 1, 4)[0]).shape == (3, 3)
    (line,) = notes
    assert line.startswith("1 of 2 ") and str(tmp_path) in line and files[6] in line


def test_a_row_gets_its_own_picture_or_none(tmp_path: Path) -> None:
    """Data sets name images by paths of another machine, and some list an image twice."""
    names = (
        "/x/one/1.kind/a.png",
        "/x/two/1.kind/a.png",
        "C:\\x\\two\\3.kind\\b.png",
        "c.png",
        "/x/one/1.kind/a.png",
    )
    for name in ("one/1.kind/a.png", "deep/1.kind/a.png", "deep/3.kind/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    own, b = tmp_path / "one" / "1.kind" / "a.png", tmp_path / "deep" / "3.kind" / "b.png"
    assert picture_files(tmp_path, names, range(5)) == {0: own, 2: b, 3: tmp_path / "c.png", 4: own}
    assert picture_files(tmp_path / "deep", names, range(5)) == {2: b}


def test_the_search_for_pictures_ends_with_the_last_one(tmp_path: Path, monkeypatch: Any) -> None:
    """A folder of pictures may hold millions of others."""
    picture = tmp_path / "a" / "birds" / "1.png"
    for file in (picture, tmp_path / "b" / "2.png", tmp_path / "c" / "3.png"):
        file.parent.mkdir(parents=True)
        file.touch()
    walked: list[str] = []
    walk = os.walk

    def watched(folder: Path) -> Iterator[Any]:
        for found in walk(folder):
            walked.append(found[0])
            yield found

    monkeypatch.setattr(os, "walk", watched)
    assert picture_files(tmp_path, ["data/birds/1.png"], [0]) == {0: picture}
    assert str(tmp_path / "c") not in walked


def test_a_data_set_without_file_names_leaves_a_note(looking: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    draw(looking, rows=[1], top=1, images=tmp_path, notify=notes.append)
    assert len(notes) == 1 and "'toy'" in notes[0]


def test_a_damaged_picture_is_an_error(looking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = fitted_run.load_dataset
    monkeypatch.setattr(
        fitted_run,
        "load_dataset",
        lambda *a, **k: dataclasses.replace(load(*a, **k), image_files=("a/b.jpg",) * 120),
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a/b\.jpg"):
        draw(looking, rows=[1], images=tmp_path)


@pytest.mark.parametrize(
    ("embedding", "error", "line"),
    [
        ("blind", ZslbenchError, "'blind' has no attention"),
        (
            "wrong",
            PluginError,
            r"attention of embedding 'wrong': maps has shape \(1, 9, 9\), not \(1, 10, 9\)",
        ),
        ("lost", PluginError, "attention of embedding 'lost': maps has values that are not finite"),
    ],
)
def test_bad_attention_is_refused(
    finished: Callable[..., Any], embedding: str, error: type[Exception], line: str
) -> None:
    with pytest.raises(error, match=line):
        draw(finished(embedding), rows=[0])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"rows": [0, 120, -1]}, "--image 120, -1: toy has the images 0 to 119"),
        ({"attribute_names": ["one"]}, "1 attribute names, but data set 'toy' has 10 attributes"),
    ],
)
def test_bad_arguments_are_refused(looking: Any, options: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        draw(looking, **options)
