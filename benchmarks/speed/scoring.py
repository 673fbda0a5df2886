"""(c), (f) From synthetic features to figures: the final classifiers and the evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.machine import Machine, copy_rate
from benchmarks.speed.measuring import Part, Work, interleaved, rates
from benchmarks.speed.problem import Problem, as_in_runs, problem
from zslbench.evaluation.evaluator import Evaluation, Evaluator
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.experiment.classifying import FinalClassifiers
from zslbench.plugin.interfaces import Networks
from zslbench.plugin.streams import Streams
from zslbench.training.context import Training
from zslbench.training.graphs import Graphs
from zslbench.training.iteration import initial_networks

LITERAL = "literal, tested after each epoch"
OURS = "ours, evaluated once"
GRAPH = "ours, evaluated once, CUDA graph"


def classifier(machine: Machine, sizes: Any) -> Part:
    """Both classifiers once, with synthesis, transform and evaluation."""
    device = machine.device
    given = problem(sizes, device)
    nets = initial_networks(given.program(1), Streams(0, device))
    test = _held_out(given)
    fold = Fold("final", given.view, given.space, *test)
    evaluator = Evaluator(fold, lambda g: g)
    made = FinalClassifiers(given.recipe, given.space, given.eggn, ("czsl", "gzsl"))
    part = Part(
        "classifier",
        "(c) Final classifiers: both, from synthesis to figures",
        f"{sizes.images:,} real and {sizes.per_class} x {sizes.unseen} synthetic features of "
        f"{sizes.width + sizes.attributes + sizes.hidden}, {sizes.classifier_epochs} epochs, "
        f"{len(test[0].labels) + len(test[1].labels):,} test images.",
    )

    def ours(graphs: Graphs | None = None) -> Any:
        return made.fit(nets, given.view, evaluator, Training(Streams(0, device), graphs=graphs))

    calls: dict[str, Callable[[], Any]] = {
        LITERAL: lambda: _literal_classifiers(given, nets, test),
        OURS: as_in_runs(ours, device),
    }
    if device.type == "cuda":
        calls[GRAPH] = as_in_runs(lambda: ours(Graphs(required=True)), device)
    times = interleaved(calls, sizes.repeats, machine)
    part.rows = rates(times, 1.0, "fits", LITERAL, _work(given), machine, on_gpu=[GRAPH])
    part.checks.append("none of values: the two draw different orders")
    return part


def _held_out(given: Problem) -> tuple[HeldOut, HeldOut]:
    sizes, device = given.sizes, given.device
    random = torch.Generator().manual_seed(2)
    made = []
    for classes in (given.space.seen, given.space.unseen):
        labels = np.repeat(classes.cpu().numpy(), max(2, sizes.images // 8 // len(classes)))
        features = torch.rand(len(labels), sizes.width, generator=random).to(device)
        made.append(HeldOut(features, labels, np.arange(len(labels)), device))
    return made[0], made[1]


def _work(given: Problem) -> Work:
    """Two products of each batch, with weights and for their gradient; features read once per epoch."""
    sizes = given.sizes
    width = sizes.width + sizes.attributes + sizes.hidden
    unseen = sizes.per_class * sizes.unseen
    flops = bytes_ = 0.0
    for rows, classes in ((sizes.images + unseen, sizes.seen + sizes.unseen), (unseen, sizes.unseen)):
        steps = math.ceil(rows / sizes.per_class)
        flops += sizes.classifier_epochs * 2 * 2 * rows * width * classes
        bytes_ += sizes.classifier_epochs * 4 * (rows * width + steps * 6 * width * classes)
    return Work(flops, bytes_, None)


def _literal_classifiers(
    given: Problem, nets: Networks, test: tuple[HeldOut, HeldOut]
) -> tuple[float, float]:
    """As the published code goes about it: orders on the host, a loss on the host, tests after each epoch."""
    eggn, space, sizes = given.eggn, given.space, given.sizes
    with torch.no_grad():
        made = []
        for one in space.unseen.tolist():
            noise = {"prior": torch.randn(sizes.per_class, eggn.latent, device=given.device)}
            made.append(eggn.sample(nets, space.semantics[one].expand(sizes.per_class, -1), noise))
        synthetic = torch.cat(made)
        labels = space.unseen.repeat_interleave(sizes.per_class)
        real, fake = eggn.transform(nets, given.view.features), eggn.transform(nets, synthetic)
        tested = [eggn.transform(nets, side.features) for side in test]  # type: ignore[arg-type]
    h = _train(
        given, torch.cat([real, fake]), torch.cat([given.view.labels, labels]), len(space.names),
        lambda model: _harmonic(model, tested, test, space),
    )  # fmt: skip
    own = torch.searchsorted(space.unseen, labels)
    acc = _train(
        given, fake, own, len(space.unseen),
        lambda model: _per_class(model, tested[1], test[1].labels, space.unseen.cpu().numpy(), True),
    )  # fmt: skip
    return h, acc


def _train(
    given: Problem, features: Tensor, labels: Tensor, classes: int, tested: Callable[[nn.Module], float]
) -> float:
    s: Any = given.recipe.parts["classifier"].settings
    model = nn.Sequential(nn.Linear(features.shape[1], classes), nn.LogSoftmax(dim=1)).to(given.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=s.lr, betas=(s.beta1, 0.999))
    criterion, best = nn.NLLLoss(), 0.0
    for _ in range(s.epochs):
        order = torch.randperm(len(labels))
        for start in range(0, len(labels), s.batch_size):
            rows = order[start : start + s.batch_size].to(given.device)
            optimizer.zero_grad()
            loss = criterion(model(features[rows]), labels[rows])
            loss.item()
            loss.backward()
            optimizer.step()
        best = max(best, tested(model))
    return best


def _harmonic(model: nn.Module, tested: list[Tensor], test: Any, space: Any) -> float:
    s = _per_class(model, tested[0], test[0].labels, space.seen.cpu().numpy(), False)
    u = _per_class(model, tested[1], test[1].labels, space.unseen.cpu().numpy(), False)
    return 2 * s * u / (s + u) if s + u else 0.0


def _per_class(model: nn.Module, x: Tensor, labels: np.ndarray, classes: np.ndarray, alone: bool) -> float:
    with torch.no_grad():
        found = torch.cat([model(part).argmax(dim=1).cpu() for part in torch.split(x, 400)]).numpy()
    names = classes[found] if alone else found
    return float(np.mean([np.mean(names[labels == one] == one) for one in classes]))


OFFSETS = 50
"""Of the plain loop's curve; ours has all of them."""


def evaluator(machine: Machine, sizes: Any) -> Part:
    """U, S, H and the seen-unseen curve from scores, on the processor."""
    part = Part(
        "evaluator",
        "(f) Evaluator: figures and seen-unseen curve from scores",
        f"The plain loop goes over classes for U, S and H, and over {OFFSETS} offsets for the curve; ours "
        "has the exact curve with all its breaks.",
    )
    host = torch.device("cpu")
    rate = machine.copied if machine.device == host else copy_rate(host, sizes)
    for images, classes in sizes.scores:
        scores, labels, seen, unseen = _scores(images, classes)
        ours = partial(_our_figures, scores, labels, seen, unseen)
        plain = partial(_literal_figures, scores, labels, seen, unseen)
        found, (u, s, area) = ours(), plain()
        assert abs(found["u"] - u) < 1e-9 and abs(found["s"] - s) < 1e-9, (found, u, s)
        assert abs(found["ausuc"] - area) < 0.02, (found["ausuc"], area)
        times = interleaved({"plain": plain, "ours": ours}, max(2, sizes.repeats - 2), machine)
        # At least, every score is read once.
        limit = scores.nbytes / rate
        part.rows.append(
            {
                "scores": f"{images:,} x {classes}",
                "plain loop, ms": 1e3 * times["plain"].median,
                "ours, ms": 1e3 * times["ours"].median,
                "ratio": times["plain"].median / times["ours"].median,
                "limit, ms": 1e3 * limit,
                "of the limit": limit / times["ours"].median,
            }
        )
    part.checks.append("U and S are the same (1e-9), AUSUC within 0.02 of the coarse curve's")
    return part


def _scores(images: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    order = random.permutation(classes)
    unseen, seen = np.sort(order[: max(1, classes // 5)]), np.sort(order[max(1, classes // 5) :])
    labels = random.integers(0, classes, images)
    labels[:classes] = np.arange(classes)
    scores = random.standard_normal((images, classes), dtype=np.float32)
    scores[np.arange(images), labels] += 2
    return scores, labels, seen, unseen


def _our_figures(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray, unseen: np.ndarray
) -> dict[str, float]:
    names = tuple(f"class {one}" for one in range(scores.shape[1]))
    return dict(Evaluation(names, seen, unseen, labels, np.arange(len(labels)), scores, None).figures())


def _literal_figures(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray, unseen: np.ndarray
) -> tuple[float, float, float]:
    margin = scores[:, seen].max(axis=1) - scores[:, unseen].max(axis=1)
    points = []
    for offset in [0.0, *np.linspace(margin.min() - 1e-3, margin.max() + 1e-3, OFFSETS)]:
        shifted = scores.astype(np.float64)
        shifted[:, seen] -= offset
        found = shifted.argmax(axis=1)
        u, s = (np.mean([np.mean(found[labels == c] == c) for c in side]) for side in (unseen, seen))
        points.append((float(u), float(s)))
    u, s = (np.array(values) for values in zip(*points[1:], strict=True))
    area = float((np.diff(u) * (s[1:] + s[:-1]) / 2).sum())
    return points[0][0], points[0][1], area
