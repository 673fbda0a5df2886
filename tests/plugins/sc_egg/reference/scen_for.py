"""SCEN for tests, with settings by short names."""

from __future__ import annotations

from typing import Any

from zslbench.plugin import ClassSpace
from zslbench.plugin.settings import build, fields_of
from zslbench_sc_egg.scen import SCEN
from zslbench_sc_egg.settings import SCENSettings


def named(**settings: Any) -> dict[str, Any]:
    """``lr`` as that of every stage that has it, ``stage2_lr`` as that of one."""
    found = {}
    for key, value in settings.items():
        dotted = key.replace("stage1_", "stage1.").replace("stage2_", "stage2.")
        names = [one for one in fields_of(SCENSettings) if one == dotted or one.endswith(f".{dotted}")]
        assert names, key
        found |= dict.fromkeys(names, value)
    return found


def scen_for(space: ClassSpace, **settings: Any) -> SCEN:
    return SCEN(build(SCENSettings, named(**settings), "scen"), space)
