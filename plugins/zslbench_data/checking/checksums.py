"""Checks of bytes: files against ``sources.json``, pictures against ``images.sha256`` and one another."""

from __future__ import annotations

from pathlib import Path

from zslbench.data import IMAGES
from zslbench.store import sha256_of
from zslbench_data.checking.features import check_repeated
from zslbench_data.checking.findings import Findings, few
from zslbench_data.checking.subject import Subject
from zslbench_data.download.get import LISTING, SOURCES, read_sources


def check_sources(folder: Path, findings: Findings) -> None:
    """Files that were downloaded or imported: are they still what they were?"""
    with findings.guard(SOURCES):
        records = {name: one for name, one in read_sources(folder)["files"].items() if "sha256" in one}
        right = 0
        for name, record in records.items():
            path = folder / name
            if not path.is_file():
                findings.error(f"is on record in {SOURCES} and not there", name)
                continue
            with findings.guard(name):
                if sha256_of(path) == record["sha256"]:
                    right += 1
                else:
                    findings.error(f"its bytes are not those on record in {SOURCES}", name)
        if right:
            findings.ok("files have the bytes on record", SOURCES, right)


def check_pictures(subject: Subject, findings: Findings) -> None:
    """Pictures at hand: all there, none empty, none in several parts, and as listed."""
    folder = subject.folder
    if not (folder / IMAGES).is_dir():
        return
    listed: dict[str, str] = {}
    with findings.guard(LISTING):
        if (folder / LISTING).is_file():
            lines = (folder / LISTING).read_text("utf-8", "surrogateescape").splitlines()
            listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    with findings.guard(IMAGES):
        from zslbench_data.extraction.images import list_images

        found = list_images(folder)
        digests, empty, changed = [], [], []
        for path in found.paths:
            digest = sha256_of(path)
            digests.append(bytes.fromhex(digest))
            name = f"{IMAGES}/{path.relative_to(folder / IMAGES).as_posix()}"
            if path.stat().st_size == 0:
                empty.append(name)
            if listed.get(name, digest) != digest:
                changed.append(name)
        if empty:
            findings.error(f"pictures are empty files ({few(empty)})", IMAGES, len(empty))
        if changed:
            findings.error(
                f"pictures are not those on record in {LISTING} ({few(changed)})", IMAGES, len(changed)
            )
        if len(digests) == len(subject.part_of()):
            nothing = [row for row, path in enumerate(found.paths) if path.stat().st_size == 0]
            check_repeated(subject, digests, nothing, "pictures", IMAGES, findings)
        findings.ok("pictures of the data set are there", IMAGES, len(found.paths))
