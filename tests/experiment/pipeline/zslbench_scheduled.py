"""Embeddings that say their schedule in every way, allowed or not; for the classifier ``by-embedding``.

Their ``state/t`` counts epochs, and ``embed`` appends it, so the classifier's script knows the epoch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from zslbench_scripted import PacedEmbedding, StillGenerator, clock_program

from zslbench import Component, ComponentSettings, hookimpl
from zslbench.plugin import Count, Derived, Epochs, SettingsGroup


class Main(SettingsGroup):
    rounds: Epochs = 5
    """Length."""


class Grouped(ComponentSettings):
    epochs: Count = 2
    """Length of a preparatory stage."""
    main: Main = Main()
    """The paced program."""


class Undeclared(ComponentSettings):
    rounds: Count = 5
    """A length that nothing says is one."""


class Rounds(PacedEmbedding):
    """Its schedule is called ``main.rounds``; each epoch adds its share of it to ``state/share``."""

    length = property(lambda self: self.settings.main.rounds)

    def fit(self, view):
        return shared(clock_program(view, self.length), self.length)


def shared(program, length):
    ((step,),) = program.passes

    def losses(nets, batch, noise):
        found = step.losses(nets, batch, noise)
        return found._replace(state={**found.state, "share": nets["state"]["share"] + 1 / length})

    return replace(
        program,
        state={**program.state, "share": torch.zeros(())},
        passes=((replace(step, losses=losses),),),
    )


class Prepared(Rounds):
    """A preparatory stage as long as the paced one, whose networks the paced one starts from."""

    def fit(self, view):
        program = clock_program(view, self.length)
        first = yield replace(program, name="prepare", paced=False)
        nets = {"prepared": {"t": first["state"]["t"]}}
        return (yield replace(program, frozen=nets)) | nets


class UndeclaredLength(PacedEmbedding):
    def fit(self, view):
        return clock_program(view, self.settings.rounds)


class Unpaced(PacedEmbedding):
    """Trains a fixed number of epochs: nothing is selected."""

    def fit(self, view):
        return replace(clock_program(view, self.settings.rounds), paced=False)


class UnpacedGenerator(StillGenerator):
    def fit(self, view):
        return replace(clock_program(view, self.settings.rounds), paced=False)


class Idle(PacedEmbedding):
    """Has a schedule and trains nothing."""

    def fit(self, view):
        return {"state": {"t": torch.ones(())}}


class Twice(Rounds):
    """Trains two epochs for each of its setting."""

    length = property(lambda self: 2 * self.settings.main.rounds)


class Averaged(Rounds):
    """Returns other networks than it trains."""

    def fit(self, view):
        nets = yield clock_program(view, self.length)
        return {**nets, "dummy": {"w": nets["dummy"]["w"] / 2}}


class TwoSchedules(Rounds):
    def fit(self, view):
        yield replace(clock_program(view, self.length), name="one")
        return (yield replace(clock_program(view, self.length), name="two"))


class Followed(Rounds):
    """Trains on after the paced program."""

    def fit(self, view):
        yield replace(clock_program(view, self.length), name="one")
        return (yield replace(clock_program(view, 3), name="two", paced=False))


class Summed(Rounds):
    """Computes something from the networks of the paced program."""

    def fit(self, view):
        nets = yield replace(clock_program(view, self.length), name="one")
        return nets | (yield Derived(lambda: {"sum": nets["dummy"]}, nets, {}, name="two"))


class Reader(Rounds):
    """``embed`` reads a network that is computed before the paced program and is not among its own."""

    def fit(self, view):
        mean = yield Derived(lambda: {"mean": {"x": view.features.mean(0)}}, {}, {})
        return self.kept(mean, (yield clock_program(view, self.length)))

    def kept(self, mean, nets):
        return nets

    def embed(self, nets, inputs):
        return super().embed(nets, inputs + 0 * nets["mean"]["x"])


class FrozenReader(Reader):
    """The same, among its frozen networks."""

    def fit(self, view):
        mean = yield Derived(lambda: {"mean": {"x": view.features.mean(0)}}, {}, {})
        return (yield replace(clock_program(view, self.length), frozen=mean)) | mean


EMBEDDINGS = {
    "rounds": Rounds, "prepared": Prepared, "idle": Idle, "twice": Twice, "averaged": Averaged,
    "two-schedules": TwoSchedules, "followed": Followed, "summed": Summed, "reader": Reader,
    "frozen-reader": FrozenReader, "undeclared": UndeclaredLength, "unpaced": Unpaced,
}  # fmt: skip


@hookimpl
def zslbench_components():
    yield Component(
        kind="generator",
        name="unpaced",
        target=f"{__name__}:UnpacedGenerator",
        summary="a test's",
        settings=f"{__name__}:Undeclared",
    )
    for name, cls in EMBEDDINGS.items():
        settings = "Undeclared" if name in ("undeclared", "unpaced") else "Grouped"
        yield Component(
            kind="embedding",
            name=name,
            target=f"{__name__}:{cls.__name__}",
            summary="a test's",
            settings=f"{__name__}:{settings}",
        )
