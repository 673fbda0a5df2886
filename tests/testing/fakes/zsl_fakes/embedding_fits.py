"""Embeddings whose ``fit`` breaks a rule."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import torch

from zsl_fakes.embeddings import Sound, SoundRegions
from zslbench.plugin.programs import Optimizer, Step


class GivesList(Sound):
    """fit_form: a list"""

    def fit(self, view):
        return []


class Unfittable(Sound):
    """fit_form: KeyError: 'critic'"""

    def fit(self, view):
        return {}["critic"]


class UpdatesNothing(Sound):
    """fit_form: updates no network"""

    def fit(self, view):
        return replace(super().fit(view), passes=((Step("fit", self.losses, ()),),))


class UpdatesUnknown(Sound):
    """fit_form: PluginError: program 'training': optimizers for ['head'], but no such networks"""

    def initial(self, streams):
        return {"map": super().initial(streams)["map"]}


class UpdatesIntegers(Sound):
    """fit_form: updates 'map', whose 'order' is torch.int64"""

    def initial(self, streams):
        nets = super().initial(streams)
        return {**nets, "map": {**nets["map"], "order": torch.arange(3)}}


class LabelsMissing(Sound):
    """fit_form: 24 features and 23 labels"""

    def fit(self, view):
        return replace(super().fit(view), labels=view.labels[1:])


class NoOptimizer(Sound):
    """fit_form: without an optimizer"""

    def fit(self, view):
        return replace(super().fit(view), optimizers={"map": Optimizer()})


class StrangeNoise(Sound):
    """fit_form: noise 'mask' is not a NoiseSpec"""

    def fit(self, view):
        program = super().fit(view)
        object.__setattr__(program.passes[0][0], "noise", {"mask": (12,)})
        return program


class NaNs(SoundRegions):
    """networks_well_formed: 'centre', 'mean' holds NaN"""

    def fit(self, view):
        return {"centre": {"mean": torch.full((8,), torch.nan)}}


class Numbers(SoundRegions):
    """networks_well_formed: 'mean' is a float, not a tensor"""

    def fit(self, view):
        return {"centre": {"mean": 1.0}}


class Flat(SoundRegions):
    """networks_well_formed: 'mean' is a Tensor, not a dictionary of tensors"""

    def fit(self, view):
        return {"mean": torch.ones(8)}


class Slash(SoundRegions):
    """networks_well_formed: must be text without '/'"""

    def fit(self, view):
        return {"my/centre": {"mean": torch.ones(8)}}


class Elsewhere(SoundRegions):
    """networks_well_formed: is on meta, not on cpu"""

    def fit(self, view):
        return {"centre": {"mean": torch.empty(8, device="meta")}}


class Gradients(Sound):
    """networks_well_formed: requires gradients"""

    def initial(self, streams):
        nets = super().initial(streams)
        nets["map"]["out.weight"].requires_grad_()
        return nets


class ScalesTheView(SoundRegions):
    """view_unchanged: view/regions/tensor in place"""

    def fit(self, view):
        view.regions.tensor.mul_(2)
        return super().fit(view)


class ScalesSemantics(SoundRegions):
    """view_unchanged: space/semantics in place"""

    def fit(self, view):
        self.space.semantics.add_(1)
        return super().fit(view)


class Clock(Sound):
    """same_seed_same_bits: two fits with the same streams differ in"""

    def initial(self, streams):
        nets = super().initial(streams)
        generator = torch.Generator()
        generator.seed()
        nets["map"]["out.weight"] = torch.randn((self.width, self.width), generator=generator)
        return nets


class OneInitial(Sound):
    """follows_the_seed: the same 'map/out.weight'"""

    def initial(self, streams):
        nets = super().initial(streams)
        generator = torch.Generator().manual_seed(0)
        nets["map"]["out.weight"] = torch.randn((self.width, self.width), generator=generator)
        return nets


class DrawsInVain(Sound):
    """follows_the_seed: the same networks for every seed"""

    def initial(self, streams):
        return {
            net: {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
            for net, tensors in super().initial(streams).items()
        }


class TorchGlobal(Sound):
    """no_global_randomness: depend on torch's global state"""

    def initial(self, streams):
        return {**super().initial(streams), "extra": {"x": torch.randn(3)}}


class NumpyGlobal(Sound):
    """no_global_randomness: depend on numpy.random's global state"""

    def initial(self, streams):
        return {**super().initial(streams), "extra": {"x": torch.tensor(np.random.rand(3))}}  # noqa: NPY002


class PythonGlobal(Sound):
    """no_global_randomness: depend on random's global state"""

    def initial(self, streams):
        return {**super().initial(streams), "extra": {"x": torch.tensor(random.random())}}


class KeepsState(SoundRegions):
    """state_in_networks: embed reads an attribute that fit sets"""

    def fit(self, view):
        self.mean = super().fit(view)["centre"]["mean"]
        return {}

    def embed(self, nets, inputs):
        return inputs.mean(dim=1) - self.mean


class KeepsScale(SoundRegions):
    """state_in_networks: embed depends on an attribute"""

    scale = 1

    def fit(self, view):
        self.scale = 2
        return super().fit(view)

    def embed(self, nets, inputs):
        return super().embed(nets, inputs) * self.scale
