"""Embeddings whose stages are kept: a sound one, and ones that leave out what a stage depends on."""

from __future__ import annotations

from dataclasses import replace

from zsl_fakes.embeddings import Sound
from zslbench.plugin.programs import Derived


class SoundKeyed(Sound):
    """A program that reads ``size``, and derived tensors that follow from it and read it again."""

    model, epochs = "SoundSettings", 2

    def fit(self, view):
        nets = yield replace(super().fit(view), paced=False, key=self.program_key())
        follows = yield Derived(lambda: self.compute(nets), self.source(nets), key=self.derived_key())
        return {**nets, **follows}

    def losses(self, nets, batch, noise):
        found = super().losses(nets, batch, noise)
        return found._replace(total=self.settings.size * found.total)

    def program_key(self):
        return {"size": self.settings.size}

    def compute(self, nets):
        return {"scale": {"x": self.settings.size * nets["map"]["out.weight"].amax(dim=0)}}

    def source(self, nets):
        return nets

    def derived_key(self):
        return {"size": self.settings.size}


class ProgramForgets(SoundKeyed):
    """reuse_changes_nothing: with another 'size' a stage"""

    def program_key(self):
        return {}


class DerivedForgets(SoundKeyed):
    """reuse_changes_nothing: (scale/x); add 'size' to the key"""

    # The program leaves the setting alone, so that what the tensors follow from stays the same.
    def losses(self, nets, batch, noise):
        return Sound.losses(self, nets, batch, noise)

    def derived_key(self):
        return {}


class DerivedForgetsItsSource(SoundKeyed):
    """reuse_changes_nothing: (scale/x); add 'size' to the key"""

    def compute(self, nets):
        return {"scale": {"x": nets["map"]["out.weight"].amax(dim=0)}}

    def source(self, nets):
        return {}

    def derived_key(self):
        return {}
