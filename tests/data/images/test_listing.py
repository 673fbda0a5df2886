"""Listed names find their files by their ends; what is missing or unclear is counted and listed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, strategies as st

from zslbench.data.images.listing import files_below, list_images, match
from zslbench.data.matfile import read_mat
from zslbench.errors import DataError, MissingData

HERE = Path("images")


def matched(names: list[str], files: list[str]) -> list[str]:
    return match(names, files, HERE, "res101.mat")


def test_paths_of_another_machine() -> None:
    names = ["/elsewhere/CUB/images/001.A/x_1.jpg", "/elsewhere/CUB/images/002.B/x_2.jpg"]
    assert matched(names, ["002.B/x_2.jpg", "001.A/x_1.jpg"]) == ["001.A/x_1.jpg", "002.B/x_2.jpg"]
    assert matched(["C:\\data\\jpg\\image_1.jpg"], ["image_1.jpg"]) == ["image_1.jpg"]


def test_equal_file_names_need_their_folders() -> None:
    names = ["/far/a/bar/1.jpg", "/far/b/bar/1.jpg", "/far/b/zoo/1.jpg"]
    assert matched(names, ["b/zoo/1.jpg", "b/bar/1.jpg", "a/bar/1.jpg"]) == [
        "a/bar/1.jpg",
        "b/bar/1.jpg",
        "b/zoo/1.jpg",
    ]
    with pytest.raises(MissingData, match=r"1 of 3 images .*res101.mat.*a/bar/1.jpg"):
        matched(names, ["c/bar/1.jpg", "b/bar/1.jpg", "b/zoo/1.jpg"])


def test_the_longer_match_wins_and_a_tie_is_an_error() -> None:
    assert matched(["x/train/a/1.jpg"], ["val/a/1.jpg", "train/a/1.jpg"]) == ["train/a/1.jpg"]
    with pytest.raises(DataError, match=r"x/1.jpg .* a/1.jpg or b/1.jpg"):
        matched(["x/1.jpg"], ["a/1.jpg", "b/1.jpg"])
    with pytest.raises(DataError, match=r"twice: x/1.jpg"):
        matched(["x/1.jpg", "y/2.jpg", "x//1.jpg"], ["1.jpg", "2.jpg"])


def test_many_missing_are_counted_and_some_listed() -> None:
    with pytest.raises(MissingData, match=r"30 of 31 .*n_9.jpg and 20 more"):
        matched(["a/here.jpg", *(f"a/n_{one}.jpg" for one in range(30))], ["a/here.jpg"])


@given(st.sets(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1), st.randoms())
def test_any_tree_matches(tree: set[tuple[str, ...]], random: Any) -> None:
    """Files listed under any other root, in any order, are matched to themselves."""
    files = ["/".join(one) for one in sorted(tree)]
    order = random.sample(files, len(files))
    assert matched([f"/else/where/{one}" for one in order], files) == order


def write_listing(folder: Path, file: str, names: list[str], labels: list[int], **more: Any) -> None:
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    scipy.io.savemat(folder / file, {"image_files": cells, "labels": np.array(labels)[:, None], **more})


def test_res101_gives_order_and_labels(data_root: Path) -> None:
    folder = data_root / "Zoo"
    names = ["/x/images/cat/03.jpg", "/x/images/ant/00.jpg", "/x/images/ant/03.jpg"]
    write_listing(folder, "vit.mat", names[::-1], [1, 1, 3], features=np.ones((2, 3)))
    assert list_images(folder).listed_in == "vit.mat"
    write_listing(folder, "res101.mat", names, [3, 1, 1], features=np.ones((2, 3)))
    found = list_images(folder)
    assert found.listed_in == "res101.mat"
    assert found.labels.tolist() == [2, 0, 0]
    assert [one.relative_to(folder).as_posix() for one in found.paths] == [
        "images/cat/03.jpg",
        "images/ant/00.jpg",
        "images/ant/03.jpg",
    ]


def test_a_real_list(real_data: Path) -> None:
    """Every image of SUN is found below another root; the other lists take longer and are similar."""
    listed = read_mat(real_data / "xlsa17" / "SUN" / "labels.mat", {"image_files"})["image_files"]
    assert isinstance(listed, list)
    files = ["/".join(one.replace("//", "/").split("/")[-4:]) for one in listed]
    assert matched(listed, sorted(set(files))) == files


def test_without_a_list_folders_are_classes(data_root: Path) -> None:
    folder = data_root / "Zoo"
    (folder / "images" / "readme.txt").write_text("about these images")
    (folder / "images" / ".hidden.jpg").write_bytes(b"")
    found = list_images(folder)
    assert found.listed_in == "images"
    assert found.names[:2] == ("ant/00.jpg", "ant/01.jpg")
    assert found.labels.tolist() == np.repeat(np.arange(6), 8).tolist()


def test_folders_that_do_not_fit_the_split_are_refused(data_root: Path) -> None:
    folder = data_root / "Zoo"
    (folder / "images" / "ant" / "00.jpg").unlink()
    with pytest.raises(DataError, match=r"47 images.* 48"):
        list_images(folder)
    (folder / "images" / "ant" / "00.jpg").write_bytes(b"")
    (folder / "images" / "ant" / "01.jpg").rename(folder / "images" / "01.jpg")
    with pytest.raises(DataError, match=r"1 images .*: 01.jpg"):
        list_images(folder)
    (folder / "images" / "01.jpg").rename(folder / "images" / "fox" / "ant.jpg")
    with pytest.raises(DataError, match=r"not fit the split"):
        list_images(folder)


def test_links_that_do_not_end_and_entries_that_block_are_one_line(data_root: Path) -> None:
    images = data_root / "Zoo" / "images"
    linked = images / "ant" / "again"
    linked.symlink_to(images / "bee")  # folders may be linked
    assert "ant/again/00.jpg" in files_below(images)
    linked.unlink()
    linked.symlink_to(images)
    with pytest.raises(DataError, match="again: is a link to a folder that contains it"):
        list_images(data_root / "Zoo")
    linked.unlink()
    for level in range(20):  # two links to the next level in each: a million paths
        (images / f"{level}").mkdir()
    for level in range(19):
        for name in "ab":
            (images / f"{level}" / name).symlink_to(images / f"{level + 1}")
    with pytest.raises(DataError, match="too many times"):
        list_images(data_root / "Zoo")
    for level in range(20):
        shutil.rmtree(images / f"{level}")
    os.mkfifo(images / "ant" / "pipe.jpg")
    with pytest.raises(DataError, match=r"pipe\.jpg: is a named pipe"):
        list_images(data_root / "Zoo")


def test_no_images(data_root: Path) -> None:
    (data_root / "Empty").mkdir()
    with pytest.raises(MissingData, match=r"no images.*Get them"):
        list_images(data_root / "Empty", "Get them")
