"""Files of word vectors in every format, sound and broken, and the arrays built from them."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner, Result

from zslbench.cli.main import cli
from zslbench.errors import DataError, MissingData
from zslbench_data.download import catalogue as catalogues
from zslbench_data.words.attributes import combine
from zslbench_data.words.vector_files import read_words

DIMENSION = 4
WORDS = ["the", "bill", "shape", "naïve", "ground", "red", "zebra"]
VECTORS = {word: np.arange(DIMENSION, dtype=np.float32) + 10 * number for number, word in enumerate(WORDS)}


def text(header: bool = False, vectors: dict[str, np.ndarray] | None = None) -> bytes:
    vectors = VECTORS if vectors is None else vectors
    lines = [f"{len(vectors)} {DIMENSION}"] if header else []
    lines += [" ".join([word, *map(str, vector)]) for word, vector in vectors.items()]
    return ("\n".join(lines) + "\n").encode()


def binary(line_ends: bool = False, vectors: dict[str, np.ndarray] | None = None) -> bytes:
    vectors = VECTORS if vectors is None else vectors
    dimension = len(next(iter(vectors.values())))
    end = b"\n" if line_ends else b""
    records = [word.encode() + b" " + one.astype("<f4").tobytes() + end for word, one in vectors.items()]
    return b"".join([f"{len(vectors)} {dimension}\n".encode(), *records])


FORMS = {
    "text": (text(), "text"),
    "word2vec-text": (text(header=True), "word2vec text"),
    "binary": (binary(), "word2vec binary"),
    "binary-lines": (binary(line_ends=True), "word2vec binary"),
}


@pytest.fixture(params=[None, "gz", "zip"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Path]:
    def write(body: bytes) -> Path:
        path = tmp_path / f"vectors.{request.param}"
        if request.param == "zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
                pack.writestr("inside/vectors.bin", body)
                pack.writestr("readme", b"about")
        else:
            path.write_bytes(gzip.compress(body) if request.param == "gz" else body)
        return path

    return write


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_recognised_and_read(put: Any, form: str) -> None:
    body, name = FORMS[form]
    found = read_words(put(body), ["zebra", "naïve", "bill", "unheard"])
    assert (found.form, found.dimension) == (name, DIMENSION)
    assert found.vectors.keys() == {"zebra", "naïve", "bill"}
    for word, vector in found.vectors.items():
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, VECTORS[word])


@pytest.mark.parametrize("dimension", [25, 300, 2000])
def test_large_binary_files(tmp_path: Path, dimension: int) -> None:
    random = np.random.default_rng(2)
    count = 3_000_000 // dimension // 2
    values = random.standard_normal((count, dimension)).astype(np.float32)
    many = {f"w{number}": values[number] for number in range(count)}
    (tmp_path / "v.bin").write_bytes(binary(vectors=many))
    wanted = ["w0", f"w{count // 2}", f"w{count - 1}"]
    found = read_words(tmp_path / "v.bin", wanted)
    assert found.form == "word2vec binary"
    for word in wanted:
        np.testing.assert_array_equal(found.vectors[word], many[word])


def test_repeated_words_and_words_with_blanks(tmp_path: Path) -> None:
    # GloVe 840B has words with blanks, whose first part is another word, and repeats some words.
    lines = "a b 1 2 3\n. . . 7 8 9\nbill 1 2 3\nbill 4 5 6\n. 1 1 1\n"
    (tmp_path / "v.txt").write_text("the 0 0 0\n" + lines)
    found = read_words(tmp_path / "v.txt", ["bill", ".", "a"])
    assert {key: one.tolist() for key, one in found.vectors.items()} == {"bill": [1, 2, 3], ".": [1, 1, 1]}


def test_reading_ends_when_all_words_are_found(tmp_path: Path) -> None:
    (tmp_path / "v.bin").write_bytes(binary()[:-9])  # cut, but beyond what is wanted
    assert read_words(tmp_path / "v.bin", ["bill", "red"]).vectors.keys() == {"bill", "red"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "file of word vectors"),
        (b"<html>\n", "file of word vectors"),
        (b"word one two three\n", "file of word vectors"),
        (b"3 900000\nabc", "dimension of 900000"),
        (b"bill 1 2 3\nzebra 1 2\n", r"line 2 \('zebra'\) has 2 numbers"),
        (b"bill 1 2 3\nzebra 1 x 3\n", "'zebra' contains"),
        (b"bill 1 2 3\nzebra 1 nan 3\n", "'zebra' is not finite"),
        (b"bill 1 2 3\n" + b"x" * 70_000, "line 2 is longer"),
        (binary()[:-3], "at word 7 of 7"),
        (b"9" + binary()[1:], "at word 8 of 9"),
        (binary(vectors={"zebra": np.full(4, np.inf)}), "'zebra' is not finite"),
        (b"2 4\n" + b"\xff" * 3_000_000, "at word 1 of 2"),
        (gzip.compress(text())[:-20], "is damaged"),
        (struct.pack("<I", 0x04034B50) + b"junk", "is damaged"),
    ],
)
def test_broken_files_are_one_error(tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "v").write_bytes(body)
    with pytest.raises(DataError, match=words) as caught:
        read_words(tmp_path / "v", ["zebra", "unheard"])
    assert "\n" not in str(caught.value)


def test_a_zip_must_hold_one_file_of_vectors(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as pack:
        pack.writestr("v.50d.txt", text())
        pack.writestr("v.300d.txt", text())
    with pytest.raises(DataError, match="holds 2 files"):
        read_words(tmp_path / "v.zip", ["bill"])
    assert read_words(tmp_path / "v.zip", ["bill"], member="v.50d.txt").vectors.keys() == {"bill"}
    with pytest.raises(DataError, match=r"holds 0 other\.txt.* v\.50d\.txt, v\.300d\.txt"):
        read_words(tmp_path / "v.zip", ["bill"], member="other.txt")
    with pytest.raises(MissingData, match="no such file"):
        read_words(tmp_path / "nowhere", ["bill"])


def test_rows_by_hand() -> None:
    vectors = {"a": np.array([1.0, 2.0]), "b": np.array([10.0, 20.0])}
    names = ["a", "has_a::b", "a b a", "b unheard", "unheard of", "b (a)"]
    total, unknown, empty = combine(names, vectors, 2, "sum")
    assert total.tolist() == [[1, 2], [11, 22], [12, 24], [10, 20], [0, 0], [10, 20]]
    mean, *_ = combine(names, vectors, 2, "mean")
    assert mean.tolist() == [[1, 2], [5.5, 11], [4, 8], [10, 20], [0, 0], [10, 20]]
    assert unknown == {"unheard": ["b unheard", "unheard of"], "of": ["unheard of"]}
    assert empty == ["unheard of"]
    assert total.dtype == np.float32


NAMES = ["has_bill::red_(dark)", "ground", "bill shape"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with one data set of three named attributes."""
    folder = tmp_path / "data" / "Birds"
    folder.mkdir(parents=True)
    scipy.io.savemat(folder / "att_splits.mat", {"att": np.ones((3, 6))})
    (folder / "attribute_names.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path / "data"


@pytest.fixture
def get(root: Path) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["data", "get", "vectors", *arguments, "--data-root", str(root)])

    return call


def test_vectors_from_a_file(get: Any, root: Path, tmp_path: Path) -> None:
    (tmp_path / "own.bin").write_bytes(binary())
    result = get("--source", str(tmp_path / "own.bin"))
    path = root / "Birds" / "attribute_vectors.npy"
    assert result.exit_code == 0
    assert result.stdout == f"birds vectors: 3 x 4 in {path}, sum over words of own.bin\n"
    assert "birds: vectors have 4" in result.stderr
    rows = [VECTORS["bill"] + VECTORS["red"], VECTORS["ground"], VECTORS["bill"] + VECTORS["shape"]]
    np.testing.assert_array_equal(np.load(path), np.stack(rows))
    record = json.loads((root / "Birds" / "attribute_vectors.json").read_text())
    assert (record["rule"], record["source"]["name"], record["shape"]) == ("sum", "own.bin", [3, 4])
    assert record["words"]["has_bill::red_(dark)"] == ["bill", "red"]
    sources = json.loads((root / "Birds" / "sources.json").read_text())
    assert sources["files"]["attribute_vectors.npy"]["file"]["sha256"] == record["source"]["sha256"]


def test_rule_mean(get: Any, root: Path, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(text())
    assert get("--source", str(tmp_path / "own.txt"), "--rule", "mean", "--dataset", "BIRDS").exit_code == 0
    found = np.load(root / "Birds" / "attribute_vectors.npy")
    np.testing.assert_allclose(found[0], (VECTORS["bill"] + VECTORS["red"]) / 2)


def test_glove_comes_from_its_archive(
    get: Any, root: Path, web: Any, make_zip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = web.serve("/glove.zip", make_zip({"glove.300d.txt": text(), "glove.50d.txt": b"x 1"}))
    archive = {"file": "glove.zip", "urls": [url], "page": "http://x", "holds": "it", "licence": "free"}
    glove = {"archive": "g", "member": "glove.300d.txt", "rule": "mean", "citation": "they"}
    known = catalogues.read({"archives": {"g": archive}, "datasets": {}, "vectors": {"glove": glove}})
    monkeypatch.setattr(catalogues, "catalogue", lambda: known)
    assert get().exit_code == 0
    found = np.load(root / "Birds" / "attribute_vectors.npy")
    np.testing.assert_allclose(found[2], (VECTORS["bill"] + VECTORS["shape"]) / 2)
    record = json.loads((root / "Birds" / "attribute_vectors.json").read_text())
    assert (record["rule"], record["source"]["url"]) == ("mean", url)
    sources = json.loads((root / "Birds" / "sources.json").read_text())
    assert sources["files"]["attribute_vectors.npy"]["member"] == "glove.300d.txt"
    assert "glove.zip" in sources["archives"]
    assert "--force" in get().stdout
    assert len(web.requests) == 1


def test_unknown_words_are_reported(get: Any, root: Path, tmp_path: Path) -> None:
    few = {key: VECTORS[key] for key in ("bill", "ground")}
    (tmp_path / "few.txt").write_bytes(text(vectors=few))
    result = get("--source", str(tmp_path / "few.txt"))
    assert result.exit_code == 0
    assert "note: birds: no vector for 'red' (in 1 names: has_bill::red_(dark))" in result.stderr
    assert "no vector for 'shape'" in result.stderr
    assert json.loads((root / "Birds" / "attribute_vectors.json").read_text())["unknown_words"].keys() == {
        "red", "shape",
    }  # fmt: skip


def test_a_row_without_a_known_word_is_an_error(get: Any, root: Path, tmp_path: Path) -> None:
    few = {key: VECTORS[key] for key in ("bill", "red")}
    source = tmp_path / "few.txt"
    source.write_bytes(text(vectors=few))
    result = get("--source", str(source))
    assert result.exit_code == 1
    assert "ground" in result.stderr and "--allow-missing" in result.stderr
    assert not (root / "Birds" / "attribute_vectors.npy").exists()
    result = get("--source", str(source), "--allow-missing")
    assert result.exit_code == 0
    assert "ground" in result.stderr
    assert not np.load(root / "Birds" / "attribute_vectors.npy")[1].any()


def test_a_ready_array_is_checked_and_imported(get: Any, root: Path, tmp_path: Path) -> None:
    ready = np.random.default_rng(1).random((3, 300))
    np.save(tmp_path / "ready.npy", ready)
    result = get("--source", str(tmp_path / "ready.npy"), "--dataset", "birds")
    assert result.exit_code == 0
    np.testing.assert_array_equal(np.load(root / "Birds" / "attribute_vectors.npy"), ready.astype(np.float32))
    assert (
        json.loads((root / "Birds" / "attribute_vectors.json").read_text())["source"]["name"] == "ready.npy"
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 300)), "has 2 rows.* 3 attributes"),
        (np.full((3, 300), np.nan), "not finite"),
        (np.zeros(3), "two-dimensional"),
        (np.array([{}] * 3), r"not a \.npy array"),
        (np.full((3, 300), 1e300), "not finite"),  # float32 holds up to 3.4e38
        (b"no array", r"not a \.npy array"),
        (b"", r"not a \.npy array"),
    ],
)
def test_ready_arrays_that_do_not_fit(get: Any, root: Path, tmp_path: Path, array: Any, words: str) -> None:
    path = tmp_path / "ready.npy"
    path.write_bytes(array) if isinstance(array, bytes) else np.save(path, array, allow_pickle=True)
    result = get("--source", str(path), "--dataset", "birds")
    assert result.exit_code == 1
    assert re.search(words, result.stderr)
    assert not (root / "Birds" / "attribute_vectors.npy").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "nowhere.bin"], "(glove, glove-840b)"),
        (["--dataset", "cub"], "no folder cub"),
        (["--source", "x.npy", "--dataset", "birds", "--dataset", "cub"], "no folder cub"),
    ],
)
def test_missing_inputs(get: Any, arguments: list[str], words: str) -> None:
    result = get(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("Error") == 1


def test_missing_names_are_an_error(get: Any, root: Path) -> None:
    (root / "Birds" / "attribute_names.txt").unlink()
    assert "no data set has attribute names" in get().stderr
    result = get("--dataset", "birds")
    assert "no attribute names" in result.stderr


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("CUB", "zslbench data get cub --what names"),
        ("FLO", "semantics of FLO"),
    ],
)
def test_official_data_sets_without_names(get: Any, root: Path, folder: str, words: str) -> None:
    (root / "Birds").rename(root / folder)
    (root / folder / "attribute_names.txt").unlink()
    assert words in get("--dataset", folder.lower()).stderr


def test_names_that_do_not_fit_the_splits(get: Any, root: Path) -> None:
    (root / "Birds" / "attribute_names.txt").write_text("one\ntwo\n")
    assert "has 2 attribute names" in get().stderr


@pytest.mark.parametrize("dataset", ["CUB", "SUN", "AWA2"])
def test_known_vectors_are_reproduced(real_data: Path, tmp_path: Path, dataset: str) -> None:
    """A word2vec file whose words explain the known vectors gives those vectors, through the command."""
    from zslbench_data.words.attributes import words_of

    names = (real_data / "attribute_names" / f"{dataset}.txt").read_text().splitlines()
    known = np.load(real_data / "attribute_vectors" / f"{dataset}.npy").astype(np.float64)
    words = sorted({word for name in names for word in words_of(name)})
    counts = np.array([[words_of(name).count(word) for word in words] for name in names], dtype=float)
    solved = np.linalg.lstsq(counts, known, rcond=None)[0]
    own = {word: solved[number].astype(np.float32) for number, word in enumerate(words)}
    with gzip.open(tmp_path / "w2v.bin.gz", "wb", compresslevel=1) as file:
        file.write(binary(vectors={"</s>": np.ones(300, np.float32), **own}))
    folder = tmp_path / "data" / dataset
    folder.mkdir(parents=True)
    (folder / "att_splits.mat").symlink_to(real_data / "xlsa17" / dataset / "att_splits.mat")
    (folder / "attribute_names.txt").write_text("\n".join(names))
    root, source = str(tmp_path / "data"), str(tmp_path / "w2v.bin.gz")
    arguments = ["data", "get", "vectors", "--source", source, "--data-root", root]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.stderr
    np.testing.assert_allclose(np.load(folder / "attribute_vectors.npy"), known, atol=2e-5)
