"""Prints the oldest versions that pyproject.toml allows, as pip constraints.

torch stays at the version of constraints.txt: its older releases come as CUDA builds of several gigabytes.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PINNED = ("torch",)


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    lines = {}
    for text in (one for group in groups for one in group):
        requirement = Requirement(text)
        floors = [one.version for one in requirement.specifier if one.operator == ">="]
        if floors and requirement.name not in PINNED:
            lines[requirement.name] = f"{requirement.name}=={floors[0]}"
    current = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line for line in current if line.partition("==")[0] in PINNED]
    print(*sorted(lines.values()), *pinned, sep="\n")


if __name__ == "__main__":
    main()
