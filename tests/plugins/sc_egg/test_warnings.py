"""What SCEN and EGGN warn of: balanced batches that do not fit the classes (row 17), norms of a (row 12)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
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


@pytest.mark.parametrize(
    ("reading", "longest", "told"),
    [("paper", 1.0, None), ("paper", 25.0, ("1", "25")), ("authors", 25.0, None)],
)
def test_class_semantics_that_are_not_of_unit_length_are_told_where_they_are_taken_as_stored(
    reading: str, longest: float, told: tuple[str, str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = TinyInputs()
    a = torch.nn.functional.normalize(inputs.space().semantics)
    a[-1] *= longest
    space = replace(inputs.space(), semantics=a)
    next(scen_for(space, reading=reading).fit(inputs.raw_view(space)))
    found = [one for one in caplog.messages if "norms" in one]
    assert len(found) == (told is not None)
    assert told is None or f"from {told[0]} to {told[1]}," in found[0]
