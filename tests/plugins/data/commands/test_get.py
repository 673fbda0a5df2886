"""``zslbench data get`` from a server on this machine: parts, records, stops, and what goes wrong."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner, Result

from zslbench.cli.main import cli
from zslbench.data.xlsa17 import read_xlsa17
from zslbench_data import progress
from zslbench_data.download import catalogue as catalogues

ATTRIBUTES = ["has_bill::curved_(up)", "striped", "long-legged"]
PICTURES = {f"{one:03d}.A/x{one}.jpg": bytes([one]) * (500 + one) for one in range(6)}


def mat(**variables: Any) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, variables)
    return out.getvalue()


def cells(names: list[str]) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


def splits() -> dict[str, bytes]:
    """Six classes of ten images, the last two unseen; three attributes."""
    random = np.random.default_rng(7)
    rows = np.arange(1, 61).reshape(6, 10)
    labels = np.repeat(np.arange(1, 7), 10).reshape(-1, 1)
    att = mat(
        att=random.random((3, 6)) + 0.1,
        original_att=random.random((3, 6)) + 0.1,
        allclasses_names=cells(["ant", "bee", "cat", "dog", "elk", "fox"]),
        trainval_loc=rows[:4, :8].reshape(-1, 1),
        test_seen_loc=rows[:4, 8:].reshape(-1, 1),
        test_unseen_loc=rows[4:].reshape(-1, 1),
        train_loc=rows[:3].reshape(-1, 1),
        val_loc=rows[3:4].reshape(-1, 1),
    )
    files = cells([f"images/{one}.jpg" for one in range(60)])
    res101 = mat(features=random.random((5, 60)), labels=labels, image_files=files)
    return {"att_splits.mat": att, "res101.mat": res101, "testclasses.txt": b"elk\nfox\n"}


@pytest.fixture
def served(web: Any, make_zip: Any, make_tar: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A catalogue of one small data set, whose archives the server has."""
    files = splits()
    web.serve(
        "/all.zip", make_zip({f"all/data/{set_}/{k}": v for set_ in ("MINI", "X") for k, v in files.items()})
    )
    lines = "".join(f"{number} {name}\n" for number, name in enumerate(ATTRIBUTES, 1)).encode()
    pictures = {f"MINI_2011/images/{name}": data for name, data in PICTURES.items()}
    web.serve("/mini.tgz", make_tar({"attributes.txt": lines, **pictures}))

    def archive(file: str) -> dict[str, Any]:
        urls = [f"{web.address}/{file}"]
        return {
            "file": file,
            "urls": urls,
            "page": "http://example.invalid",
            "holds": "it",
            "licence": "free",
        }

    tables: dict[str, Any] = {
        "archives": {"all": archive("all.zip"), "mini": archive("mini.tgz")},
        "datasets": {
            "mini": {
                "folder": "MINI",
                "citation": "nobody",
                "licence": "free",
                "counts": {"images": 60, "classes": 6, "attributes": 3},
                "parts": [
                    {
                        "what": "splits",
                        "archive": "all",
                        "members": ["MINI/att_splits.mat", "MINI/res101.mat"],
                        "optional": ["MINI/*classes*.txt"],
                        "unpacked": 20_000,
                    },
                    {
                        "what": "names",
                        "archive": "mini",
                        "members": ["attributes.txt"],
                        "form": "numbered",
                        "unpacked": 100,
                    },
                    {"what": "images", "archive": "mini", "below": "MINI_2011/images", "unpacked": 4000},
                ],
            },
            "bare": {
                "folder": "BARE",
                "citation": "nobody",
                "licence": "secret",
                "counts": {"images": 1, "classes": 1, "attributes": 3},
                "parts": [],
                "by_hand": {"images": "ask for them and put them into {folder}"},
            },
        },
    }
    known = catalogues.read(tables)
    monkeypatch.setattr(catalogues, "catalogue", lambda: known)
    return web


@pytest.fixture
def get(served: Any, tmp_path: Path, impatient: None) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["data", "get", *arguments, "--data-root", str(tmp_path / "data")])

    return call


def listing(folder: Path) -> set[str]:
    """The files below a folder, without locks."""
    paths = (one for one in folder.rglob("*") if one.is_file() and one.suffix != ".lock")
    return {str(one.relative_to(folder)) for one in paths}


def test_splits_features_and_names(get: Any, tmp_path: Path) -> None:
    result = get("mini")
    assert (result.exit_code, result.stderr.count("Error")) == (0, 0)
    assert result.stdout.splitlines() == [
        "mini splits: att_splits.mat, res101.mat and 1 class list, from all.zip",
        "mini names: 3 attribute names in attribute_names.txt, from mini.tgz",
    ]
    folder = tmp_path / "data" / "MINI"
    assert listing(folder) == {
        "att_splits.mat", "res101.mat", "testclasses.txt", "attribute_names.txt", "sources.json",
    }  # fmt: skip
    assert (folder / "attribute_names.txt").read_text().splitlines() == ATTRIBUTES
    dataset = read_xlsa17(folder, name="mini")
    assert (dataset.features.shape, dataset.class_names[0]) == ((60, 5), "ant")


def test_the_origin_of_every_file_is_recorded(get: Any, served: Any, tmp_path: Path) -> None:
    assert get("mini", "--images").exit_code == 0
    folder = tmp_path / "data" / "MINI"
    records = json.loads((folder / "sources.json").read_text())
    body = served.files["/all.zip"].body
    archive = records["archives"]["all.zip"]
    assert archive["sha256"] == hashlib.sha256(body).hexdigest()
    assert (archive["bytes"], archive["url"]) == (len(body), f"{served.address}/all.zip")
    for name in ("att_splits.mat", "res101.mat", "testclasses.txt"):
        data = (folder / name).read_bytes()
        assert records["files"][name] == {
            "archive": "all.zip",
            "member": f"all/data/MINI/{name}",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    names = records["files"]["attribute_names.txt"]
    assert names["sha256"] == hashlib.sha256((folder / "attribute_names.txt").read_bytes()).hexdigest()
    listed = "".join(f"{number} {name}\n" for number, name in enumerate(ATTRIBUTES, 1)).encode()
    assert (names["member"], names["member_sha256"]) == ("attributes.txt", hashlib.sha256(listed).hexdigest())
    images = records["files"]["images"]
    assert (images["files"], images["bytes"]) == (6, sum(map(len, PICTURES.values())))


def test_images_and_their_checksums(get: Any, tmp_path: Path) -> None:
    result = get("mini", "--what", "images")
    folder = tmp_path / "data" / "MINI"
    assert result.stdout == f"mini images: 6 images in {folder / 'images'}, from mini.tgz\n"
    assert {name: (folder / "images" / name).read_bytes() for name in PICTURES} == PICTURES
    assert listing(folder / "images") == set(PICTURES)
    lines = (folder / "images.sha256").read_text().splitlines()
    assert lines == [f"{hashlib.sha256(data).hexdigest()}  images/{name}" for name, data in PICTURES.items()]


def test_existing_files_stay(get: Any, served: Any) -> None:
    assert get("mini").exit_code == 0
    asked = len(served.requests)
    result = get("MINI", "--offline")
    assert "mini splits: already in" in result.stdout
    assert (result.exit_code, len(served.requests)) == (0, asked)
    assert get("mini", "--force").exit_code == 0
    assert len(served.requests) == asked + 2


def test_linked_images_are_replaced_and_the_originals_stay(get: Any, tmp_path: Path) -> None:
    folder, original = tmp_path / "data" / "MINI", tmp_path / "mine" / "a" / "one.jpg"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"my own")
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(tmp_path / "mine", target_is_directory=True)
    assert "already in" in get("mini", "--what", "images").stdout
    result = get("mini", "--what", "images", "--force")
    assert result.exit_code == 0, result.stderr
    assert not (folder / "images").is_symlink()
    assert listing(folder / "images") == set(PICTURES)
    assert original.read_bytes() == b"my own"


def test_archives_are_shared_and_can_be_removed(get: Any, served: Any, tmp_path: Path) -> None:
    assert get("mini", "--what", "names").exit_code == 0
    assert get("mini", "--images", "--no-keep-archives").exit_code == 0
    assert [path for path, _ in served.requests] == ["/mini.tgz", "/all.zip"]
    assert listing(tmp_path / "data" / "archives") == {"checksums.json"}


def test_offline_unpacks_existing_archives(get: Any, served: Any, tmp_path: Path) -> None:
    archives = tmp_path / "data" / "archives"
    archives.mkdir(parents=True)
    (archives / "all.zip").write_bytes(served.files["/all.zip"].body)
    result = get("mini", "--offline")
    assert (result.exit_code, served.requests) == (1, [])
    assert "mini splits: att_splits.mat" in result.stdout
    assert f"Error: {archives / 'mini.tgz'}: " in result.stderr
    assert "--offline" in result.stderr


def test_a_failure_names_the_mirrors_and_leaves_nothing(get: Any, served: Any, tmp_path: Path) -> None:
    del served.files["/all.zip"]
    result = get("mini", "--what", "splits", "--mirror", f"{served.address}/mirror")
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert result.exit_code == 1
    assert len(errors) == 1
    assert f"{served.address}/mirror/all.zip: HTTP 404" in errors[0]
    assert f"{served.address}/all.zip: HTTP 404" in errors[0]
    assert "http://example.invalid" in errors[0]
    assert not (tmp_path / "data" / "MINI").exists()


def test_a_mirror_may_be_an_archive(get: Any, served: Any) -> None:
    served.files["/else/all.zip"] = served.files.pop("/all.zip")
    assert get("mini", "--what", "splits", "--mirror", f"{served.address}/else/all.zip").exit_code == 0


def test_files_of_another_origin_are_not_replaced(get: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "MINI"
    folder.mkdir(parents=True)
    (folder / "att_splits.mat").write_bytes(b"my own")
    result = get("mini", "--what", "splits")
    assert result.exit_code == 1
    assert "att_splits.mat" in result.stderr
    assert "--force" in result.stderr
    assert listing(folder) == {"att_splits.mat"}
    assert (folder / "att_splits.mat").read_bytes() == b"my own"
    assert not (folder / "res101.mat").exists()
    assert get("mini", "--what", "splits", "--force").exit_code == 0
    assert read_xlsa17(folder, name="mini").name == "mini"


def test_too_little_space_is_an_error_before_unpacking(
    get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get("mini", "--what", "names").exit_code == 0  # the archive is there now
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2000}))
    result = get("mini", "--what", "images")
    assert (result.exit_code, "images: needs" in result.stderr) == (1, True)
    assert not (tmp_path / "data" / "MINI" / "images").exists()


def test_images_that_cannot_be_downloaded(get: Any, tmp_path: Path) -> None:
    result = get("bare", "--what", "images")
    place = tmp_path / "data" / "BARE" / "images"
    assert result.exit_code == 1
    message = f"images of bare: cannot be downloaded. ask for them and put them into {place}"
    assert result.stderr == f"Error: {message}\n"
    place.mkdir(parents=True)
    assert get("bare", "--what", "images").exit_code == 0


def test_an_archive_without_the_files(get: Any, served: Any, make_zip: Any, tmp_path: Path) -> None:
    served.serve("/all.zip", make_zip({"data/MINI/att_splits.mat": b"only"}))
    result = get("mini", "--what", "splits")
    assert "MINI/res101.mat" in result.stderr and "--force" in result.stderr
    assert not (tmp_path / "data" / "MINI" / "att_splits.mat").exists()


def test_a_wrong_archive_of_a_mirror_does_no_lasting_harm(get: Any, served: Any, make_zip: Any) -> None:
    mirror = served.serve("/bad/all.zip", make_zip({"data/MINI/att_splits.mat": b"only"}))
    result = get("mini", "--what", "splits", "--mirror", mirror)
    assert result.exit_code == 1 and mirror in result.stderr
    assert get("mini", "--what", "splits").exit_code == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"1 a\n2 b\n", "has 2 names, mini has 3 attributes"),
        (b"1 a\n3 b\n2 c\n", "not numbered from 1"),
    ],
)
def test_names_that_do_not_fit(
    get: Any, served: Any, make_tar: Any, tmp_path: Path, lines: bytes, words: str
) -> None:
    served.serve("/mini.tgz", make_tar({"attributes.txt": lines}))
    result = get("mini", "--what", "names")
    assert (result.exit_code, words in result.stderr) == (1, True)
    assert not (tmp_path / "data" / "MINI" / "attribute_names.txt").exists()


def test_an_interrupted_command_is_resumed(
    get: Any, served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def stop(self: Any, step: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress.Display, "advance", stop)
        result = get("mini", "--what", "images")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("Error: interrupted")
    folder = tmp_path / "data" / "MINI"
    assert not (folder / "images").exists()
    before = {one: one.stat().st_mtime_ns for one in folder.rglob("*.jpg")}
    assert before
    assert get("mini", "--what", "images").exit_code == 0
    after = {(folder / "images" / one).stat().st_mtime_ns for one in PICTURES}
    assert set(before.values()) <= after
    assert listing(folder) == {*(f"images/{one}" for one in PICTURES), "images.sha256", "sources.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["minni"], "'mini'"),
        (["mini", "--what", "split"], "'splits'"),
        (["mini", "--rule", "sum"], "zslbench data get vectors"),
        ([], "Missing argument 'NAME...'"),
    ],
)
def test_wrong_arguments_are_one_line(get: Any, arguments: list[str], words: str) -> None:
    result = get(*arguments)
    assert (result.exit_code, words in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("form", "body", "names"),
    [
        ("numbered", b"    1\tblack\n    2\tbig teeth\n", ["black", "big teeth"]),
        ("lines", b"\xef\xbb\xbf2D Boxy\r\nFurn. Leg\r\n\r\n", ["2D Boxy", "Furn. Leg"]),
        ("mat:attributes", mat(attributes=cells(["sailing/ boating", "dry"])), ["sailing/ boating", "dry"]),
    ],
)
def test_forms_of_names(tmp_path: Path, form: str, body: bytes, names: list[str]) -> None:
    from zslbench_data.download.get import parse_names

    (tmp_path / "names").write_bytes(body)
    assert parse_names(tmp_path / "names", form) == names
