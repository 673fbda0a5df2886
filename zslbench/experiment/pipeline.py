"""Method × data set × seed → result: fitting and evaluating under each selection.

Nothing here reads files of the store or knows the command line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zslbench.errors import DataError, PluginError
from zslbench.evaluation.evaluator import Evaluation
from zslbench.evaluation.folds import Fold, final_fold, validation_fold
from zslbench.evaluation.metrics import criterion, headline_metrics
from zslbench.evaluation.oracle import Best, Oracle
from zslbench.evaluation.selection import Selection, uses_test_images
from zslbench.evaluation.splits import WITHOUT, validation_split
from zslbench.experiment.datasets import preset_mismatches
from zslbench.experiment.fitting import Fitted, Fitter, embedding_inputs
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.declarations import Kind
from zslbench.training.loop import Training

log = logging.getLogger("zslbench")


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    evaluation: Evaluation
    """Scores on the test images (under ``oracle``, Acc and H may come from different models)."""
    metrics: dict[str, float | int | str | None]
    """Fractions: acc, u, s, h, ausuc, and with a validation model u_cal, s_cal, h_cal and its offset."""
    epochs: tuple[dict[str, Any], ...]
    """Per-epoch rows of every stage, validation included."""
    candidates: tuple[dict[str, Any], ...] = ()
    """One row per combination of searched hyper-parameters, with its best figures."""
    networks: Mapping[str, Any] = field(default_factory=dict)
    """Networks of the final fit by kind; empty under ``oracle``, whose figures are of several models."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The hyper-parameters chosen."""
    validation_networks: Mapping[str, Any] = field(default_factory=dict)
    """Networks of the chosen candidate on the validation fold, at the end of its schedule."""


def evaluable(recipe: Recipe, dataset: Dataset, validates: bool) -> Recipe:
    """The recipe with the tasks that the data set has test images for.

    Raises:
        DataError: it has none; or the recipe is to be validated, and images for that are missing.
    """
    tasks = tuple(one for one in recipe.tasks if one == "czsl" or len(dataset.split.test_seen))
    if not tasks:
        fault = f"there are no test_seen images, and method '{recipe.method}' does GZSL only"
        raise DataError(dataset.name, [fault])
    if validates and not len(validation_split(dataset).test_seen_rows) and "gzsl" in tasks:
        fault = (
            "validation needs a seen class with two training images, beside the validation classes: one is "
            "held out to measure S and H"
        )
        raise DataError(dataset.name, [fault], WITHOUT)
    return replace(recipe, tasks=tasks)


OnEvaluation = Callable[[int | None, Mapping[str, float]], None]
"""Called with an epoch (None: closed form) and the figures on the validation fold after it."""


def validate(
    recipe: Recipe,
    fold: Fold,
    selection: Selection,
    training: Training,
    on_evaluation: OnEvaluation = lambda epoch, figures: None,
) -> list[dict[str, Any]]:
    """Fit a recipe on a validation fold and evaluate it there along its schedule, as ``val`` does.

    Its hyper-parameters are not searched. With the same seed, the figures are those of a run under ``val``:
    one row per evaluation, including that at the end, with ``epoch``, ``val_h``, ... (fractions).

    Args:
        on_evaluation: called after each evaluation, except those restored from a checkpoint.
    """
    return _points(recipe, fold, selection, training.child("validation"), on_evaluation)[1]


_BEFORE: Mapping[Kind | None, Collection[str]] = {
    "generator": (),
    "embedding": ("generator",),
    "classifier": ("generator", "embedding"),
    None: ("generator", "embedding", "gzsl", "czsl"),
}
"""By the kind of component that is paced: parts that would be in its place, had they a schedule."""


def run(recipe: Recipe, dataset: Dataset, selection: Selection, training: Training) -> Outcome:
    """Run a recipe on a data set with one seed (the seed is in ``training.streams``).

    Raises:
        DataError: the data set lacks images that the method's tasks or its selection need.
    """
    outcome = _run(recipe, dataset, selection, training)
    unpaced = _BEFORE[recipe.paced]
    names = [row["stage"].partition("/")[2] for row in outcome.epochs]
    if stages := dict.fromkeys(name for name in names if name.partition("/")[0] in unpaced):
        log.warning(
            "%s: its training (%s) has no schedule (no setting of type Epochs): epochs are not selected%s",
            recipe.label,
            ", ".join(stages),
            f", only {recipe.schedule}" if recipe.schedule else "",
        )
    return outcome


def _run(recipe: Recipe, dataset: Dataset, selection: Selection, training: Training) -> Outcome:
    recipe = evaluable(recipe, dataset, selection.mode == "val")
    for text in preset_mismatches(recipe, dataset):
        log.warning(text)
    device, inputs = training.streams.device, embedding_inputs(recipe)
    final = training.shared(("final fold", id(dataset), inputs), lambda: final_fold(dataset, device, inputs))
    if uses_test_images(selection.mode):
        return _oracle(recipe, final, selection, training)
    if selection.mode == "last":
        return _final(recipe, final, training)
    fold = training.shared(
        ("validation fold", id(dataset), inputs), lambda: validation_fold(dataset, device, inputs)
    )
    name = f"val_{criterion(recipe.tasks).key}"
    rows: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    networks: Mapping[str, Any] = {}
    for number, overlay, candidate, part in _candidates(recipe, training, "validation"):
        fitted, points = _points(candidate, fold, selection, part)
        # Of equally good points the first candidate and the shortest schedule win.
        top = max(points, key=lambda row: (row[name], -(row["epoch"] or 0)))
        rows.extend({**row, "candidate": number} for row in fitted.epochs)
        shown = {key: value for key, value in top.items() if key == "epoch" or key.startswith("val_")}
        table.append({"candidate": number, **overlay, **shown})
        if not best or top[name] > best[name]:
            best, settings, networks = top, overlay, fitted.networks
    chosen = recipe.with_settings(settings)
    found = _final(replace(chosen, until=best["epoch"]), final, training)
    metrics = found.metrics | {name: best[name]}
    offset = best.get("val_offset")
    if offset is not None and found.evaluation.gzsl is not None:
        metrics |= found.evaluation.calibrated(offset).figures(calibrated=True)
        metrics["offset"] = offset
    return replace(
        found,
        metrics=metrics,
        epochs=(*rows, *found.epochs),
        candidates=tuple(table),
        settings=settings,
        validation_networks=networks,
    )


def _final(recipe: Recipe, fold: Fold, training: Training) -> Outcome:
    """Fit on trainval for the recipe's schedule and evaluate once on the test images."""
    fitted = Fitter(recipe, fold, training.child("final"), recipe.tasks).fit()
    metrics: dict[str, float | int | str | None] = {**fitted.evaluation.figures(), "epochs": recipe.last}
    return Outcome(fitted.evaluation, metrics, fitted.epochs, networks=fitted.networks)


def _candidates(
    recipe: Recipe, training: Training, fold: str
) -> Iterator[tuple[int, dict[str, Any], Recipe, Training]]:
    """Number, searched settings, recipe and training context of each candidate, all with the same noise."""
    candidates = list(recipe.candidates())
    for number, (overlay, candidate) in enumerate(candidates):
        name = f"{fold}-{number}" if len(candidates) > 1 else fold
        yield number, overlay, candidate, training.child(name, stream=fold)


def _points(
    recipe: Recipe,
    fold: Fold,
    selection: Selection,
    training: Training,
    on_evaluation: OnEvaluation = lambda epoch, figures: None,
) -> tuple[Fitted, list[dict[str, Any]]]:
    """Fit on the validation fold; also the rows of the epochs after which it was evaluated."""

    def assess(epoch: int, evaluation: Evaluation) -> dict[str, float]:
        figures = _validation_figures(evaluation)
        on_evaluation(epoch, figures)
        return figures

    evaluates = selection.along(recipe.epochs or 0, recipe.until)
    task = criterion(recipe.tasks).group.lower()
    fitted = Fitter(recipe, fold, training, (task,)).fit(evaluates=evaluates, assess=assess)
    last = _validation_figures(fitted.evaluation)
    on_evaluation(recipe.last, last)
    _require_evaluations(fitted, last, evaluates)
    _complete_last_row(fitted, recipe, last)
    rows = [row for row in fitted.epochs if last.keys() & row.keys()]
    return fitted, rows or [{"epoch": None, **last}]


def _require_evaluations(
    fitted: Fitted, figures: Mapping[str, float], evaluates: Callable[[int], bool]
) -> None:
    """Check that the rows to select from are evaluations, and no figures that a step logs."""
    rows = [row for row in fitted.epochs if figures.keys() & row.keys()]
    named = [row["stage"] for row in rows if not evaluates(row["epoch"]) or row["stage"] != rows[-1]["stage"]]
    if named:
        raise PluginError(
            f"stage '{named[0]}' logs a figure under a name that the evaluator uses ({', '.join(figures)}); "
            "rename its step"
        )


def _validation_figures(evaluation: Evaluation) -> dict[str, float]:
    """What a validation evaluation adds to its epoch's row: the criterion and related figures."""
    metric = criterion(() if evaluation.gzsl is None else ("gzsl",))
    others = [one for one in headline_metrics() if one.group == metric.group and one != metric]
    figures = {f"val_{one.key}": one.measure(evaluation) for one in (metric, *others)}
    if evaluation.gzsl is not None:
        figures["val_offset"] = evaluation.best_offset() or 0.0
    return figures


def _oracle(recipe: Recipe, fold: Fold, selection: Selection, training: Training) -> Outcome:
    """Choose on test images what ``val`` chooses on validation images, and the classifiers' epoch too."""
    judge = Oracle(training.folder, training.require_sound_data)
    rows: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    for number, overlay, candidate, part in _candidates(recipe, training, "final"):
        judge.candidate = number
        fitted = Fitter(candidate, fold, part, candidate.tasks).fit(
            evaluates=selection.along(candidate.epochs or 0, candidate.until),
            assess=judge.assess,
            each=judge.each,
            draws_anew=selection.draws_anew,
        )
        last = judge.assess(candidate.last or 0, fitted.evaluation)
        _complete_last_row(fitted, candidate, last)
        rows.extend({**row, "candidate": number} for row in fitted.epochs)
        table.append({"candidate": number, **overlay, **last})
    gzsl, czsl = judge.best.get("gzsl"), judge.best.get("czsl")
    parts = [one for one in (gzsl, czsl) if one is not None]
    evaluation = replace(
        parts[0].evaluation,
        gzsl=gzsl.evaluation.gzsl if gzsl else None,
        czsl=czsl.evaluation.czsl if czsl else None,
        scores={
            k: v for one, best in judge.best.items() for k, v in best.evaluation.scores.items() if k == one
        },
    )
    metrics: dict[str, float | int | str | None] = dict(evaluation.figures())
    for task, best in (("gzsl", gzsl), ("czsl", czsl)):
        if best is not None:
            name = criterion((task,)).key
            metrics[f"{name}_candidate"] = best.candidate
            metrics[f"{name}_epoch"] = best.epoch or None
            metrics[f"{name}_classifier_epoch"] = best.classifier_epoch
    if gzsl and czsl and (gzsl.candidate, gzsl.epoch) != (czsl.candidate, czsl.epoch):
        log.warning("oracle: two models: Acc is from %s; U, S and H are from %s", _where(czsl), _where(gzsl))
    overlays = [overlay for overlay, _ in recipe.candidates()]
    chosen = overlays[parts[0].candidate] if parts else {}
    return Outcome(evaluation, metrics, tuple(rows), tuple(table), {}, chosen)


def _where(best: Best) -> str:
    words = [f"epoch {best.epoch}" if best.epoch else "the closed-form fit"]
    if best.classifier_epoch:
        words.append(f"classifier epoch {best.classifier_epoch}")
    if best.candidate:
        words.append(f"candidate {best.candidate}")
    return ", ".join(words)


def _complete_last_row(fitted: Fitted, recipe: Recipe, figures: Mapping[str, float]) -> None:
    """Add figures of the end of the schedule, which are measured after training, to its last row."""
    parts = ("gzsl", "czsl") if recipe.paced == "classifier" else (recipe.paced,)
    evaluated = [row["stage"] for row in fitted.epochs if figures.keys() & row.keys()]
    named = [row["stage"] for part in parts for row in fitted.epochs[::-1] if f"/{part}" in row["stage"]]
    stage = next(iter(evaluated or named), None)
    for row in reversed(fitted.epochs):
        if row["epoch"] == recipe.last and row["stage"] == stage:
            row.update(figures)
            return
