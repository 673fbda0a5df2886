"""What to type to get what is missing, with sizes and times."""

from __future__ import annotations

from zslbench.data.download.catalogue import Entry, catalogue
from zslbench.data.download.display import human
from zslbench.data.roots import HOW_TO_CHOOSE

_RATE = 10_000_000
"""Bytes per second of the connection that times are told for."""

_REGIONS, _CHANNELS = 14 * 14, 2048


def how_to_get(name: str) -> str:
    """How to get a data set of the catalogue: the command, its archives, their sizes and the time."""
    entry = catalogue().entry(name)
    return f"zslbench data get {entry.name} gets it ({_archives(entry, 'splits', 'names')}); {HOW_TO_CHOOSE}"


def how_to_get_regions(name: str) -> str:
    """How to get region features and word vectors of a data set of the catalogue, step by step."""
    entry = catalogue().entry(name)
    steps = [f"zslbench data get {entry.name} ({_archives(entry, 'splits', 'names')})"]
    if entry.part("names"):
        vectors = human(catalogue().archives["glove-6b"].size)
        steps.append(f"zslbench data get vectors --dataset {entry.name} (glove.6B.zip, {vectors})")
    if entry.part("images"):
        steps.append(f"zslbench data get {entry.name} --images ({_archives(entry, 'images')})")
        steps.append(
            f"zslbench data extract {entry.name} --backbone resnet101 "
            f"(writes {human(region_bytes(entry))} in float16)"
        )
        return "; then ".join(steps)
    return f"{'; then '.join(steps)}; pictures: {entry.by_hand.get('images', 'none')}".replace(
        "{folder}", f"<data root>/{entry.folder}/images"
    )


def region_bytes(entry: Entry, width: int = 2) -> int:
    """Bytes of 14 x 14 regions of 2048 channels for every image, each number of ``width`` bytes."""
    return entry.counts["images"] * _REGIONS * _CHANNELS * width


def _archives(entry: Entry, *whats: str) -> str:
    """``"xlsa17.zip, 920 MB: 2 minutes at 10 MB/s"``."""
    parts = [one for one in map(entry.part, whats) if one is not None]
    archives = [catalogue().archives[key] for key in dict.fromkeys(one.archive for one in parts)]
    files = ", ".join(f"{one.file}, {human(one.size)}" for one in archives)
    seconds = sum(one.size or 0 for one in archives) / _RATE
    return f"{files}: {minutes(seconds)} at {human(_RATE)}/s"


def minutes(seconds: float) -> str:
    """A time for people: ``"under a minute"``, ``"12 minutes"``."""
    if seconds < 60:
        return "under a minute"
    count = round(seconds / 60)
    return f"{count} minute{'s' if count > 1 else ''}"
