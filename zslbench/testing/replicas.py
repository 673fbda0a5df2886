"""The check that seeds can train together: what the core does with ``--replicas``, on tiny inputs."""

from __future__ import annotations

from dataclasses import replace

from zslbench.plugin.streams import Streams
from zslbench.testing.check import Fault
from zslbench.testing.subject import EPOCHS, Subject
from zslbench.training.context import Training
from zslbench.training.replicas.asked import Asked, CannotLift, check_alike, form
from zslbench.training.replicas.lifted import LiftedRun

SEEDS = 3


def seeds_together(subject: Subject) -> None:
    """Three seeds' programs, lifted together, give each seed the losses and gradients of its plain steps."""
    semantics = subject.space().semantics
    for programs in zip(*(subject.programs(seed) for seed in range(SEEDS)), strict=True):
        asked = {
            seed: Asked(
                replace(program, epochs=min(program.epochs, EPOCHS)),
                semantics,
                Training(Streams(seed, subject.device), stage=program.name),
            )
            for seed, program in enumerate(programs)
        }
        run = LiftedRun(asked, range(SEEDS), None)
        try:
            check_alike({seed: form(one) for seed, one in asked.items()})
            run.train_epoch()
        except CannotLift as error:
            raise Fault(f"program '{programs[0].name}' of {SEEDS} seeds: {error}") from error
        finally:
            run.close()
