"""Embeddings: sound ones, and ones that break one rule each."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import torch

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import Embedding
from zslbench.plugin.programs import (
    Cosine,
    Episodic,
    Losses,
    Optimizer,
    Permutation,
    Program,
    Step,
    Uniform,
    WarmUp,
)
from zslbench.plugin.views import Guide
from zslbench.training import (
    center_crop,
    cross_entropy,
    gradient_penalty,
    initial_linear,
    linear,
    random_flip,
    random_resized_crop,
    warm_up,
)


class Sound(Embedding):
    """A trained map with a guide, one noise term and a state."""

    model = "TrainedSettings"
    epochs = property(lambda self: self.settings.epochs)

    def fit(self, view):
        self.width = view.features.shape[1]
        return Program(
            initial=self.initial,
            passes=((Step("fit", self.losses, ("map", "head"), {"mask": Uniform((self.width,))}),),),
            optimizers={"map": Optimizer(), "head": Optimizer("sgd")},
            features=view.features,
            labels=view.labels,
            epochs=self.epochs,
            batch_size=7,
            state={"steps": torch.zeros(())},
        )

    def initial(self, streams):
        return {
            "map": initial_linear(streams, "map", "out", self.width, self.width),
            "head": initial_linear(streams, "head", "out", self.width, len(self.space.names)),
        }

    def losses(self, nets, batch, noise):
        x = batch.features * (noise["mask"] > 0.2)
        logits = linear(nets["head"], "out", self.embed(nets, x))
        total = -logits.log_softmax(dim=1).gather(1, batch.labels[:, None]).mean()
        penalty = gradient_penalty(
            lambda g: linear(nets["head"], "out", g)[:, :1], x, x + 1, noise["mask"][:, :1]
        )
        return Losses(total + penalty, {"penalty": penalty}, {"steps": nets["state"]["steps"] + 1})

    def embed(self, nets, inputs):
        return torch.tanh(linear(nets["map"], "out", inputs))

    def guide(self, nets):
        return Guide({"head": nets["head"]}, lambda nets, g: linear(nets["head"], "out", g))


class SoundStages(Sound):
    """A preparatory program of a length of its own, and the paced one, which reads and keeps its result."""

    def fit(self, view):
        program = super().fit(view)
        first = yield replace(program, name="first", epochs=self.prepares(), paced=False)
        start = {"first": first["map"]}
        second = yield replace(program, name="second", initial=lambda streams: first, frozen=start)
        return {"map": second["map"], "head": second["head"], **start}

    def prepares(self):
        return 2


class SoundEight(Sound):
    """Compares images with class semantics at a width of 8; episodes, a warm-up, an order, a schedule."""

    def fit(self, view):
        program = super().fit(view)
        step = Step("fit", self.losses, ("map", "head"), {"order": Permutation()})
        rule = Optimizer("sgd", lr=0.1, clip_norm=1.0, lr_schedule=WarmUp(2, Cosine()))
        return replace(
            program,
            passes=((step,),),
            optimizers={"map": rule, "head": rule},
            batch_size=6,
            sampler=Episodic(classes=2, images=3),
        )

    def initial(self, streams):
        attributes = self.space.semantics.shape[1]
        return {
            "map": initial_linear(streams, "map", "out", self.width, 8),
            "head": initial_linear(streams, "head", "out", attributes, 8),
        }

    def losses(self, nets, batch, noise):
        classes = linear(nets["head"], "out", self.space.semantics)
        logits = self.embed(nets, batch.features) @ classes.T
        first = batch.features.reshape(2, 3, -1).mean(dim=1)
        mixed = self.embed(nets, batch.features[noise["order"]]) + self.embed(nets, first).mean(dim=0)
        weight = warm_up(batch.progress.epoch, 3, 9, to=0.5)
        total = cross_entropy(logits, batch.labels) + weight * (mixed**2).mean()
        return Losses(total, {"weight": weight}, {"steps": nets["state"]["steps"] + 1})

    def guide(self, nets):
        return None


class SoundRegions(Embedding):
    """Closed form on regions."""

    inputs = "regions"

    def fit(self, view):
        rows = torch.arange(len(view.regions))
        return {"centre": {"mean": view.regions[rows].mean(dim=(0, 1))}}

    def embed(self, nets, inputs):
        return inputs.mean(dim=1) - nets["centre"]["mean"]


class RegionsAtOnce(SoundRegions):
    """view_unchanged: AttributeError: 'TinyRegions' object has no attribute 'mean'"""

    def fit(self, view):
        return {"centre": {"mean": view.regions.mean(dim=(0, 1))}}


class NineTiles(SoundRegions):
    """Sound, but only on nine regions."""

    def fit(self, view):
        regions = view.regions[torch.arange(1)].shape[1]
        if regions != 9:
            raise ZslbenchError(f"embedding ninetiles needs 9 regions, not {regions}")
        return super().fit(view)


# --- use -----------------------------------------------------------------------------------------


class DropsAxis(SoundRegions):
    """output_shape: shape (24,), not (24, d)"""

    def embed(self, nets, inputs):
        return super().embed(nets, inputs).sum(dim=1)


class OneRow(SoundRegions):
    """output_shape: shape (1, 8), not (24, d)"""

    def embed(self, nets, inputs):
        return super().embed(nets, inputs)[:1]


class LogOfNegative(SoundRegions):
    """output_shape: NaN or infinite"""

    def embed(self, nets, inputs):
        return super().embed(nets, inputs).log()


class Centres(SoundRegions):
    """rows_independent: rows with fewer others"""

    def embed(self, nets, inputs):
        g = super().embed(nets, inputs)
        return g - g.mean(dim=0)


class EmbedsInPlace(SoundRegions):
    """use_is_pure: embed changes inputs in place"""

    def embed(self, nets, inputs):
        return inputs.sub_(nets["centre"]["mean"]).mean(dim=1)


class EmbedsWithChance(SoundRegions):
    """use_is_pure: other values when called again"""

    def embed(self, nets, inputs):
        return torch.dropout(super().embed(nets, inputs), 0.5, True)


# --- guides --------------------------------------------------------------------------------------


class GuideOfSeen(Sound):
    """guide_scores: shape (24, 4), not (24, 6)"""

    def guide(self, nets):
        guide = super().guide(nets)
        return replace(guide, scores=lambda nets, g: guide.scores(nets, g)[:, self.space.seen])


class GuideIsFunction(Sound):
    """guide_scores: a function, not a Guide"""

    def guide(self, nets):
        return super().guide(nets).scores


class GuideDetaches(Sound):
    """guide_scores: no finite, non-zero derivative"""

    def guide(self, nets):
        guide = super().guide(nets)
        return replace(guide, scores=lambda nets, g: guide.scores(nets, g.detach()))


class GuideOverBatch(Sound):
    """guide_scores: guide.scores returns other values for rows"""

    def guide(self, nets):
        guide = super().guide(nets)
        return replace(guide, scores=lambda nets, g: guide.scores(nets, g).softmax(dim=0))


class GuideBranches(Sound):
    """guide_scores: cannot be differentiated or lifted"""

    def guide(self, nets):
        guide = super().guide(nets)
        return replace(
            guide, scores=lambda nets, g: guide.scores(nets, g) + nets["head"]["out.bias"].max().item()
        )


class GuideTrains(Sound):
    """guide_scores: the guide's networks require gradients"""

    def guide(self, nets):
        guide = super().guide(nets)
        head = {name: tensor.clone().requires_grad_() for name, tensor in guide.networks["head"].items()}
        return replace(guide, networks={"head": head})


class GuideForgets(Sound):
    """guide_scores: guide.scores changes networks/head/out.bias in place"""

    def guide(self, nets):
        guide = super().guide(nets)

        def scores(nets, g):
            found = guide.scores(nets, g)
            nets["head"]["out.bias"].detach().data.add_(1e-9)
            return found

        return replace(guide, scores=scores)


class Prints(Sound):
    """leaves_process_alone: fit prints 'fitting' to standard output"""

    def fit(self, view):
        os.write(1, b"fitting\n")
        return super().fit(view)


class Widens(Sound):
    """leaves_process_alone: fit leaves torch's default dtype (torch.float32 before, torch.float64 after)"""

    def fit(self, view):
        torch.set_default_dtype(torch.float64)
        return super().fit(view)


class Moves(Sound):
    """leaves_process_alone: leaves the environment variables (PATH), the working directory"""

    def embed(self, nets, inputs):
        os.environ["PATH"] += os.pathsep
        os.chdir(os.pardir)
        return super().embed(nets, inputs)


class Exits(Sound):
    """output_shape: SystemExit: 3 (rule:"""

    def embed(self, nets, inputs):
        sys.exit(3)


class Stops(Sound):
    """leaves_process_alone: KeyboardInterrupt (rule:"""

    def fit(self, view):
        raise KeyboardInterrupt


class SoundImages(Embedding):
    """Mean responses of trained filters on random crops of pictures, in parts of a batch; a running mean."""

    model = "TrainedSettings"
    inputs = "images"

    @classmethod
    def image_size(cls, settings):
        return 12

    def fit(self, view):
        noise = {"crop": Uniform((4,)), "flip": Uniform(())}
        step = Step("fit", self.losses, ("filters", "head"), noise, accumulate=2)
        return Program(
            initial=self.initial,
            passes=((step,),),
            optimizers={"filters": Optimizer(), "head": Optimizer()},
            features=view.images,
            labels=view.labels,
            epochs=self.settings.epochs,
            batch_size=8,
            state={"mean": torch.zeros(4)},
            lift=False,
        )

    def initial(self, streams):
        return {
            "filters": {"weight": streams.normal("filters", (4, 3, 3, 3))},
            "head": initial_linear(streams, "head", "out", 4, len(self.space.names)),
        }

    def losses(self, nets, batch, noise):
        x = random_flip(random_resized_crop(batch.features, noise["crop"], 8), noise["flip"])
        g = self.responses(nets, x)
        total = cross_entropy(linear(nets["head"], "out", g), batch.labels, self.space.seen)
        return Losses(total, {}, {"mean": 0.9 * nets["state"]["mean"] + 0.1 * g.mean(dim=0)})

    def responses(self, nets, x):
        return torch.nn.functional.conv2d(x, nets["filters"]["weight"]).relu().mean(dim=(2, 3))

    def embed(self, nets, inputs):
        return self.responses(nets, center_crop(inputs, 8)) - nets["state"]["mean"]
