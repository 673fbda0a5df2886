"""A report of the suite ``quick``, really run, and a reader of its HTML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "reading"))  # the reader is imported by tests and fixtures

COMMAND = "zslbench report quick --without tsne"


@pytest.fixture(scope="session")
def quick_html(quick_store: Any) -> str:
    """The page, all sections but t-SNE, which takes seconds."""
    from zslbench_report.html.page import page
    from zslbench_report.html.report import Report

    store, outcome = quick_store
    report = Report(outcome, store, command=COMMAND, without=frozenset({"tsne"}))
    text = page(report)
    assert report.faults == []
    return text


@pytest.fixture(scope="session")
def quick_page(quick_html: str) -> Any:
    """The page as a tree."""
    from page_reader import read

    return read(quick_html)
