"""What to type to get the region features of an official data set, of what is not there yet."""

from __future__ import annotations

from pathlib import Path

from zslbench_data.download.advice import extract_step, step
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.presence import look


def how_to_get_region_features(name: str, root: Path) -> str:
    """The commands that get what is missing for region features of a data set, with sizes and times.

    Args:
        name: a data set of the catalogue.
        root: the data root.
    """
    entry = catalogue().entry(name)
    there = look(root, entry.folder)
    steps = []
    if not there.splits or "res101" not in there.features:
        steps.append(f"splits and image names: {step(entry, 'splits')}")
    if not there.images:
        steps.append(f"pictures: {step(entry, 'images').removeprefix('images: ')}")
    if there.images or entry.part("images"):
        steps.append(f"features: {extract_step(entry)}")
    else:
        folder = there.folder.absolute()
        steps.append(f"features: put a region store or a file in the HDF5 layout of SC-EGG into {folder}")
    numbered = "; ".join(f"({number}) {one}" for number, one in enumerate(steps, 1))
    return f"Get them: {numbered}" if len(steps) > 1 else f"Get the {steps[0]}"
