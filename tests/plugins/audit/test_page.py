"""docs/trust.md lists every probe."""

from __future__ import annotations

import re

from pages import ROOT

from zslbench_audit import PROBES

PAGE = (ROOT / "docs" / "trust.md").read_text("utf-8")


def test_every_probe_has_its_row_and_no_other():
    table = PAGE.partition("| probe |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(PROBES)
    shown = {name for cell in re.findall(r"audit: ([^|]*)\|", PAGE) for name in re.findall(r"`(\w+)`", cell)}
    assert shown == set(PROBES)
