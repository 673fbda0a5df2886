"""Balanced batches that the number of seen classes does not divide are told, by SCEN and EGGN (row 17)."""

from __future__ import annotations

import pytest
from scen_for import scen_for

from zslbench.testing import TinyInputs
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.settings import EGGNSettings


@pytest.mark.parametrize(("more", "warned"), [(0, False), (1, True), (-1, False)])
def test_told_where_some_classes_get_one_image_more(
    more: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = TinyInputs()
    space = inputs.space()
    size = len(space.seen) + more
    next(scen_for(space, sampler="balanced", batch_size=size).fit(inputs.raw_view(space)))
    given = EGGNSettings(sampler="balanced", batch_size=size, lambda_s=0.0, lambda_u=0.0)
    EGGN(given, space).fit(inputs.view(space, space.seen))
    found = [line.split(":")[0] for line in caplog.messages if "balanced batches" in line]
    assert found == (["scen", "eggn"] if warned else [])
    if warned:
        assert f"batches of {size} from {size - 1} classes give 1 of them" in caplog.text
