"""``zslbench plot``: files, output and errors."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from click.testing import CliRunner, Result
from hostile import NAMES, obeyed
from PIL import Image

from zslbench.cli.main import cli
from zslbench.errors import SettingsError
from zslbench_report.plots.canvas import new_figure, plot_style, save


@pytest.fixture
def call(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``zslbench plot`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZSLBENCH_STORE", str(store))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["plot", *arguments])

    return run


def texts(path: Path) -> str:
    return " ".join(one.text or "" for one in ET.parse(path).iter() if one.tag.endswith("}text"))


def test_attention_writes_a_png_and_says_where(call: Any, looking: Any, tmp_path: Path) -> None:
    result = call("attention", looking.info.id[:10], "--count", "2", "--top", "3")
    name = f"attention-{looking.info.id}.png"
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{name}\n", "")
    assert [one.name for one in tmp_path.iterdir()] == [name]
    with Image.open(tmp_path / name) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200


def test_attention_writes_an_svg_with_readable_text(call: Any, looking: Any, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"sign {one}\n" for one in range(10)))
    arguments = ("attention", looking.info.id, "--image", "3", "--top", "2", "--attribute-names", str(names))
    assert call(*arguments, "-o", "a.svg").exit_code == 0
    shown = texts(tmp_path / "a.svg")
    for part in ("sign ", "image 3", "simulated data", looking.info.id):
        assert part in shown
    assert call(*arguments, "-o", "b.svg").exit_code == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_tsne_writes_figure_and_points(call: Any, looking: Any, plain: Any, tmp_path: Path) -> None:
    result = call(
        "tsne", looking.info.id, "--baseline", plain.info.id, "--classes", "4", "--per-class", "6",
        "-o", "t.svg", "--data-out", "t.csv", "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == [{"file": "t.svg"}, {"file": "t.csv"}]
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"panel", "kind", "class_id", "class", "image", "x", "y"}
    assert {row["panel"] for row in rows} == {"backbone", "embedding"}
    assert all(row["image"] == "" for row in rows if row["kind"] == "synthetic unseen")
    shown = texts(tmp_path / "t.svg")
    assert "simulated data" in shown
    assert all(row["class"] in shown for row in rows)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("attention", "RUN", "-o", "a.pdf"), "a.pdf: "),
        (("tsne", "RUN", "-o", "none/a.png"), "none/a.png: "),
        (("tsne", "RUN", "--data-out", "none/a.csv"), "none/a.csv: "),
        (("attention", "RUN", "--image", "500"), "--image 500: toy has the images 0 to 119"),
        (("tsne", "nothing"), "no run 'nothing' in"),
        (("tsne", "RUN", "--baseline", "nothing"), "no run 'nothing' in"),
    ],
)
def test_errors_are_one_line_and_write_nothing(
    call: Any, looking: Any, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    result = call(*(looking.info.id if one == "RUN" else one for one in arguments))
    assert result.exit_code != 0
    assert result.stderr.startswith(f"Error: {line}")
    assert (result.stderr.count("\n"), result.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text(call: Any, looking: Any, tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(b"\xff\xfe\x00")
    result = call("attention", looking.info.id, "--attribute-names", "names")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: names: cannot be read as text")


def test_debug_stands_after_the_inner_command_too(call: Any) -> None:
    result = call("tsne", "nothing", "--debug")
    assert result.stderr.startswith("Traceback")
    assert "Error: no run 'nothing'" in result.stderr


def test_without_matplotlib_one_line_says_what_to_install(store: Path, looking: Any) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = ['zslbench', 'plot', 'tsne', "
        f"{looking.info.id!r}, '--store', {str(store)!r}]; from zslbench.cli.main import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert "pip install 'zslbench[plot]'" in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from zslbench.cli.main import cli\n"
        "for words in (['plot'], ['plot', 'tsne'], ['plot', 'attention']):\n"
        "    assert CliRunner().invoke(cli, [*words, '--help']).exit_code == 0\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'sklearn', 'numpy', 'jaxtyping'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_global_settings_of_matplotlib_are_left_alone_and_do_not_matter() -> None:
    with matplotlib.rc_context(
        {"figure.facecolor": "black", "text.color": "white", "savefig.facecolor": "red"}
    ):
        before = dict(matplotlib.rcParams)
        with plot_style():
            figure = new_figure(2.0, 1.0)
            text = figure.suptitle("words")
        assert dict(matplotlib.rcParams) == before
    assert text.get_color() == "black"


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zslbench.store import files

    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(new_figure(1.0, 1.0), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(SettingsError, match=r"\.png or \.svg"):
        save(new_figure(1.0, 1.0), tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_names_in_figures_are_data(kind: str, tmp_path: Path) -> None:
    """No formula, no control character, no endless line; the SVG can be parsed."""
    with plot_style():
        figure = new_figure(4.0, 3.0)
        axes = figure.add_subplot()
        for place, name in enumerate(NAMES.values() if kind == "svg" else [NAMES["mathtext"], NAMES["nul"]]):
            axes.plot([place], [0], label=name.lstrip("_") or "x")
            axes.text(0, place, name)
        axes.set(title=NAMES["mathtext"], xlabel=NAMES["nul"], ylabel=NAMES["surrogate"])
        axes.legend(fontsize=3)
    save(figure, tmp_path / f"f.{kind}")
    if kind == "svg":
        shown = texts(tmp_path / "f.svg")
        assert obeyed(shown.replace("\n", "")) == []
        assert shown.count(NAMES["mathtext"]) == 3
        assert shown.count(r"\x1b[31mred\x1b[0m") == 2
        assert "w" * 200 in shown and "w" * 201 not in shown
