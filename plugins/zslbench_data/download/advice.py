"""What to type to get what is missing, with sizes and times."""

from __future__ import annotations

from zslbench.data import HOW_TO_CHOOSE
from zslbench_data.download.catalogue import Entry, catalogue
from zslbench_data.download.display import human

_RATE = 10_000_000
"""Bytes per second of the connection that times are told for."""

_REGIONS, _CHANNELS = 14 * 14, 2048


def how_to_get(name: str) -> str:
    """How to get a data set of the catalogue: the command, its archives, their sizes and the time."""
    entry = catalogue().entry(name)
    parts = ["splits", *(["names"] if entry.part("names") else [])]
    return f"zslbench data get {entry.name} gets it ({_archives(entry, *parts)}); {HOW_TO_CHOOSE}"


def step(entry: Entry, what: str) -> str:
    """The command that gets one part of a data set, or what to do by hand."""
    if entry.part(what) is None:
        advice = entry.by_hand.get(what, "there are none")
        return f"{what}: {advice.format(folder=f'<data root>/{entry.folder}/images')}"
    option = "--images" if what == "images" else f"--what {what}"
    return f"zslbench data get {entry.name} {option} ({_archives(entry, what)})"


def vectors_step(name: str) -> str:
    """The command that makes word vectors of a data set's attributes."""
    archive = catalogue().archives[catalogue().vectors["glove"].archive]
    return f"zslbench data get vectors --dataset {name} ({archive.file}, {human(archive.size)})"


def extract_step(entry: Entry) -> str:
    """The command that makes region features of a data set's pictures."""
    size = human(region_bytes(entry))
    told = f"writes {size} in float16; under an hour on a GPU"
    return f"zslbench data extract {entry.name} --backbone resnet101 ({told})"


def region_bytes(entry: Entry, width: int = 2) -> int:
    """Bytes of 14 x 14 regions of 2048 channels for every image, each number of ``width`` bytes."""
    return entry.counts["images"] * _REGIONS * _CHANNELS * width


def _archives(entry: Entry, *names: str) -> str:
    """``"xlsa17.zip, 920 MB: 2 minutes at 10 MB/s"``."""
    parts = [one for one in map(entry.part, names) if one is not None]
    archives = [catalogue().archives[key] for key in dict.fromkeys(one.archive for one in parts)]
    files = ", ".join(f"{one.file}, {human(one.size)}" for one in archives)
    if any(one.size is None for one in archives):
        return files
    seconds = sum(one.size or 0 for one in archives) / _RATE
    return f"{files}: {_minutes(seconds)} at {human(_RATE)}/s"


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return "under a minute"
    count = round(seconds / 60)
    return f"{count} minute{'s' if count > 1 else ''}"
