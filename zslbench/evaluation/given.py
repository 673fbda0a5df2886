"""Evaluates scores that were computed earlier, with the same evaluator as runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from zslbench.errors import PluginError
from zslbench.evaluation.evaluator import Evaluation, evaluate
from zslbench.evaluation.folds import final_fold
from zslbench.plugin.dataset import Dataset


def evaluate_scores(dataset: Dataset, scores: Mapping[str, Float[np.ndarray, "_ _"]]) -> Evaluation:
    """Evaluate scores of a data set's test images, as for a run that returns these scores.

    Args:
        scores: by task. ``gzsl`` (n, classes): over the seen classes and the candidates, ascending; for the
            test_seen images and then the test_unseen ones, in the order of the split. ``czsl`` (m, unseen):
            over the candidates, for the test_unseen images.

    Raises:
        PluginError: there are no scores, or they are NaN or do not fit the data set.
    """
    fold = final_fold(dataset, torch.device("cpu"))
    seen, unseen = len(fold.test_seen.labels), len(fold.test_unseen.labels)
    found: dict[str, Evaluation] = {}
    for task, whole in scores.items():
        start = seen if task == "gzsl" else 0  # f_czsl scores images of unseen classes only
        if len(whole) != start + unseen:
            raise PluginError(f"{task}: scores of {len(whole)} images instead of {start + unseen}")
        rows = torch.from_numpy(whole)
        # The evaluator embeds nothing: it is given scores in place of images.
        sides = replace(
            fold,
            test_seen=replace(fold.test_seen, features=rows[:start]),
            test_unseen=replace(fold.test_unseen, features=rows[start:]),
        )
        found[task] = evaluate(sides, {task: lambda rows: rows}, (task,), keep=True)
    if not found:
        raise PluginError("the run has no scores")
    parts = {"gzsl": None, "czsl": None} | {task: getattr(one, task) for task, one in found.items()}
    kept = {task: one.scores[task] for task, one in found.items()}
    return replace(next(iter(found.values())), **parts, scores=kept)
