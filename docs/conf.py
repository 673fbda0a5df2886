"""The documentation site: ``make docs``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import zslbench

ROOT = Path(__file__).resolve().parents[1]

project = "zslbench"
author = "The zslbench authors"
release = version = zslbench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = "zslbench"
exclude_patterns = ["_build", "_news.md"]
suppress_warnings = ["myst.xref_missing"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # they stand in the signatures
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
add_module_names = False
napoleon_use_rtype = False

_LABELS = re.compile(r"^(Called|Returns|Forbidden): ")


def _hook_fields(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn the labelled lines of a hook's docstring into a field list."""
    if ".hookspecs." not in name:
        return
    labelled = False
    for number, line in enumerate(lines):
        if _LABELS.match(line):
            labelled = True
            lines[number] = f":{_LABELS.sub(lambda found: found.group(1) + ': ', line)}"
        elif labelled and line.strip():
            lines[number] = f"    {line}"


def _news(app: Any) -> None:
    """Changes since the last release, from the news fragments."""
    draft = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Unreleased"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = draft.stdout.partition("### ")
    (ROOT / "docs" / "_news.md").write_text("".join(text[1:]).replace("### ", "## "), "utf-8")


def _plain_stars(app: Any, context: Any, lines: list[str]) -> None:
    """Help texts are plain text, in which a star is a star."""
    lines[:] = [line.replace("/*", r"/\*") for line in lines]


def setup(app: Any) -> None:
    """Connect the functions above; Sphinx calls this."""
    app.connect("builder-inited", _news)
    app.connect("autodoc-process-docstring", _hook_fields)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _plain_stars)
