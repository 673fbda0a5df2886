"""`composer` learns on the toy data set with its preset."""

from __future__ import annotations

import pytest

import zslbench

ESZSL = 0.427
"""AUSUC of `eszsl` there (docs/embedding-methods.md)."""


@pytest.mark.slow
def test_it_separates_classes_better_than_eszsl(tmp_path):
    run = zslbench.run("composer", dataset="toy", store=tmp_path, device="cpu", threads=1)
    assert run.records[0].metrics["ausuc"] > ESZSL
