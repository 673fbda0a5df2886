"""Classifiers: sound ones, and ones that break one rule each."""

from __future__ import annotations

import numpy as np
import torch

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import Classifier


class Sound(Classifier):
    """Ridge regression from features to semantics; float64."""

    needs_examples = False

    def fit(self, view):
        x = view.features.double()
        y = self.space.semantics.double()[view.labels]
        return {"ridge": {"W": torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]).double(), x.T @ y)}}

    def scores(self, nets, features):
        return features.double() @ nets["ridge"]["W"] @ self.space.semantics.double().T


class SoundExamples(Classifier):
    """Nearest class mean."""

    needs_examples = True

    def fit(self, view):
        classes = torch.arange(len(self.space.names))
        return {
            "means": {"mean": torch.stack([view.features[view.labels == c].mean(dim=0) for c in classes])}
        }

    def scores(self, nets, features):
        return -((features[:, None] - nets["means"]["mean"]) ** 2).sum(dim=2)


class SoundCounterfactual(SoundExamples):
    """Compares an image with what the generator makes of it for each class."""

    reads = "features"

    def fit(self, view):
        nets = {**super().fit(view), **view.networks["generator"]}
        if self.generator.encode(nets, view.features[:1], self.space.semantics[:1], {}) is None:
            raise ZslbenchError("classifier soundcounterfactual needs a generator with an encoder")
        return nets

    def scores(self, nets, features):
        g, a, n = features, self.space.semantics, len(features)
        code = self.generator.encode(nets, g, a[:1].expand(n, -1), {})
        made = [self.generator.sample(nets, one.expand(n, -1), code) for one in a]
        return super().scores(nets, features) - torch.stack([(g - one).abs().sum(1) for one in made], dim=1)


class EncoderForGranted(SoundCounterfactual):
    """encoder_is_optional: TypeError"""

    def fit(self, view):
        a = self.generator.space.semantics[view.labels]
        code = self.generator.encode(view.networks["generator"], view.features, a, {})
        return {**SoundExamples.fit(self, view), **view.networks["generator"], "code": {**code}}


class UpstreamInPlace(SoundExamples):
    """view_unchanged: view/networks/generator/tiny_generator/w in place"""

    def fit(self, view):
        view.networks["generator"]["tiny_generator"]["w"].zero_()
        return super().fit(view)


class UpstreamKept(SoundCounterfactual):
    """state_in_networks: an attribute that fit sets"""

    def fit(self, view):
        self.upstream = view.networks["generator"]
        return SoundExamples.fit(self, view)

    def scores(self, nets, features):
        return super().scores({**nets, **self.upstream}, features)


class SeenOnly(Sound):
    """output_shape: shape (24, 4), not (24, 6)"""

    def scores(self, nets, features):
        return super().scores(nets, features)[:, self.space.seen]


class MinusInfinity(Sound):
    """output_shape: NaN or infinite"""

    def scores(self, nets, features):
        return super().scores(nets, features).index_fill(1, self.space.unseen, -torch.inf)


class UnseenAlike(Sound):
    """scores_unseen_classes: all unseen classes get the same score"""

    def scores(self, nets, features):
        return super().scores(nets, features).index_fill(1, self.space.unseen, 0)


class SoftmaxOverImages(Sound):
    """rows_independent: scores returns other values for rows"""

    def scores(self, nets, features):
        return super().scores(nets, features).softmax(dim=0)


class WantsSeenClasses(SoundExamples):
    """scores_unseen_classes: IndexError"""

    def fit(self, view):
        _ = self.space.seen[0]
        return super().fit(view)


class AllClassesAlways(SoundExamples):
    """scores_unseen_classes: shape (36, 6), not (36, 2)"""

    def scores(self, nets, features):
        return torch.nn.functional.pad(super().scores(nets, features), (0, 6 - len(self.space.names)))


class MovesMeans(SoundExamples):
    """use_is_pure: scores changes networks/means/mean in place"""

    def scores(self, nets, features):
        nets["means"]["mean"].add_(1)
        return super().scores(nets, features)


class RaisesNumpy(Sound):
    """leaves_process_alone: scores leaves numpy's handling of floating-point errors"""

    def scores(self, nets, features):
        np.seterr(all="raise")
        return super().scores(nets, features)
