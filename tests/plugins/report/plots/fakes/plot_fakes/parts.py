"""Closed-form fakes."""

from __future__ import annotations

import torch

from zslbench.plugin.interfaces import Embedding, Generator
from zslbench.plugin.programs import Normal
from zslbench.plugin.views import Attention, Guide


class Looker(Embedding):
    """Attribute a looks at the region where channel a is strongest, and at nothing else."""

    inputs = "regions"

    def fit(self, view):
        return {"head": {"W": torch.eye(view.features.shape[1])[:, : len(self.space.names)]}}

    def embed(self, nets, inputs):
        mean = inputs.mean(dim=1)
        return mean / (1 + mean)

    def guide(self, nets):
        return Guide(nets, lambda nets, g: g @ nets["head"]["W"])

    def attention(self, nets, inputs):
        attributes = self.space.semantics.shape[1]
        strongest, where = inputs[:, :, :attributes].max(dim=1)
        maps = torch.nn.functional.one_hot(where, inputs.shape[1]).to(inputs.dtype)
        return Attention(maps, strongest, inputs.square().sum(dim=2))


class Blind(Looker):
    """Without attention."""

    def attention(self, nets, inputs):
        return None


class Wrong(Looker):
    """One attribute too few."""

    def attention(self, nets, inputs):
        maps, scores, overall = super().attention(nets, inputs)
        return Attention(maps[:, 1:], scores, overall)


class Lost(Looker):
    """Looks nowhere: NaN."""

    def attention(self, nets, inputs):
        maps, scores, overall = super().attention(nets, inputs)
        return Attention(maps / 0, scores, overall)


class Blobs(Generator):
    """A ridge from semantics to features, with a little noise."""

    per_class = 12
    sample_noise = {"jitter": Normal(())}  # noqa: RUF012

    def fit(self, view):
        a = self.space.semantics[view.labels]
        w = torch.linalg.solve(a.T @ a + 0.1 * torch.eye(a.shape[1]), a.T @ view.features)
        return {"map": {"W": w}}

    def sample(self, nets, semantics, noise):
        return semantics @ nets["map"]["W"] + 0.01 * noise["jitter"][:, None]


class Codes(Blobs):
    """The classifier sees the first three numbers: of images, and of semantics for unseen classes."""

    samples = "inputs"

    def sample(self, nets, semantics, noise):
        return super().sample(nets, semantics, noise)[:, :3]

    def transform(self, nets, g, noise):
        return g[:, :3]
