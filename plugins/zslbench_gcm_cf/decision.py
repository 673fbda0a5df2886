"""GCM-CF's inference (Yue et al., CVPR 2021): is an image of a seen or of an unseen class?

"Would its counterfactual still look like itself?" For an image x and every unseen class u,

    x̃_u = G(z, a_u) with z ~ E(x)                                        the counterfactuals of x
    f_x, a softmax classifier on real features and on x's own x̃_u       :func:`fit_softmax`

and the class with the highest f_x(x) decides: seen or unseen? Stage 2 names the class (:func:`two_stage`), by
one softmax classifier on real features of seen classes and one on the generator's samples of unseen classes.
(The released stage 2 samples from a plain TF-VAEGAN, trained separately; here it is the same generator.)

Every image gets the same ε for z = μ(x) + σ(x) ε, initial weights and order of batches. They are drawn from
the run's streams when the classifier is fitted, so that a score depends on no other image and is repeatable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator as Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import SettingsError
from zslbench.plugin import (
    Batch,
    Classifier,
    Derived,
    Generator,
    Losses,
    Networks,
    Noise,
    Program,
    Step,
    Streams,
    TrainView,
)
from zslbench.training import draw, initial_linear, linear
from zslbench_common.settings import SoftmaxSettings
from zslbench_common.softmax import Softmax
from zslbench_gcm_cf.settings import CounterfactualSettings, Decision, SeenStage, UnseenStage


def fit_softmax(
    inputs: Float[Tensor, "i n e"],
    labels: Int[Tensor, " n"],
    order: Int[Tensor, "steps batch"],
    weight: Float[Tensor, "classes e"],
    bias: Float[Tensor, " classes"],
    lr: float,
    beta1: float,
) -> tuple[Float[Tensor, "i classes e"], Float[Tensor, "i classes"]]:
    """A softmax classifier for each of i images, by Adam on the cross-entropy, from the same weights.

    The gradient is in closed form, (p − y) [x; 1]ᵀ: images are scored without automatic differentiation.

    Args:
        inputs: n training features of each image.
        order: the rows of each step's batch.
    """
    one_hot = torch.nn.functional.one_hot(labels, len(weight)).to(inputs.dtype)
    extended = torch.cat([weight, bias[:, None]], dim=1)
    weights = extended.expand(len(inputs), *extended.shape).clone()
    adam = torch.optim.Adam([weights], lr=lr, betas=(beta1, 0.999), fused=True)
    inputs = torch.nn.functional.pad(inputs, (0, 1), value=1.0)
    for rows in order:
        x = inputs.index_select(1, rows)
        surplus = (torch.softmax(x @ weights.mT, dim=-1) - one_hot[rows]) / len(rows)
        weights.grad = surplus.mT @ x
        adam.step()
    return weights[..., :-1], weights[..., -1]


def two_stage(
    decision: Float[Tensor, "n classes"],
    seen: Float[Tensor, "n seen"],
    unseen: Float[Tensor, "n unseen"],
    seen_ids: Int[Tensor, " seen"],
    unseen_ids: Int[Tensor, " unseen"],
) -> Float[Tensor, "n classes"]:
    """Scores whose highest is stage 2's choice within the group, seen or unseen, that stage 1 decides for.

    s_c = max decision_c′ + (stage2_c − max stage2_c′), with maxima over the group of c, so that an offset of
    seen classes moves the decision as it would move f_x.
    """
    scores = torch.empty_like(decision)
    for stage2, ids in ((seen, seen_ids), (unseen, unseen_ids)):
        best = decision[:, ids].amax(dim=1, keepdim=True)
        scores[:, ids] = best + (stage2 - stage2.amax(dim=1, keepdim=True))
    return scores


class CounterfactualClassifier(Classifier):
    """Stage 1 decides by counterfactuals, stage 2 names the class; for any generator that encodes images."""

    settings: CounterfactualSettings
    needs_examples = True
    reads: ClassVar[Literal["inputs", "features"]] = "features"
    generator: Generator

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        inputs = self.transformed(nets, features)
        unseen = torch.log_softmax(linear(nets["unseen"], "out", inputs), dim=1)
        if "seen" not in nets:  # CZSL
            return unseen
        seen = torch.log_softmax(linear(nets["seen"], "out", inputs), dim=1)
        if self.settings.decision.mode == "shared":
            logits = linear(nets["decision"], "out", inputs)
        else:
            none = inputs.new_zeros(0, len(self.space.names))
            logits = torch.cat([none, *self.per_image(nets, features, inputs)])
        decision = torch.log_softmax(logits, dim=1)
        return two_stage(decision, seen, unseen, self.space.seen, self.space.unseen)

    @torch.no_grad()
    def per_image(self, nets: Networks, g: Tensor, inputs: Tensor) -> Iterator[Float[Tensor, "some classes"]]:
        """f_x(x) of each image, in chunks of equal size, so that rounding is the same for all."""
        s, own = self.settings.decision, nets["decision"]
        size = s.images_at_once
        for start in range(0, len(g), size):
            rows = torch.arange(start, start + size, device=g.device).clamp_max(len(g) - 1)
            made = self.transformed(nets, self.counterfactuals(nets, g[rows]))
            real = own["inputs"].expand(size, *own["inputs"].shape)
            examples = torch.cat([real, made.reshape(size, -1, made.shape[1])], dim=1)
            weights, biases = fit_softmax(
                examples, own["labels"], own["order"], own["out.weight"], own["out.bias"], s.lr, s.beta1
            )
            logits = (weights @ inputs[rows, :, None])[..., 0] + biases
            yield logits[: len(g) - start]

    def counterfactuals(self, nets: Networks, g: Float[Tensor, "i d"]) -> Float[Tensor, "i_unseen_m d"]:
        """x̃ of every image, for its unseen classes one after the other, m of each."""
        own, unseen = nets["noise"], self.space.semantics[self.space.unseen]
        count = len(next(iter(own.values())))
        a = unseen.repeat_interleave(count // len(unseen), dim=0).repeat(len(g), 1)
        noise = {name: one.repeat(len(g), *[1] * (one.ndim - 1)) for name, one in own.items()}
        generator = self.upstream(nets)
        z = self.generator.encode(generator, g.repeat_interleave(count, dim=0), a, noise)
        assert z is not None  # see require_encoder
        return self.generator.sample(generator, a, z)

    def upstream(self, nets: Networks) -> Networks:
        """The generator's networks, which are kept among this classifier's."""
        return {name[10:]: net for name, net in nets.items() if name.startswith("generator.")}

    def transformed(self, nets: Networks, g: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """What the softmax classifiers see of features g."""
        return self.generator.transform(self.upstream(nets), g, {})

    # --- what is fitted before there are test images ---------------------------------------------------

    def fit(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        """Stage 2, and what the fits of stage 1 read.

        Raises:
            SettingsError: stage 1 uses counterfactuals, and the generator does not encode images.
        """
        s, space, g, labels = self.settings, self.space, view.features, view.labels
        nets = {f"generator.{name}": net for name, net in view.networks["generator"].items()}
        with torch.no_grad():
            inputs = self.transformed(nets, g)
        if view.task == "czsl":
            return nets | (yield self.softmax("unseen", s.unseen, inputs, labels, space.unseen))
        real = torch.isin(labels, space.seen)
        nets |= yield self.softmax("unseen", s.unseen, inputs[~real], labels[~real], space.unseen)
        if s.decision.mode == "shared":
            nets |= yield self.softmax("seen", s.seen, inputs[real], labels[real], space.seen)
            everything = torch.arange(len(space.names), device=labels.device)
            return nets | (yield self.softmax("decision", s.decision, inputs, labels, everything))
        self.require_encoder(nets, g)
        kept = real
        if s.decision.mode == "sub-sampled":
            kept = real & (earlier_of_class(labels) < s.decision.sub_sample)
        initial = partial(self.random_numbers, real=int(kept.sum()), width=inputs.shape[1])
        nets |= yield self.softmax("seen", s.seen, inputs[real], labels[real], space.seen, initial)
        made = space.unseen.repeat_interleave(self.per_class)
        nets["decision"] |= {"inputs": inputs[kept], "labels": torch.cat([labels[kept], made])}
        return nets

    def softmax(
        self,
        name: str,
        stage: Decision | SeenStage | UnseenStage,
        inputs: Float[Tensor, "n e"],
        labels: Int[Tensor, " n"],
        ids: Int[Tensor, " some"],
        more: Callable[[Streams], Networks] = lambda streams: {},
    ) -> Program:
        """Trains the network ``name``, a softmax classifier over the classes ``ids``; the networks that
        ``more`` returns come with it unchanged."""
        values = {field: getattr(stage, field) for field in ("epochs", "batch_size", "lr", "beta1")}
        classes = tuple(self.space.names[one] for one in ids.tolist())
        part = Softmax(SoftmaxSettings(**values), replace(self.space, names=classes))
        program = part.fit(TrainView(inputs, torch.searchsorted(ids, labels)))
        assert isinstance(program, Program)

        def initial(streams: Streams) -> Networks:
            return {name: program.initial(streams)["softmax"], **more(streams)}

        def losses(nets: Networks, batch: Batch, noise: Noise) -> Losses:
            return part.losses({"softmax": nets[name]}, batch, noise)

        return replace(
            program,
            initial=initial,
            passes=((Step(name, losses, updates=(name,)),),),
            optimizers={name: program.optimizers["softmax"]},
            name=name,
            paced=False,
        )

    @property
    def per_class(self) -> int:
        """Counterfactuals of each unseen class."""
        s = self.settings.decision
        return s.sub_sample if s.mode == "sub-sampled" else s.per_class

    def random_numbers(self, streams: Streams, real: int, width: int) -> Networks:
        """Initial weights, order of batches and noise of the counterfactuals, the same for every image.

        Args:
            real: features of seen classes; width: of a feature.
        """
        s = self.settings.decision
        made = len(self.space.unseen) * self.per_class
        total = real + made
        steps = s.epochs * math.ceil(total / s.batch_size)
        passes = math.ceil(steps * s.batch_size / total)  # batches wrap from one permutation into the next
        order = streams.uniform("decision.order", (passes, total)).argsort(dim=1).flatten()
        start = initial_linear(streams, "decision", "out", width, len(self.space.names))
        noise = {
            name: draw(spec, made, streams, f"decision.{name}")
            for name, spec in self.generator.sample_noise.items()
        }
        return {
            "decision": start | {"order": order[: steps * s.batch_size].reshape(steps, s.batch_size)},
            "noise": noise,
        }

    def require_encoder(self, nets: Networks, g: Float[Tensor, "n d"]) -> None:
        """Raise SettingsError unless the generator encodes features."""
        a = self.space.semantics[self.space.unseen[:1]]
        if self.generator.encode(self.upstream(nets), g[:1], a, {}) is None:
            raise SettingsError(
                "classifier gcm-cf: counterfactuals need a generator that encodes features, such as gcm-cf "
                "or tf-vaegan; with this one use --set classifier.decision.mode=shared"
            )


def earlier_of_class(labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """How many earlier rows have the row's label."""
    order = labels.argsort(stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(labels), device=labels.device)
    counts = labels.bincount()
    return ranks - (counts.cumsum(0) - counts)[labels]
