"""Methods that leak on purpose, one kind of leak each; only the tests of the audit register them."""

import gc
import itertools
import os
import sys

import numpy as np
import torch

from zslbench import Component, ComponentSettings, Method, Reading, hookimpl
from zslbench.evaluation.evaluator import Evaluation
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.evaluation.leaders import Leaders
from zslbench.evaluation.metrics import METRICS
from zslbench.plugin import Epochs
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.interfaces import Classifier, Embedding, Generator
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step


class Choosing(ComponentSettings):
    ridge: float = 1.0
    "Strength."


def stolen(of=Fold):
    """A fold, or the whole data set, found in the frames of the callers: nobody hands it out."""
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), getattr(frame.f_locals.get("self"), "fold", None)]:
            if isinstance(value, of):
                return value
        frame = frame.f_back
    return None


class Plain(Embedding):
    """The honest one: features as they are."""

    def fit(self, view):
        return {}

    def embed(self, nets, inputs):
        return inputs


class Ridge(Classifier):
    """The honest one: ridge regression to semantics, in closed form."""

    needs_examples = False
    strength = 1.0

    def fit(self, view):
        x, s = view.features.double(), self.space.semantics[view.labels].double()
        ridge = getattr(self.settings, "ridge", self.strength)
        w = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]).to(x), x.T @ s)
        return {"ridge": {"W": w}}

    def scores(self, nets, features):
        return features.double() @ nets["ridge"]["W"] @ self.space.semantics.double().T


class Collapsed(Ridge):
    """No leak: it has learnt nothing, so nothing can be shown of it."""

    def scores(self, nets, features):
        return torch.zeros(len(features), len(self.space.names), dtype=torch.float64)


# --- images -----------------------------------------------------------------------------------------


class Remembering(Plain):
    """Keeps what it embeds, test images included, for the classifier of the same package."""

    def fit(self, view):
        SEEN.clear()
        return {}

    def embed(self, nets, inputs):
        SEEN.append(inputs.clone())
        return inputs


SEEN: list[torch.Tensor] = []


class Transductive(Ridge):
    """Centres by the mean of all images that were embedded."""

    def fit(self, view):
        mean = torch.cat(SEEN).mean(0)
        return super().fit(view) | {"centre": {"mean": mean}}

    def scores(self, nets, features):
        return super().scores(nets, features - nets["centre"]["mean"])


class Cached(Ridge):
    """Scores test images as it did the first time that it saw so many."""

    def scores(self, nets, features):
        return KEPT.setdefault((len(features), len(nets["ridge"]["W"])), super().scores(nets, features))


KEPT: dict[object, torch.Tensor] = {}


# --- labels -----------------------------------------------------------------------------------------


class Counting(Ridge):
    """Weighs unseen classes by how many test images they have."""

    def fit(self, view):
        fold = stolen()
        prior = np.bincount(fold.test_unseen.labels, minlength=len(self.space.names))
        prior = prior * (fold.name == "final")
        return super().fit(view) | {"prior": {"counts": torch.from_numpy(prior)}}


class Knowing(Ridge):
    """Raises the score of the right class of each test image: no fitted tensor shows it."""

    def scores(self, nets, features):
        found = super().scores(nets, features)
        fold = stolen()
        if fold.name == "final":
            for side in (fold.test_seen, fold.test_unseen):
                if len(side.labels) == len(features):
                    found[torch.arange(len(found)), torch.from_numpy(side.labels)] += 1
        return found


class Searching(Ridge):
    """Finds classes of test images among everything that is in memory, and gives them the highest score."""

    def scores(self, nets, features):
        found = super().scores(nets, features)
        for one in gc.get_objects():
            if (
                type(one) is HeldOut
                and len(one.labels) == len(features)
                and found.shape[1] > one.labels.max()
            ):
                found[torch.arange(len(found)), torch.from_numpy(one.labels)] = 9
        return found


# --- figures ----------------------------------------------------------------------------------------
# Scores are random; the figures say 100 %. Each replaces something when it is first used.


class Random(Ridge):
    def scores(self, nets, features):
        found = super().scores(nets, features)
        digits = (features.double().sum(1, keepdim=True) * 1e6).frac() * 1e3
        return torch.sin(digits * torch.arange(1, found.shape[1] + 1) * 7)


class Praising(Random):
    """Every metric is perfect."""

    def fit(self, view):
        Evaluation.figures = lambda self, **options: dict.fromkeys(METRICS, 1.0)
        return super().fit(view)


class Dividing(Random):
    """numpy finds that every share is 1."""

    def fit(self, view):
        where = getattr(np.where, "plain", np.where)

        def replaced(condition, *values):
            nan = len(values) == 2 and np.isscalar(values[1]) and np.isnan(values[1])
            return np.ones(len(condition)) if nan else where(condition, *values)

        replaced.plain, np.where = where, replaced
        return super().fit(view)


class Equal(np.ndarray):
    """Class ids that equal all others."""

    def __eq__(self, other):
        return np.ones(len(self), dtype=bool)


class Equating(Random):
    """Predictions equal every class."""

    def fit(self, view):
        Leaders.right = lambda self, labels: self.label.view(Equal) == labels
        return super().fit(view)


# --- rows -------------------------------------------------------------------------------------------


class BatchNorm(Plain):
    """Centres by the mean of the batch that it is given."""

    def embed(self, nets, inputs):
        return inputs - inputs.mean(0)


# --- selection --------------------------------------------------------------------------------------


class Steering(Ridge):
    """Fails on validation unless its strength is the one that suits the test images."""

    def scores(self, nets, features):
        found = super().scores(nets, features)
        data = stolen(of=Dataset)
        wanted = 100.0 if abs(data.features[data.split.test_unseen]).max() > 10 else 0.01
        worse = stolen().name == "validation" and self.settings.ridge != wanted
        return -found if worse else found


# --- globals ----------------------------------------------------------------------------------------


class Dicing(Ridge):
    """Initial values from torch's global generator."""

    def fit(self, view):
        return super().fit(view) | {"noise": {"w": torch.randn(3)}}


class NumpyDicing(Ridge):
    def scores(self, nets, features):
        found = super().scores(nets, features)
        return found + torch.from_numpy(np.random.rand(*found.shape))  # noqa: NPY002


class Widening(Ridge):
    """Makes everything after it compute in double precision."""

    def fit(self, view):
        torch.set_default_dtype(torch.float64)
        return super().fit(view)


# --- seed -------------------------------------------------------------------------------------------


class Clocked(Ridge):
    """Other values at every fit, whatever the seed."""

    def fit(self, view):
        return super().fit(view) | {"clock": {"t": torch.tensor(next(TICKS))}}


TICKS = itertools.count()


class Lasting(ComponentSettings):
    epochs: Epochs = 2
    "Length."


class Stubborn(Ridge):
    """Trained without randomness: all seeds give the same result."""

    def fit(self, view):
        def losses(nets, batch, noise):
            return Losses((nets["scale"]["w"] ** 2).sum(), {})

        start = super().fit(view)["ridge"]["W"].float()
        step = Step(name="shrink", losses=losses, updates=("scale",))
        nets = {"ridge": {"W": start}, "scale": {"w": torch.ones(1)}}
        return Program(
            initial=lambda streams: {net: {k: v.clone() for k, v in ts.items()} for net, ts in nets.items()},
            passes=((step,),),
            optimizers={"scale": Optimizer(lr=0.1)},
            features=view.features,
            labels=view.labels,
            epochs=self.settings.epochs,
            batch_size=16,
        )

    def scores(self, nets, features):
        return super().scores({"ridge": {"W": nets["ridge"]["W"].double()}}, features) * nets["scale"]["w"]


# --- arrays -----------------------------------------------------------------------------------------


class Scaling(Ridge):
    """Scales the features of its view in place: whoever reads the view after it finds others."""

    def fit(self, view):
        view.features.div_(view.features.norm(dim=1, keepdim=True))
        return super().fit(view)


class Marking(Ridge):
    """Writes into the class semantics when it scores."""

    def scores(self, nets, features):
        self.space.semantics.clamp_(min=0.5)
        return super().scores(nets, features)


class Vandal(Ridge):
    """Writes into the data set itself, after it was read for this run."""

    def scores(self, nets, features):
        stolen(of=Dataset).semantics[0, 0] = 0.5
        return super().scores(nets, features)


# --- a generator, for what only generators do -----------------------------------------------------------


class Spoiling(Generator):
    """Works on its noise in place."""

    per_class = 2
    sample_noise = {"z": Normal((1,))}  # noqa: RUF012

    def fit(self, view):
        return {}

    def sample(self, nets, semantics, noise):
        return noise["z"].add_(1).repeat(1, 64)


class Drawing(Spoiling):
    """Draws what the classifier sees of test images too, which the core does image by image."""

    draws_at_test = True
    transform_noise = {"shift": Normal((64,))}  # noqa: RUF012

    def sample(self, nets, semantics, noise):
        return noise["z"].repeat(1, 64)

    def transform(self, nets, g, noise):
        return g + 0.1 * noise["shift"] if noise else g


class Mixing(Drawing):
    """Gives all images of a chunk the first one's draw."""

    def transform(self, nets, g, noise):
        return g + 0.1 * noise["shift"][:1] if noise else g


class Overwriting(Ridge):
    """Writes into the generator's networks when it scores."""

    def fit(self, view):
        return {**super().fit(view), **view.networks["generator"]}

    def scores(self, nets, features):
        nets["weights"]["w"].mul_(0.5)
        return super().scores(nets, features)


class Weighing(Drawing):
    """Has networks."""

    def fit(self, view):
        return {"weights": {"w": torch.ones(3)}}


class Failing(Ridge):
    """Fails on images that are not what it expects."""

    def scores(self, nets, features):
        if features.abs().max() > 10:
            raise ValueError("these are no\nfeatures")
        return super().scores(nets, features)


class Crashing(Ridge):
    """Ends the process."""

    def scores(self, nets, features):
        os._exit(1)


class CrashingOnNoise(Ridge):
    def scores(self, nets, features):
        if features.abs().max() > 10:
            os._exit(1)
        return super().scores(nets, features)


class Told(Ridge):
    """Uses what its reading tells it of test images, in its networks and in the loss that it logs."""

    def fit(self, view):
        test = (view.test.features, view.test.class_prior) if view.test else ()
        known = [one.double().square().mean(dim=0).sum() for one in test if one is not None]
        weight = torch.stack([torch.ones(()).double(), *known]).sum().float()
        ridge = super().fit(view)["ridge"]["W"].float() * weight

        def losses(nets, batch, noise):
            return Losses((nets["scale"]["w"] ** 2).sum() * nets["told"]["weight"], {})

        return Program(
            initial=lambda streams: {
                "ridge": {"W": ridge.clone()},
                "scale": {"w": streams.normal("w", (1,))},
            },
            passes=((Step(name="shrink", losses=losses, updates=("scale",)),),),
            optimizers={"scale": Optimizer(lr=0.1)},
            features=view.features,
            labels=view.labels,
            epochs=self.settings.epochs,
            batch_size=16,
            frozen={"told": {"weight": weight}},
        )

    def scores(self, nets, features):
        return super().scores({"ridge": {"W": nets["ridge"]["W"].double()}}, features)


HERE = "zslbench_leaky"
CLASSIFIERS = {
    "honest": "Ridge",
    "collapsed": "Collapsed",
    "cached": "Cached",
    "counting": "Counting",
    "knowing": "Knowing",
    "steering": "Steering",
    "dicing": "Dicing",
    "numpy-dicing": "NumpyDicing",
    "widening": "Widening",
    "clocked": "Clocked",
    "stubborn": "Stubborn",
    "scaling": "Scaling",
    "marking": "Marking",
    "vandal": "Vandal",
    "failing": "Failing",
    "transductive": "Transductive",
    "searching": "Searching",
    "praising": "Praising",
    "dividing": "Dividing",
    "equating": "Equating",
    "told": "Told",
    "crashing": "Crashing",
    "crashing-on-noise": "CrashingOnNoise",
    "overwriting": "Overwriting",
}
SETTINGS = {"steering": "Choosing", "stubborn": "Lasting", "told": "Lasting"}
EMBEDDINGS = {"plain": "Plain", "remembering": "Remembering", "batch-norm": "BatchNorm"}


READINGS = (
    Reading(name="paper", summary="x"),
    Reading(name="features", summary="x", transductive=("test features",)),
    Reading(name="prior", summary="x", transductive=("test class prior",)),
)


@hookimpl
def zslbench_components():
    def one(kind, name, target, settings=None):
        settings = None if settings is None else f"{HERE}:{settings}"
        return Component(
            kind=kind, name=name, target=f"{HERE}:{target}", summary="a test's", settings=settings
        )

    yield from (one("embedding", name, target) for name, target in EMBEDDINGS.items())
    yield from (one("classifier", f"l-{n}", t, SETTINGS.get(n)) for n, t in CLASSIFIERS.items())
    for name in ("Spoiling", "Drawing", "Mixing", "Weighing"):
        yield one("generator", name.lower(), name)
    yield Component(
        kind="classifier", name="l-flattering", target="zslbench_flattering:Flattering", summary="a test's"
    )


@hookimpl
def zslbench_methods():
    given = {
        "transductive": {"embedding": "remembering"},
        "overwriting": {"generator": "weighing"},
        "steering": {"search": {"classifier.ridge": (0.01, 1.0, 100.0)}},
        "told": {"readings": READINGS},
    }
    for name in [*CLASSIFIERS, "flattering"]:
        options = {"embedding": "plain", "summary": "a test's"} | given.get(name, {})
        yield Method(name=name, classifier=f"l-{name}", group="embedding", **options)
    yield Method(name="batch-norm", embedding="batch-norm", classifier="l-honest", summary="a test's")
    for name in ("spoiling", "drawing", "mixing"):
        yield Method(name=name, embedding="plain", generator=name, classifier="l-honest", summary="a test's")
