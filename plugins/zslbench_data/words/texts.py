"""Class semantics from texts: prompts with class names, and descriptions of classes.

A class's vector is the mean of its texts' vectors, each of unit length, scaled to unit length (prompt
ensembling of Radford et al., ICML 2021, section 3.1.4).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zslbench.data import (
    SPLITS_FILE,
    Findings,
    FolderContents,
    class_words,
    few,
    label_files,
    named_semantics,
    read_table,
    rows_of_classes,
    semantics_name,
    write_semantics,
)
from zslbench.errors import DataError, SettingsError
from zslbench.store import sha256_of
from zslbench.training import unit
from zslbench_extractors.language import TextEncoder

PROMPT = "a photo of a {}."
"""The prompt of CLIP's authors (Radford et al., section 3.1.4)."""
_UNNAMED = re.compile(r"class_\d+")


def write_text_semantics(
    folder: Path,
    name: str,
    encoder: TextEncoder,
    prompts: Sequence[str] = (),
    descriptions: Path | None = None,
    *,
    force: bool = False,
) -> tuple[str, list[str]]:
    """Encode the texts of each class and write named class semantics of the data set in ``folder``.

    Args:
        name: of the semantics.
        prompts: texts with ``{}`` for the class's name; none, and no descriptions: ``PROMPT``.
        descriptions: CSV file with columns ``class`` and ``text``, any number of rows per class.
        force: replace existing semantics of this name.

    Returns:
        A few words about what was written, and notes for the user.

    Raises:
        SettingsError: the name is taken, or a prompt lacks ``{}``.
        DataError: classes have no names, no texts or equal texts, or a file cannot be used.
    """
    if semantics_name(name) in named_semantics(folder) and not force:
        raise SettingsError(f"--name {name}: {folder.name} already has it; pass --force to replace it")
    if not prompts and descriptions is None:
        prompts = (PROMPT,)
    if wrong := [one for one in prompts if one.count("{}") != 1]:
        raise SettingsError(f"--prompt {wrong[0]!r}: write {{}} once, where the class's name belongs")
    names = _class_names(folder)
    if prompts and all(map(_UNNAMED.fullmatch, names)):
        raise DataError(folder, ["its classes have no names"], "Describe them with --descriptions")
    texts = [[one.replace("{}", class_words(name)) for one in prompts] for name in names]
    if descriptions is not None:
        for own, more in zip(texts, _described(descriptions, names), strict=True):
            own += more
    owners: dict[tuple[str, ...], list[str]] = {}
    for name_, own in zip(names, texts, strict=True):
        owners.setdefault(tuple(sorted(own)), []).append(name_)
    if same := [" = ".join(group) for group in owners.values() if len(group) > 1]:
        raise DataError(
            folder, [f"classes have equal texts ({few(same)})"], "Tell them apart in --descriptions"
        )
    flat = [text for own in texts for text in own]
    encoded = torch.split(encoder.encode(flat).cpu(), list(map(len, texts)))
    values = unit(torch.stack([unit(one).mean(dim=0) for one in encoded])).numpy()
    cut = encoder.too_long(flat)
    made: dict[str, Any] = {"kind": "text embeddings", **encoder.about, "prompts": list(prompts)}
    if descriptions is not None:
        made["descriptions"] = {"file": descriptions.name, "sha256": sha256_of(descriptions)}
    made["cut_off"] = len(cut)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = write_semantics(folder, name, values, names, made, date)
    notes = [f"{len(cut)} of {len(flat)} texts have more than {encoder.longest} tokens and were cut off"]
    return f"{values.shape[0]} x {values.shape[1]}, {len(flat)} texts, in {path}", notes if cut else []


def _class_names(folder: Path) -> tuple[str, ...]:
    """By class id, as runs read them."""
    findings = Findings()
    images = next(label_files(folder, findings, names=False), None)
    names = FolderContents(folder, images, findings=findings).class_names
    findings.raise_errors(folder)
    if not names:
        raise DataError(
            folder, [f"its classes are unknown: {SPLITS_FILE} has no names, and no file has labels"]
        )
    return names


def _described(path: Path, class_names: Sequence[str]) -> list[list[str]]:
    """The texts of each class in a CSV file."""
    findings = Findings()
    table = read_table(path, findings)
    if table is not None and not {"class", "text"} <= set(table.columns):
        findings.error(f"no columns 'class' and 'text' (columns: {', '.join(table.columns)})", path.name)
    if table is None or findings.errors:
        raise findings.failure(path.parent)
    if empty := int(table["text"].eq("").sum()):
        raise DataError(path, [f"{empty} rows have no text"])
    of = table.groupby("class", sort=False)["text"].apply(list)
    rows = rows_of_classes(path, of.index.tolist(), class_names)
    return [of.iloc[row] for row in rows]
