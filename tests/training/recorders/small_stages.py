"""The first-party programs, small: what is trained in each stage, on any device."""

from __future__ import annotations

from typing import Any

import torch

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.programs import Derived, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class
from zslbench.plugin.views import ClassSpace, Rows, TrainView
from zslbench_sc_egg.networks import initial_regressor
from zslbench_sc_egg.scen import SCEN

SETTINGS = {
    "generator.hidden": 16, "generator.batch_size": 8, "generator.critic_steps": 2, "generator.epochs": 2,
    **{f"embedding.stage{n}.{name}": value for n in (1, 2)
       for name, value in (("epochs", 2), ("batch_size", 8), ("iterations", 12))},
    "classifier.epochs": 2, "classifier.batch_size": 8,
}  # fmt: skip
IMAGES, WIDTH, ATTRIBUTES, CLASSES = 96, 12, 5, 7
ITERATIONS = 24  # of each pass, over two epochs


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def space_on(device: torch.device | str) -> ClassSpace:
    """Five seen and two unseen classes."""
    return ClassSpace(
        names=tuple("abcdefg"),
        semantics=torch.nn.functional.normalize(drawn(CLASSES, ATTRIBUTES, seed=1)).to(device),
        seen=torch.arange(5, device=device),
        unseen=torch.arange(5, 7, device=device),
        attribute_vectors=(drawn(ATTRIBUTES, 6, seed=2) - 0.5).to(device),
    )


SPACE = space_on("cpu")
LABELS = torch.arange(IMAGES) % 5


class ReadAhead:
    """Region features that ask to be read ahead."""

    read_ahead = True

    def __init__(self, regions: torch.Tensor) -> None:
        self.regions = regions

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.regions[rows]


def stage(name: str, device: torch.device | str = "cpu", regions: Rows | None = None) -> Program:
    """One of the first-party programs, small.

    Args:
        regions: region features of the images; None: some that ask to be read ahead.
    """
    space, labels = space_on(device), LABELS.to(device)
    where, _, reading = name.partition(" ")
    method, _, part = where.partition("/")
    recipe = resolve(
        registry(), "toy", method=method, settings=_known(method), preset=(), reading=reading or None
    )
    if regions is None:
        regions = ReadAhead(drawn(IMAGES, 4, WIDTH, seed=3).to(device))
    view = TrainView(features=drawn(IMAGES, WIDTH, seed=4).to(device), labels=labels, regions=regions)
    if part in ("stage1", "stage2"):
        fit = SCEN(recipe.parts["embedding"].settings, space).fit(view)
        made = next(fit)  # type: ignore[arg-type]
        if part == "stage2":
            nets = made.initial(Streams(0, device))  # type: ignore[union-attr]
            made = fit.send(nets)  # type: ignore[union-attr]
    elif part == "classifier":
        view = TrainView(features=view.features, labels=torch.arange(IMAGES, device=device) % CLASSES)
        made = load_class(recipe.parts["classifier"].registered)(
            recipe.parts["classifier"].settings, space
        ).fit(view)
    else:
        if method == "sc-egg":
            guide = SCEN(recipe.parts["embedding"].settings, space)
            fit = guide.fit(view)
            nets = next(fit).initial(Streams(0, device))  # type: ignore[arg-type, union-attr]
            nets |= initial_regressor(Streams(0, device), WIDTH, 8, CLASSES)
            one = torch.ones(WIDTH, device=device)
            ranges = {"low": 0 * one, "spread": one, "varies": one}
            view = TrainView(
                features=view.features, labels=labels, guide=guide.guide({**nets, "range": ranges})
            )
        made = load_class(recipe.parts["generator"].registered)(
            recipe.parts["generator"].settings, space
        ).fit(view)
        if not isinstance(made, Program):
            made = paced(made, device)
    assert isinstance(made, Program)
    return made


def paced(fit: Any, device: torch.device | str) -> Program:
    """The paced program of a ``fit`` with stages before it, which are not trained."""
    part = next(fit)
    while isinstance(part, Derived) or not part.paced:
        done = part.compute() if isinstance(part, Derived) else part.initial(Streams(0, device))
        part = fit.send(done)
    found: Program = part
    return found


def _known(method: str) -> dict[str, Any]:
    left_out = {
        "sc-egg": (),
        "gcm-cf": ("embedding", "classifier"),
        "ocd-cvae": ("embedding", "generator.critic_steps"),
    }.get(method, ("embedding",))
    return {k: v for k, v in SETTINGS.items() if not k.startswith(left_out)}


STAGES = (
    "tf-vaegan/generator",
    "tf-vaegan/classifier",
    "f-clswgan/generator",
    "f-vaegan-d2/generator",
    "free/generator",
    "lisgan/generator",
    "ocd-cvae/generator",
    "gcm-cf/generator",
    "sc-egg/stage1",
    "sc-egg/stage1 authors",
    "sc-egg/stage2",
    "sc-egg/generator",
    "sc-egg/generator authors",
)
