"""Every check catches a component that breaks its rule; sound components pass all checks."""

from __future__ import annotations

from typing import Any

import pytest
from zsl_fakes import classes, named

from zslbench.errors import SettingsError, UnknownName
from zslbench.plugin.lookup import Registry
from zslbench.testing import (
    ConformanceError,
    NotApplicable,
    TinyInputs,
    check_component,
    checks_for,
    checks_for_method,
)
from zslbench.testing.conformance import _DATASET, _OF_KIND

SOUND = [(kind, one.__name__) for kind, one in classes() if one.__name__.startswith("Sound")]
PARTICULAR = [("embedding", "NineTiles")]
BROKEN = [
    (kind, one.__name__, *(one.__doc__ or "").split(": ", 1))
    for kind, one in classes()
    if "_" in (one.__doc__ or "").split(": ", 1)[0]
]


def test_every_fake_is_tried() -> None:
    """No fake is left out because its docstring does not say which check it is for."""
    assert len(SOUND) + len(PARTICULAR) + len(BROKEN) == len(classes())
    assert len(BROKEN) > 70


@pytest.mark.parametrize(("kind", "name"), SOUND)
def test_sound_components_pass(fakes: Registry, kind: Any, name: str) -> None:
    applied = 0
    for check in checks_for(kind, name.lower(), registry=fakes):
        try:
            check()
        except NotApplicable:
            continue
        applied += 1
    assert applied >= 5


@pytest.mark.parametrize(("kind", "name", "check", "fault"), BROKEN)
def test_broken_component_is_caught(fakes: Registry, kind: Any, name: str, check: str, fault: str) -> None:
    checks = checks_for(kind, name.lower(), registry=fakes)
    with pytest.raises(ConformanceError) as caught:
        named(checks, check)()
    message = str(caught.value)
    assert message.startswith(f"{kind} '{name.lower()}' fails check '{check}': ")
    assert fault in message
    assert "\n" not in message


def test_every_check_has_a_component_that_it_catches() -> None:
    """A check that nothing fails might check nothing."""
    caught = {(kind, check) for kind, _, check, _ in BROKEN}
    every = {check.__name__ for checks in (*_OF_KIND.values(), _DATASET) for check in checks}
    assert {check for _, check in caught} == every


# --- what the author gives ------------------------------------------------------------------------


def test_wrong_arguments_are_one_line(fakes: Registry) -> None:
    with pytest.raises(UnknownName, match="no embedding 'sund', did you mean 'sound'"):
        checks_for("embedding", "sund", registry=fakes)
    with pytest.raises(SettingsError, match="embedding 'sound': no setting 'sise', did you mean 'size'"):
        checks_for("embedding", "sound", registry=fakes, settings={"sise": 1})
    with pytest.raises(
        UnknownName, match="expected_failures: no check 'step_lift', did you mean 'steps_lift'"
    ):
        checks_for("embedding", "sound", registry=fakes, expected_failures={"step_lift": "why"})
    with pytest.raises(UnknownName, match="no method 'eszl', did you mean 'eszsl'"):
        checks_for_method("eszl", registry=fakes)


def test_inputs_have_the_sizes_asked_for(fakes: Registry) -> None:
    """A component that insists on nine regions of width 12 is served."""
    small = checks_for("embedding", "ninetiles", registry=fakes)
    with pytest.raises(ConformanceError, match="needs 9 regions, not 4"):
        named(small, "same_seed_same_bits")()
    check_component("embedding", "ninetiles", registry=fakes, inputs=TinyInputs(regions=9, channels=12))
