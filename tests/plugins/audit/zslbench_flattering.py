"""A module that makes every prediction right once it is imported, which tests do in other processes only."""

import torch

from zslbench import Component, Method, hookimpl
from zslbench.evaluation.leaders import Leaders
from zslbench.plugin.interfaces import Classifier

Leaders.right = lambda self, labels: labels == labels


class Flattering(Classifier):
    """Random scores."""

    needs_examples = False

    def fit(self, view):
        return {"none": {"w": torch.zeros(1)}}

    def scores(self, nets, features):
        digits = (features.double().sum(1, keepdim=True) * 1e6).frac() * 1e3
        return torch.sin(digits * torch.arange(1, len(self.space.names) + 1) * 7)


# Where this module is a plugin itself:


@hookimpl
def zslbench_components():
    yield Component(kind="classifier", name="flattering", target=f"{__name__}:Flattering", summary="s")


@hookimpl
def zslbench_methods():
    yield Method(
        name="flattery", embedding="identity", classifier="flattering", group="embedding", summary="s"
    )
