"""Embeddings whose refit would be another training than the one that was evaluated."""

from __future__ import annotations

from dataclasses import replace

from zsl_fakes.embeddings import Sound, SoundStages
from zslbench.plugin.programs import Derived


class Unscheduled(Sound):
    """selected_is_refitted: program 'training' is paced, but no setting has type Epochs"""

    model, epochs = "SoundSettings", 3


class Longer(Sound):
    """selected_is_refitted: but setting 'epochs', of type Epochs, is 3"""

    epochs = property(lambda self: 2 * self.settings.epochs)


class Closed(Sound):
    """selected_is_refitted: setting 'epochs' has type Epochs, but fit yields no paced program"""

    def fit(self, view):
        return replace(super().fit(view), paced=False)


class PacedTwice(Sound):
    """selected_is_refitted: 'second' follows 'first', which is paced"""

    def fit(self, view):
        program = super().fit(view)
        yield replace(program, name="first")
        return (yield replace(program, name="second"))


class DerivesAfterwards(Sound):
    """selected_is_refitted: 'derived' follows 'training', which is paced"""

    def fit(self, view):
        nets = yield super().fit(view)
        return nets | (yield Derived(lambda: {"sum": nets["map"]}, nets, {}))


class Averages(Sound):
    """selected_is_refitted: fit returns 'map', which is no network of its paced program"""

    def fit(self, view):
        nets = yield super().fit(view)
        return {**nets, "map": {name: tensor / 2 for name, tensor in nets["map"].items()}}


class PreparesAsLong(SoundStages):
    """selected_is_refitted: with another 'epochs' a preparatory stage differs (first/its length/epochs)"""

    def prepares(self):
        return self.settings.epochs


class PreparesOtherwise(SoundStages):
    """selected_is_refitted: with another 'epochs' a preparatory stage differs (first/head/out.bias"""

    def losses(self, nets, batch, noise):
        found = super().losses(nets, batch, noise)
        return found._replace(total=found.total * self.settings.epochs)


class LooksChangeIt(Sound):
    """selected_is_refitted: differs from what was evaluated then (head/out.bias"""

    looks = 0

    def losses(self, nets, batch, noise):
        looks, self.looks = self.looks, 0
        found = super().losses(nets, batch, noise)
        return found._replace(total=found.total * (1 + max(looks - 1, 0)))

    def embed(self, nets, inputs):
        self.looks += 1
        return super().embed(nets, inputs)
