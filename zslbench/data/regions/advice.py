"""What to type to get the region features of an official data set, of what is not there yet."""

from __future__ import annotations

import shlex
from pathlib import Path

from zslbench.data.download.advice import region_bytes, step
from zslbench.data.download.catalogue import catalogue
from zslbench.data.download.display import human
from zslbench.data.download.presence import look

_EXTRACTION = "https://github.com/shiming-chen/TransZero"
"""Has the extraction that SC-EGG's authors use, and the word vectors that it asks for."""

_PICTURES = {
    "cub": "CUB_200_2011/images",
    "sun": "images",
    "awa2": "Animals_with_Attributes2/JPEGImages",
}
"""Where that extraction looks for the pictures, below ``data/<DS>``."""


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
    folder, ds = there.folder.absolute(), entry.folder
    if name in _PICTURES:
        place = f"data/{ds}/{_PICTURES[name]}"
        commands = [
            f"git clone {_EXTRACTION}",
            "cd TransZero",
            f"mkdir -p data/xlsa17/data {Path(place).parent}",
            f"ln -s {shlex.quote(str(folder))} data/xlsa17/data/{ds}",
            f"ln -s {shlex.quote(str(folder / 'images'))} {place}",
            f"python preprocessing.py --dataset {ds}",
            f"mv data/{ds}/feature_map_ResNet_101_{ds}.hdf5 {shlex.quote(str(folder))}",
        ]
        size = human(region_bytes(entry, 4))
        steps.append(
            f"features (ResNet-101 at 448 pixels; needs torchvision, {size} of memory and of disk; under an "
            f"hour on a GPU): {' && '.join(commands)}"
        )
    else:
        steps.append(f"features: put a region store or a file in the HDF5 layout of SC-EGG into {folder}")
    numbered = "; ".join(f"({number}) {one}" for number, one in enumerate(steps, 1))
    return f"Get them: {numbered}" if len(steps) > 1 else f"Get the {steps[0]}"
