"""A plugin whose accuracy at every epoch is written down beforehand, and one that draws global randomness.

Images carry their class; the classifier gets as many classes of a side right as a script says for the
generator's and the classifier's epoch. So every figure that selection looks at is known in advance.
"""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import torch

from zslbench import Component, ComponentSettings, Method, Reading, Variant, hookimpl
from zslbench.plugin import Derived, Epochs
from zslbench.plugin.dataset import Dataset, OfficialSplit
from zslbench.plugin.interfaces import Classifier, DatasetSource, Embedding, Generator
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step

CLASSES, UNSEEN, PSEUDO, PER_CLASS = 18, 4, 4, 5

Script = tuple[tuple[float, ...], ...]
"""Share of classes that are right: one row per epoch of the generator, one number per classifier epoch.
The last row and the last number hold for all that follow."""


class ScriptedData(DatasetSource):
    """14 seen classes (4 of them validation classes) and 4 unseen ones; the first feature is the class id."""

    def load(self, request):
        labels = np.repeat(np.arange(CLASSES), PER_CLASS)
        features = np.zeros((len(labels), 3), dtype=np.float32)
        features[:, 0], features[:, 1] = labels, np.arange(len(labels))
        semantics = np.stack([np.arange(CLASSES), np.ones(CLASSES)], axis=1).astype(np.float32)
        seen = CLASSES - UNSEEN
        held_out = np.arange(len(labels)) % PER_CLASS == 0
        split = OfficialSplit(
            trainval=np.flatnonzero((labels < seen) & ~held_out),
            test_seen=np.flatnonzero((labels < seen) & held_out),
            test_unseen=np.flatnonzero(labels >= seen),
            validation_classes=np.arange(PSEUDO),
        )
        names = tuple(f"class {one}" for one in range(CLASSES))
        return Dataset("scripted", features, labels, names, semantics, split, "made up", "att")


class GeneratorSettings(ComponentSettings):
    epochs: Epochs = 5


class ClassifierSettings(ComponentSettings):
    epochs: Epochs = 1
    u: Script = ((0.5,),)
    s: Script = ((0.5,),)
    acc: Script = ((0.5,),)
    level: float = 1.0


def clock_program(view, epochs):
    """Training that only counts its epochs: one step each, over all rows."""

    def losses(nets, batch, noise):
        return Losses((nets["dummy"]["w"] ** 2).sum(), {}, {"t": nets["state"]["t"] + 1})

    def initial(streams):
        return {"dummy": {"w": torch.ones(1)}}

    return Program(
        initial=initial,
        state={"t": torch.zeros(())},
        passes=((Step("tick", losses, updates=("dummy",)),),),
        optimizers={"dummy": Optimizer("sgd", lr=0.1)},
        features=view.features,
        labels=view.labels,
        epochs=epochs,
        batch_size=10_000,
    )


class AsIs(Embedding):
    def fit(self, view):
        return {}

    def embed(self, nets, inputs):
        return inputs


class ScriptedGenerator(Generator):
    per_class = 2
    sample_noise = {"z": Normal((1,))}  # noqa: RUF012

    def fit(self, view):
        return clock_program(view, self.settings.epochs)

    def sample(self, nets, semantics, noise):
        return torch.cat([semantics, noise["z"]], dim=1)

    def transform(self, nets, g, noise):
        return torch.cat([g, nets["state"]["t"].expand(len(g), 1)], dim=1)


class Scripted(Classifier):
    needs_examples = True

    def fit(self, view):
        return clock_program(view, self.settings.epochs)

    def scores(self, nets, features):
        s, space = self.settings, self.space
        at = [int(features[0, -1]), int(nets["state"]["t"])]
        ids = space.semantics[:, 0]
        guess = (features[:, :1] == ids).int().argmax(dim=1)
        czsl = not len(space.seen)
        for side, script in ((space.unseen, s.acc if czsl else s.u), (space.seen, s.s)):
            if not len(side):
                continue
            row = script[min(at[0], len(script)) - 1]
            right = round(row[min(at[1], len(row)) - 1] * s.level * len(side))
            wrong = side[right:]
            for one in wrong.tolist():  # taken for the next class of the space
                guess = torch.where(features[:, 0] == ids[one], (one + 1) % len(ids), guess)
        return torch.nn.functional.one_hot(guess, len(ids)).float()


class ScriptedClosed(Classifier):
    """The same without training or examples: for the search of hyper-parameters."""

    needs_examples = False

    def fit(self, view):
        return {"state": {"t": torch.ones(())}}

    def scores(self, nets, features):
        return Scripted.scores(self, nets, torch.cat([features, torch.ones(len(features), 1)], dim=1))


class Restless(Embedding):
    """Draws from every global generator, as building modules and data loaders does."""

    def fit(self, view):
        torch.nn.Linear(3, 2)
        data = torch.utils.data.TensorDataset(view.features)
        next(iter(torch.utils.data.DataLoader(data, batch_size=2, shuffle=True)))
        torch.manual_seed(torch.randint(1000, ()).item())
        np.random.seed(np.random.randint(1000))  # noqa: NPY002
        random.seed(random.random())
        return {}

    def embed(self, nets, inputs):
        torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
        return inputs


class StillGenerator(ScriptedGenerator):
    """Closed form, so that the classifier's schedule is the method's."""

    def fit(self, view):
        return {}

    def transform(self, nets, g, noise):
        return torch.cat([g, torch.ones(len(g), 1)], dim=1)


class Drawing(ScriptedGenerator):
    """Draws what the classifier sees: anew in every epoch, and for test images."""

    redraws = draws_at_test = True
    transform_noise = {"code": Normal((2,))}  # noqa: RUF012

    def sample(self, nets, semantics, noise):
        return torch.cat([semantics, noise["z"] + nets["state"]["t"]], dim=1)

    def transform(self, nets, g, noise):
        return torch.cat([0.1 * g, noise["code"] if noise else g.new_zeros(len(g), 2)], dim=1)


class Scaled(AsIs):
    """An embedding with networks that later components use."""

    def fit(self, view):
        return {"scale": {"w": torch.full((2,), 2.0)}}


class Building(ScriptedGenerator):
    """Samples by its embedding's networks, which steps read as well."""

    def fit(self, view):
        upstream = {"before": view.networks["embedding"]["scale"]}
        program = clock_program(view, self.settings.epochs)
        ((step,),) = program.passes

        def losses(nets, batch, noise):
            found = step.losses(nets, batch, noise)
            return found._replace(total=found.total * nets["before"]["w"].sum())

        passes = ((dataclasses.replace(step, losses=losses),),)
        return (yield dataclasses.replace(program, passes=passes, frozen=upstream)) | upstream

    def sample(self, nets, semantics, noise):
        assert isinstance(self.embedding, Scaled)
        return torch.cat([semantics * nets["before"]["w"], noise["z"]], dim=1)


class BuildingOn(Classifier):
    """Scores by a feature that its generator samples of each class."""

    needs_examples = True
    reads = "features"

    def fit(self, view):
        assert isinstance(self.embedding, Scaled)
        return {"before": view.networks["generator"]["before"], "own": view.networks["embedding"]["scale"]}

    def scores(self, nets, features):
        noise = {"z": torch.zeros(len(self.space.names), 1)}
        made = self.generator.sample(nets, self.space.semantics, noise)
        return -(features[:, None, :1] * nets["own"]["w"][0] - made[:, :1]).abs().squeeze(2)


class CodesGenerator(ScriptedGenerator):
    samples = "inputs"


class ReadsG(Scripted):
    reads = "features"


class PacedEmbedding(Embedding):
    """Its last column is the epoch of its training."""

    def fit(self, view):
        return clock_program(view, self.settings.epochs)

    def embed(self, nets, inputs):
        return torch.cat([inputs, nets["state"]["t"].expand(len(inputs), 1)], dim=1)


class Misnamed(PacedEmbedding):
    """Logs a figure under a name that the evaluator uses."""

    def fit(self, view):
        program = clock_program(view, self.settings.epochs)
        ((step,),) = program.passes

        def losses(nets, batch, noise):
            return step.losses(nets, batch, noise)._replace(log={"h": torch.ones(())})

        named = dataclasses.replace(step, name="val", losses=losses)
        return dataclasses.replace(program, passes=((named,),))


class ToldGenerator(StillGenerator):
    """Keeps what it knows about held-out images."""

    def fit(self, view):
        return {"told": kept(view.test)}

    def transform(self, nets, g, noise):
        return g + 100


class ToldClassifier(Scripted):
    def fit(self, view):
        return {"told": kept(view.test)}

    def scores(self, nets, features):
        return (features[:, :1] - 100 == self.space.semantics[:, 0]).float()


class ToldInStage(StillGenerator):
    """Trains in a stage that other runs share, and reads what it is told without saying so in the key."""

    def fit(self, view):
        return (yield stage(view, 1 if view.test is None else 2))


class LargestInStage(StillGenerator):
    """Keeps the largest training feature as a derived tensor."""

    def fit(self, view):
        found = yield Derived(lambda: {"largest": {"g": view.features.max()}}, source={}, key={})
        return found


class OneInStage(Scripted):
    """Has a stage with the key of another classifier's."""

    amount = 1

    def fit(self, view):
        return (yield stage(view, self.amount))

    def scores(self, nets, features):
        return features[:, :1] * torch.ones(len(self.space.names))


class TwoInStage(OneInStage):
    amount = 2


def stage(view, amount):
    """A stage that counts by an amount that its key does not have."""
    program = clock_program(view, 3)

    def losses(nets, batch, noise):
        return Losses((nets["dummy"]["w"] ** 2).sum(), {}, {"t": nets["state"]["t"] + amount})

    step = Step("tick", losses, updates=("dummy",))
    return dataclasses.replace(program, passes=((step,),), paced=False, key={}, name="stage")


def kept(test):
    found = {"features": test.features, "prior": test.class_prior} if test else {}
    return {name: value for name, value in found.items() if value is not None}


class RaisingSettings(ComponentSettings):
    epochs: Epochs = 3
    at: str = "nowhere"


class Raising(ScriptedGenerator):
    """Fails unexpectedly in one of its methods."""

    def __init__(self, settings, space):
        super().__init__(settings, space)
        self.fails_in("constructor")

    def fails_in(self, where):
        if self.settings.at == where:
            raise KeyError(where)

    def fit(self, view):
        self.fails_in("fit")
        program = super().fit(view)
        ((step,),) = program.passes

        def losses(nets, batch, noise):
            self.fails_in("step")
            return step.losses(nets, batch, noise)

        return dataclasses.replace(program, passes=((dataclasses.replace(step, losses=losses),),))

    def sample(self, nets, semantics, noise):
        self.fails_in("sample")
        return super().sample(nets, semantics, noise)

    def transform(self, nets, g, noise):
        self.fails_in("transform")
        return super().transform(nets, g, noise)


class RaisingClassifier(Scripted):
    def scores(self, nets, features):
        return {}["scores"]


class ClosedSettings(ComponentSettings):
    u: Script = ((0.5,),)
    s: Script = ((0.5,),)
    acc: Script = ((0.5,),)
    level: float = 1.0


class ScriptedByEmbedding(Scripted):
    """From semantics, so that the embedding's schedule is the method's."""

    needs_examples = False

    def fit(self, view):
        return {"state": {"t": torch.ones(())}}


HERE = "zslbench_scripted"


@hookimpl
def zslbench_components():
    def one(kind, name, target, settings=None):
        settings = None if settings is None else f"{HERE}:{settings}"
        return Component(
            kind=kind, name=name, target=f"{HERE}:{target}", summary="a test's", settings=settings
        )

    return [
        one("dataset", "scripted", "ScriptedData"),
        one("embedding", "as-is", "AsIs"),
        one("embedding", "restless", "Restless"),
        one("generator", "scripted", "ScriptedGenerator", "GeneratorSettings"),
        one("classifier", "scripted", "Scripted", "ClassifierSettings"),
        one("classifier", "scripted-closed", "ScriptedClosed", "ClosedSettings"),
        one("classifier", "by-embedding", "ScriptedByEmbedding", "ClosedSettings"),
        one("generator", "still", "StillGenerator"),
        one("generator", "drawing", "Drawing", "GeneratorSettings"),
        one("embedding", "scaled", "Scaled"),
        one("generator", "building", "Building", "GeneratorSettings"),
        one("classifier", "building-on", "BuildingOn"),
        one("generator", "scripted-codes", "CodesGenerator", "GeneratorSettings"),
        one("classifier", "reads-g", "ReadsG", "ClassifierSettings"),
        one("generator", "told", "ToldGenerator"),
        one("generator", "raising", "Raising", "RaisingSettings"),
        one("classifier", "raising", "RaisingClassifier", "ClassifierSettings"),
        one("classifier", "told", "ToldClassifier", "ClosedSettings"),
        one("generator", "told-in-stage", "ToldInStage"),
        one("generator", "largest-in-stage", "LargestInStage"),
        one("classifier", "one-in-stage", "OneInStage", "ClosedSettings"),
        one("classifier", "two-in-stage", "TwoInStage", "ClosedSettings"),
        *(
            one("embedding", name, target, "GeneratorSettings")
            for name, target in (
                ("paced", "PacedEmbedding"),
                ("misnamed", "Misnamed"),
            )
        ),
    ]


@hookimpl
def zslbench_methods():
    levels = {"classifier.level": (0.25, 1.0, 0.5)}
    parts = {"embedding": "as-is", "summary": "a test's"}
    return [
        Method(name="scripted", generator="scripted", classifier="scripted", **parts),
        Method(name="scripted-czsl", generator="scripted", classifier="scripted", tasks=("czsl",), **parts),
        Method(name="scripted-schedule", generator="still", classifier="scripted", **parts),
        Method(
            name="scripted-schedule-czsl", generator="still", classifier="scripted", tasks=("czsl",), **parts
        ),
        Method(name="scripted-softmax", generator="still", classifier="softmax", **parts),
        Method(
            name="building", embedding="scaled", generator="building", classifier="building-on", summary="x"
        ),
        Method(name="drawing", generator="drawing", classifier="softmax", **parts),
        Method(name="scripted-search", classifier="scripted-closed", search=levels, **parts),
        Method(
            name="weighted",
            embedding="identity",
            generator="tf-vaegan",
            classifier="softmax",
            summary="variants that differ in numbers, and some that do not",
            variants=(
                Variant(name="light", summary="x", settings={"generator.lambda_r": 0.002}),
                Variant(name="none", summary="x", settings={"generator.lambda_r": 0.0}),
                Variant(name="slow", summary="x", settings={"generator.lr": 1e-5}),
                Variant(name="full", summary="x"),
            ),
        ),
        Method(
            name="told",
            generator="told",
            classifier="told",
            readings=(
                Reading(name="paper", summary="x"),
                Reading(name="images", summary="x", transductive=("test features",)),
                Reading(name="both", summary="x", transductive=("test features", "test class prior")),
            ),
            **parts,
        ),
        Method(
            name="told-in-stage",
            generator="told-in-stage",
            classifier="scripted",
            readings=(
                Reading(name="paper", summary="x"),
                Reading(name="images", summary="x", transductive=("test features",)),
            ),
            **parts,
        ),
        Method(
            name="restless", embedding="restless", generator="scripted", classifier="scripted", summary="x"
        ),
    ]
