"""``zslbench.evaluate(...)``: figures of scores made elsewhere, stored as runs marked ``external``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from zslbench.data import (
    Findings,
    data_root as choose_root,
    find_dataset,
    find_folder,
    label_files,
    read_without_features,
)
from zslbench.errors import SettingsError
from zslbench.evaluation import with_candidates
from zslbench.experiment import DataFiles, Notify, Part, load_dataset, seed_numbers
from zslbench.plugin import Dataset, registry, settings_model
from zslbench.store import Store, sha256_of
from zslbench_external.alignment import Aligned, Target
from zslbench_external.runs import External, keep
from zslbench_external.submitted import SubmittedScores, from_arrays, read_submitted

if TYPE_CHECKING:
    from zslbench import Result

Scores: TypeAlias = str | Path | np.ndarray | Mapping[str, Any]
"""A file, scores (images, classes), or arrays under the names that ``.npz`` files have."""

TASKS = ("gzsl", "czsl")
UNKNOWN = "unknown"


def evaluate(
    scores: Scores | Sequence[Scores],
    *,
    dataset: str,
    name: str,
    czsl: Scores | Sequence[Scores] | None = None,
    task: str | None = None,
    seeds: int | Sequence[int] | None = None,
    source: str | None = None,
    features: str = UNKNOWN,
    semantics: str = UNKNOWN,
    candidates: str | Path | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    notify: Notify = lambda text: None,
) -> Result:
    """Evaluate scores or predicted classes that were made elsewhere, with the one evaluator.

    The runs in the store are marked ``external`` and never ranked, because it is unknown how their epochs and
    settings were chosen. The same scores under the same name give the same run.

    Args:
        scores: for GZSL or CZSL; of one seed, or a list with one entry per seed. Formats and names are those
            of :mod:`zslbench_external.submitted`. CZSL without scores of its own takes those of GZSL.
        name: the name of the method, for tables.
        czsl: scores of a separate CZSL classifier, one entry for each of ``scores``.
        task: ``gzsl`` or ``czsl``; None: every task that has scores.
        seeds: one number for each of ``scores``; None: 0 to n-1.
        source: where the scores come from, shown with the run.
        features, semantics: the names of what the method uses, for tables; not checked.
        candidates, data_root, store: as for :func:`zslbench.run`.
        notify: called with each line that the user should read.

    Raises:
        MissingData: a file or the data set is missing.
        DataError: the scores do not fit the data set.
        SettingsError: wrong arguments, or the store has other scores of this name and seed.
    """
    files = _listed(scores)
    separate = _listed(czsl) if czsl is not None else [None] * len(files)
    if not files or len(separate) != len(files):
        raise SettingsError(f"{len(files)} sets of scores, but {len(separate)} for CZSL: give one for each")
    numbers = seed_numbers(len(files) if seeds is None else [seeds] if isinstance(seeds, int) else seeds)
    if len(numbers) != len(files):
        raise SettingsError(f"{len(files)} sets of scores, but {len(numbers)} seeds: give one for each")
    if task not in (None, *TASKS):
        raise SettingsError(f"no task '{task}'; choose gzsl or czsl")
    texts = {"name": name, "source": source or "-", "features": features, "semantics": semantics}
    for option, text in texts.items():
        if not text.strip() or not text.isprintable() or len(text) > 200:
            raise SettingsError(f"--{option} {text[:80]!r}: give at most 200 characters of text on one line")
    part, loaded = _load(dataset, data_root, candidates)
    target, found = Target(loaded), []
    for given, own in zip(files, separate, strict=True):
        digests: dict[str, str] = {}
        aligned = _aligned(target, given, own, task, digests)
        for text in dict.fromkeys(aligned.notes):
            notify(text)
        found.append((aligned, digests))
    what = External(name.strip(), source, features, semantics)
    return keep(what, part, loaded, dict(zip(numbers, found, strict=True)), Store.default(store), notify)


def _listed(scores: Scores | Sequence[Scores]) -> list[Scores]:
    alone = isinstance(scores, str | Path | np.ndarray | Mapping)
    return [scores] if alone else list(scores)  # type: ignore[list-item, arg-type]


def _load(name: str, root: str | Path | None, candidates: str | Path | None) -> tuple[Part, Dataset]:
    """The data set; one in a folder is read without its features, which nothing here needs."""
    registered = find_dataset(registry(), name, root=root)
    part = Part(registered, settings_model(registered)())
    declared, dataset = registered.declaration.folder, None
    folder = find_folder(choose_root(root), declared) if declared else None
    if folder is not None:
        labels = next(label_files(folder, Findings(), unreadable="warning"), None)
        dataset = read_without_features(folder, labels)
    chosen = None if candidates is None else str(candidates)
    if dataset is None:
        return part, load_dataset(part, DataFiles(candidates=chosen), root=root)
    return part, with_candidates(dataset, chosen)


def _aligned(
    target: Target, given: Scores, own: Scores | None, task: str | None, digests: dict[str, str]
) -> Aligned:
    """The scores of the requested tasks; adds the sha256 of each file to ``digests``, by name."""
    main = target.align(_submitted(given, digests), restrict=own is None and task != "gzsl")
    if own is not None:
        separate = target.align(_submitted(own, digests), restrict=False)
        if "czsl" in main.scores or set(separate.scores) != {"czsl"}:
            raise SettingsError(
                "with separate scores for CZSL, these must be for CZSL only and the others for GZSL only"
            )
        main = Aligned(
            {**main.scores, **separate.scores},
            main.labels_only | separate.labels_only,
            (*main.notes, *separate.notes),
        )
    if task is not None and task not in main.scores:
        raise SettingsError(f"--task {task}: there are only scores for {', '.join(main.scores)}")
    scores = {one: main.scores[one] for one in TASKS if one in main.scores and task in (None, one)}
    return Aligned(scores, main.labels_only & scores.keys(), main.notes)


def _submitted(given: Scores, digests: dict[str, str]) -> SubmittedScores:
    if isinstance(given, str | Path):
        submitted = read_submitted(Path(given))
        digests[Path(given).name] = sha256_of(Path(given).expanduser())
        return submitted
    return from_arrays(given if isinstance(given, Mapping) else {"scores": given}, "scores")
