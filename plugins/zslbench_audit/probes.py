"""The probes of an audit: each changes what a method must not see or depend on, and compares runs.

A probe is a function that returns what it compared, and raises :class:`Leak` if its claim is broken
(:data:`zslbench_audit.audit.PROBES`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zslbench.data import few
from zslbench.evaluation import METRICS, Evaluation, criteria
from zslbench.experiment import Outcome
from zslbench.training import flatten
from zslbench_audit.altered import copied, test_rows, with_fewer_rows, with_noise, with_other_labels
from zslbench_audit.process import Leak
from zslbench_audit.runs import GLOBAL_SEED, SEED, ProbeRuns
from zslbench_audit.sharing import tensor_sha256

Artefacts = dict[str, Any]
"""What training and selection gave, comparable bit for bit, by a readable name such as
``"final generator/critic/out.bias"`` or ``"chosen epochs"``."""

_TOLERANCE = 1e-4
"""Relative to the largest score: a matrix product of another size rounds differently."""

_CHOSEN = (
    "epochs",
    "offset",
    *(f"{one.key}_{what}" for one in criteria() for what in ("epoch", "candidate", "classifier_epoch")),
)


def figures(runs: ProbeRuns) -> str:
    """Compares the figures that the runs report with those of their scores, computed in this process."""
    for outcome in (runs.run(), runs.run(with_other_labels)):
        offset = outcome.metrics.get("offset")
        found = outcome.evaluation.figures()
        if isinstance(offset, float):
            found |= outcome.evaluation.calibrated(offset).figures(calibrated=True)
        wrong = [
            f"{METRICS[key].name} {_percent(outcome.metrics.get(key))} (it is {_percent(figure)})"
            for key, figure in found.items()
            if not np.isclose(_number(outcome.metrics.get(key)), figure, rtol=0, atol=1e-9, equal_nan=True)
        ]
        if wrong:
            raise Leak(
                f"the run reports {', '.join(wrong)}; the figures in brackets were computed from the same "
                "scores in a process without the plugin, so evaluation code was replaced"
            )
    return f"All {len(found)} figures of two runs are the same in a process without the plugin."


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _percent(value: Any) -> str:
    return f"{100 * _number(value):.1f}"


def images(runs: ProbeRuns) -> str:
    """Replaces the test images by noise."""
    honest, noise = runs.run(), runs.run(with_noise)
    count = len(test_rows(runs.dataset))
    _require_same_fit(honest, noise, f"with the {count} test images replaced by noise")
    if same_scores(honest, noise):
        if all((scores == scores[:1]).all() for scores in honest.evaluation.scores.values()):
            raise Leak(
                f"all {count} test images have the same scores, whatever they show: the networks learnt "
                "nothing or diverged, so nothing can be said; audit with more --epochs or other settings"
            )
        raise Leak(
            f"the scores of the {count} test images did not change when the images became noise: they come "
            "from stored data, not from the images"
        )
    return (
        f"With the {count} test images replaced by noise, {unchanged(honest)} stayed the same to the last "
        "bit, and only the scores of the test images changed."
    )


def labels(runs: ProbeRuns) -> str:
    """Gives the test images other false classes, on which the figures must be at chance."""
    honest, other = runs.run(), runs.run(with_other_labels)
    count = len(test_rows(runs.dataset))
    _require_same_fit(honest, other, f"with other labels for the {count} test images")
    if not same_scores(honest, other):
        raise Leak(f"the scores of the {count} test images changed with their labels")
    key = "u" if honest.evaluation.czsl is None else "acc"
    chance = 100 / len(honest.evaluation.unseen)
    for name, predicted, classes in _predictions(other.evaluation):
        for figure in (getattr(other.evaluation, name), _number(other.metrics.get(name))):
            if beats_chance(figure, predicted, classes):
                raise Leak(
                    f"{METRICS[name].name} is {100 * figure:.1f} on random classes, better than on each of "
                    f"{PERMUTATIONS} permutations of them (chance: {100 / len(np.unique(classes)):.1f})"
                )
    return (
        f"With random classes of uneven size for the {count} test images, {unchanged(honest)} and all scores "
        f"stayed bit-identical. {METRICS[key].name} against these classes is "
        f"{100 * getattr(other.evaluation, key):.1f}, no more than chance (at most {chance:.1f} on average); "
        f"against the true ones, which the process with the plugins never has, it is "
        f"{100 * getattr(runs.against_truth(honest), key):.1f}."
    )


PERMUTATIONS = 100_000


def _predictions(evaluation: Evaluation) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For each accuracy: its key, the predicted and the given class of its images."""
    unseen = evaluation.is_unseen
    if evaluation.czsl is not None:
        yield "acc", evaluation.czsl.label, evaluation.labels[unseen]
    if evaluation.gzsl is not None:
        predicted = evaluation.gzsl.all.label
        yield "u", predicted[unseen], evaluation.labels[unseen]
        yield "s", predicted[~unseen], evaluation.labels[~unseen]


def beats_chance(figure: float, predicted: np.ndarray, classes: np.ndarray) -> bool:
    """Whether a mean per-class accuracy is higher than on every one of many random permutations of the
    classes.

    If predictions do not depend on the classes, all permutations of these among the images are equally
    likely, so this happens with a probability below 1 / ``PERMUTATIONS``, whatever the predictions are: the
    exact one-sided permutation test.
    """
    if not figure > 0:
        return False
    sizes = np.bincount(classes)
    weight = np.divide(1.0, sizes * np.count_nonzero(sizes), where=sizes > 0, out=np.zeros(len(sizes)))
    random = np.random.default_rng(0)
    for _ in range(PERMUTATIONS // 1000):  # one as good settles it, usually in the first thousand
        permuted = random.permuted(np.tile(classes, (1000, 1)), axis=1)
        accuracy = np.where(permuted == predicted, weight[permuted], 0.0).sum(axis=1)
        if (accuracy >= figure - 1e-9).any():
            return False
    return True


def rows(runs: ProbeRuns) -> str:
    """Removes half of the test images and reorders the others."""
    honest, fewer = runs.run(), runs.run(with_fewer_rows)
    _require_same_fit(honest, fewer, "with half of the test images")
    for task in ("gzsl", "czsl"):
        changed = _changed_scores(honest.evaluation, fewer.evaluation, task)
        if changed.any():
            raise Leak(
                f"{np.count_nonzero(changed)} of {len(changed)} images changed {task.upper()} scores when "
                "half of the test images were removed: scores depend on other test images"
            )
    remaining, count = len(fewer.evaluation.rows), len(honest.evaluation.rows)
    return (
        f"With {remaining} of the {count} test images, reordered, {unchanged(honest)} stayed the same to the "
        "last bit, and each image had the same scores (up to rounding)."
    )


def _changed_scores(honest: Evaluation, fewer: Evaluation, task: str) -> np.ndarray:
    """Which of the remaining images got other scores."""
    whole, part = honest.scores.get(task), fewer.scores.get(task)
    if whole is None or part is None:
        return np.zeros(0, dtype=bool)
    of_whole, of_part = ((e.rows if task == "gzsl" else e.rows[e.is_unseen]) for e in (honest, fewer))
    place = {row: number for number, row in enumerate(of_whole.tolist())}
    before = whole[[place[row] for row in of_part.tolist()]].astype(np.float64)
    finite = np.abs(before[np.isfinite(before)])
    scale = float(finite.max()) if len(finite) else 1.0
    close = np.isclose(part, before, rtol=0, atol=_TOLERANCE * scale, equal_nan=True)
    return np.asarray(~close.all(axis=1))


def selection(runs: ProbeRuns) -> str:
    """Compares choices and the figures behind them with noise for test images, and with other classes."""
    honest = runs.run()
    for what, alter in (
        ("the test images replaced by noise", with_noise),
        ("other test labels", with_other_labels),
    ):
        if names := changed_artefacts(choices(honest), choices(runs.run(alter))):
            raise Leak(f"with {what}, selection gave other values: {few(names)}")
    options = [f"{len(values)} values of {name}" for name, values in runs.method["search"].items()]
    options = [f"{runs.method['epochs']} epochs", *options] if runs.method["epochs"] else options
    among = f"Among {', '.join(options)}, " if options else "There was nothing to choose; "
    return (
        f"{among}{chosen(honest)} and all validation metrics stayed the same with the test images replaced "
        "by noise and with other test labels."
    )


def global_state(runs: ProbeRuns) -> str:
    """Changes the global random state."""
    one, other = runs.run(), runs.run(global_seed=GLOBAL_SEED + 1)
    seeds = "with other global seeds of torch, numpy and random"
    _require_same_fit(one, other, seeds)
    if not same_scores(one, other):
        raise Leak(f"{seeds}, the scores of the test images changed")
    # The first run imports libraries, which change settings once.
    traces = runs.traces(global_seed=GLOBAL_SEED + 1)
    if traces["settings"]:
        raise Leak(f"a run left {few(traces['settings'])} changed")
    drawn = (
        f" It draws from the global generator of {', '.join(traces['drawn'])}, as initialising layers does; "
        "nothing depends on it, and runs restore its state."
        if traces["drawn"]
        else ""
    )
    return (
        "Other global seeds of torch, numpy and random changed no fitted tensor, choice or score; number "
        f"types, threads, gradient mode and other process-wide settings were unchanged.{drawn}"
    )


def seed(runs: ProbeRuns) -> str:
    """Repeats a run, and runs with another seed."""
    one, again, other = runs.run(), runs.compute(copied(runs.dataset))[0], runs.run(seed=SEED + 1)
    if names := changed_artefacts(fitted(one), fitted(again)):
        raise Leak(f"two runs with seed {SEED} differ in {few(names)}")
    if not same_scores(one, again):
        raise Leak(f"two runs with seed {SEED} score test images differently")
    if changed_artefacts(fitted(one), fitted(other)) or not same_scores(one, other):
        return f"Two runs with seed {SEED} are bit-identical; seed {SEED + 1} differs."
    if runs.method["epochs"] is None:
        return "Two runs are bit-identical, as is one with another seed: the method is closed form."
    raise Leak(
        f"seeds {SEED} and {SEED + 1} give the same values although the method is trained: its "
        "randomness does not come from the run's seed, so running several seeds would not show its variance"
    )


def arrays(runs: ProbeRuns) -> str:
    """Watches the data set and the arguments of every call, where the plugins are."""
    return str(runs.ask("arrays", runs.dataset)[0])


def _require_same_fit(one: Outcome, other: Outcome, change: str) -> None:
    if names := changed_artefacts(fitted(one), fitted(other)):
        raise Leak(f"{change}, values changed in {few(names)}")


def same_scores(one: Outcome, other: Outcome) -> bool:
    """Whether both runs give every test image the same scores, bit for bit."""
    found, others = one.evaluation.scores, other.evaluation.scores
    return found.keys() == others.keys() and all(np.array_equal(found[task], others[task]) for task in found)


def networks(outcome: Outcome) -> Artefacts:
    """The sha256 of every fitted tensor, of the final fit and of the fit on the validation fold."""
    return {
        f"{side} {kind}/{path}": tensor_sha256(tensor)
        for side, by_kind in (("final", outcome.networks), ("validation", outcome.validation_networks))
        for kind, nets in by_kind.items()
        for path, tensor in flatten(nets).items()
    }


def choices(outcome: Outcome) -> Artefacts:
    """What selection chose (epochs, hyper-parameters, offset) and every metric behind the choice: on the
    validation fold, or under ``oracle`` everywhere."""
    metrics, rows = outcome.metrics, _on_validation(outcome)
    return {
        **{f"chosen {key}": metrics[key] for key in _CHOSEN if key in metrics},
        **{f"chosen {key}": value for key, value in outcome.settings.items()},
        **{f"validation's {key[4:]}": value for key, value in metrics.items() if key.startswith("val_")},
        # As text, because a missing figure is a NaN, which equals nothing.
        "figures of the candidates": repr(outcome.candidates),
        "figures of the epochs": repr(rows or outcome.epochs),
    }


def _on_validation(outcome: Outcome) -> list[dict[str, Any]]:
    return [row for row in outcome.epochs if str(row["stage"]).startswith("validation")]


def fitted(outcome: Outcome) -> Artefacts:
    """Everything that a run produced except its test-image scores."""
    return networks(outcome) | choices(outcome) | {"figures of the final fit": repr(outcome.epochs)}


def changed_artefacts(one: Artefacts, other: Artefacts) -> list[str]:
    """Names of artefacts that differ, or that only one run has."""
    absent = object()
    return [
        name for name in dict.fromkeys([*one, *other]) if one.get(name, absent) != other.get(name, absent)
    ]


def unchanged(outcome: Outcome) -> str:
    """``"all 24 fitted tensors and the choices on validation (2 epochs)"``."""
    return f"all {len(networks(outcome))} fitted tensors and {chosen(outcome)}"


def chosen(outcome: Outcome) -> str:
    """``"the choices on validation (2 epochs)"``."""
    epochs = outcome.metrics.get("epochs")
    parts = [f"{epochs} epoch{'' if epochs == 1 else 's'}"] if epochs is not None else []
    parts += [f"{name} {value}" for name, value in outcome.settings.items()]
    return f"the choices on validation ({', '.join(parts)})" if parts else "the results of validation"
