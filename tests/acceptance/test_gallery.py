"""The recipes of docs/gallery.md, run from the page: they print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT, blocks, section
from warm import warm_commands

PAGE = (ROOT / "docs" / "gallery.md").read_text("utf-8")
FIGURES = ROOT / "docs" / "gallery"
RECIPES = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
PICTURES = "Your own pictures to a table"

EXTRAS = {"extract": "PIL", "plot": "matplotlib", "slurm": "submitit"}
"""A module of each extra that a recipe may need."""

# In place of pip, which would install into the environment of the tests.
PIP = """pip() {
    package=$3/${3//-/_} site=$PWD/site/$3-0.dist-info
    mkdir -p $site
    printf 'Metadata-Version: 2.1\\nName: %s\\nVersion: 0\\n' $3 >$site/METADATA
    printf '[zslbench]\\n%s = %s\\n' $3 ${3//-/_} >$site/entry_points.txt
    export PYTHONPATH=$PWD/$3:$PWD/site
}
"""


def blocks_in_order(text: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


LONG = {
    PICTURES,
    "New classes by their attributes",
    "Your own method",
    "An ablation as a figure",
    "Features in two dimensions",
    "From laptop to cluster",
}
"""Recipes that take over five seconds, or continue one that does."""

NUMBER = re.compile(r"(?<![\w.])[+−-]?\d+\.\d+(?![\w.])")


@pytest.fixture(scope="module")
def run_recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Path, list[str]]]]:
    """Runs a recipe once; returns its folder and the standard output of each of its shell blocks."""
    done: dict[str, tuple[Path, list[str]]] = {}
    (setup,) = blocks(PAGE.partition("\n## ")[0], "sh")

    def run(title: str) -> tuple[Path, list[str]]:
        if title not in done:
            text = section(PAGE, f"## {title}")
            for extra, module in EXTRAS.items():
                if f"the extra\n`{extra}`" in text or f"the extra `{extra}`" in text:
                    _need(extra, module)
            continued = "This continues [your own" in text
            folder = run(PICTURES)[0] if continued else tmp_path_factory.mktemp("recipe")
            done[title] = folder, _outputs(text, setup, folder, environment)
        return done[title]

    with warm_commands(tmp_path_factory.mktemp("warm") / "bin") as commands:
        environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
        yield run


def _need(extra: str, module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"needs the extra {extra}")


def _outputs(text: str, setup: str, folder: Path, environment: dict[str, str]) -> list[str]:
    outputs = []
    for language, block in blocks_in_order(text):
        if name := re.match(r"# (\S+\.\w+)\n", block):
            (folder / name[1]).write_text(block, "utf-8")
        elif language == "sh":
            script = f"set -eo pipefail\n{PIP}{setup}{block}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=folder, env=environment,
                capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            outputs.append(done.stdout)
    return outputs


@pytest.mark.parametrize(
    "title", [pytest.param(one, marks=pytest.mark.slow if one in LONG else ()) for one in RECIPES]
)
def test_the_recipe_prints_what_the_page_shows(
    title: str, run_recipe: Callable[[str], tuple[Path, list[str]]]
) -> None:
    text = section(PAGE, f"## {title}")
    folder, outputs = run_recipe(title)
    found = re.search(r"within\s+(\d+)\s+points", text)
    tolerance = float(found[1]) if found else 1.0
    printed = iter(outputs)
    compared = 0
    for language, block in blocks_in_order(text):
        if language == "sh":
            output = next(printed).replace(str(folder), "/home/me/gallery")
        elif language == "text":
            agree(block, output, tolerance)
            compared += 1
    drawn = re.findall(r"\]\(gallery/(.+?)\)", text)
    for name in drawn:
        assert texts(folder / name) == texts(FIGURES / name)
        assert (FIGURES / name).stat().st_size < 60_000
    assert compared + len(drawn) > 0


def agree(page: str, output: str, tolerance: float) -> None:
    """The same lines: decimal numbers within the tolerance, anything else equal."""
    shown, printed = lines(page), lines(output)
    assert [NUMBER.sub("#", one) for one in printed] == [NUMBER.sub("#", one) for one in shown]
    numbers = [
        [float(number.replace("−", "-")) for line in side for number in NUMBER.findall(line)]
        for side in (printed, shown)
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=tolerance)


def lines(text: str) -> list[str]:
    """Lines without rules and the widths of columns; ids of runs and seconds as x."""
    masked = re.sub(r"\b([0-9a-f]{16}|\d+(?= s\b))", "x", text)
    return [" ".join(one.split()) for one in masked.splitlines() if one.strip(" ─")]


def texts(figure: Path) -> list[str]:
    """The texts of an SVG, sorted; ids of runs as x."""
    found = re.findall(r"<text[^>]*>\s*([^<]+?)\s*<", figure.read_text("utf-8"))
    return sorted(re.sub(r"\b[0-9a-f]{16}\b", "x", one) for one in found if not NUMBER.fullmatch(one))


def test_there_are_eight_recipes_that_the_index_leads_to() -> None:
    assert len(RECIPES) == 8 and set(RECIPES) >= LONG
    assert "gallery" in (ROOT / "docs" / "index.md").read_text("utf-8").split()
    assert "docs/gallery.md" in (ROOT / "README.md").read_text("utf-8")
