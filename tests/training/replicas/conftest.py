"""Programs and groups so small that a test takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from zslbench.plugin.programs import Choice, Losses, Normal, Optimizer, Program, Step, Uniform
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Trained, Training, train
from zslbench.training.threads import Group

ROWS, WIDTH, CLASSES, HIDDEN = 60, 12, 5, 16
# torch computes a batched product of fewer than 400 multiplications by another kernel than a plain one.
BATCH = 40


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SEMANTICS = tensor(CLASSES, 6, seed=1)


def first_losses(nets, batch, noise):
    """Reads all that a step may read."""
    hidden = torch.tanh((batch.features + noise["z"]) @ nets["one"]["w"] + nets["one"]["b"])
    out = hidden @ nets["two"]["v"] - noise["u"] * (batch.semantics @ nets["guide"]["g"])
    picked = (noise["c"] == batch.labels).to(out.dtype).mean()
    total = (out**2).mean() * nets["state"]["scale"] + 0.1 * picked
    state = {"scale": 0.9 * nets["state"]["scale"] + 0.01 * total}
    return Losses(total, {"picked": picked, "scale": nets["state"]["scale"]}, state)


def second_losses(nets, batch, noise):
    return Losses(((batch.features @ nets["one"]["w"]) ** 2).mean() + (nets["two"]["v"] ** 2).sum(), {})


NOISE = {"z": Normal((WIDTH,)), "u": Uniform((1,)), "c": Choice(torch.arange(CLASSES))}


def a_program(seed: int = 0, *, per_seed: bool = False, **changes: Any) -> Program:
    """Networks, a state, a frozen network, two passes. ``per_seed``: features and guide are the seed's."""
    first = Step("first", first_losses, updates=("one", "two"), noise=NOISE)
    second = Step("second", second_losses, updates=("two",), fresh_batch=False)

    def initial(streams):
        return {
            "one": {"w": 0.1 * streams.normal("w", (WIDTH, HIDDEN)), "b": torch.zeros(HIDDEN)},
            "two": {"v": 0.1 * streams.normal("v", (HIDDEN, HIDDEN))},
        }

    own = seed if per_seed else 0
    values = {
        "initial": initial,
        "passes": ((first, second), (first, first)),
        "optimizers": {"one": Optimizer("adam", lr=0.01), "two": Optimizer("rmsprop", lr=0.003)},
        "features": tensor(ROWS, WIDTH, seed=10 + own),
        "labels": torch.arange(ROWS) % CLASSES,
        "epochs": 2,
        "batch_size": BATCH,
        "sampler": "shuffled",
        "frozen": {"guide": {"g": tensor(6, HIDDEN, seed=20 + own)}},
        "state": {"scale": torch.ones(())},
    }
    return Program(**(values | changes))


def in_float64(program: Program) -> Program:
    """The program with networks, features and noise in float64; the numbers drawn stay the same."""

    def cast(tree: Any) -> Any:
        if isinstance(tree, torch.Tensor):
            return tree.double() if tree.is_floating_point() else tree
        return {name: cast(one) for name, one in tree.items()}

    def casting(losses: Any) -> Any:
        return lambda nets, batch, noise: losses(
            nets, batch._replace(semantics=batch.semantics.double()), cast(noise)
        )

    passes = tuple(tuple(replace(s, losses=casting(s.losses)) for s in steps) for steps in program.passes)
    initial = program.initial
    return replace(
        program,
        passes=passes,
        initial=lambda streams: cast(initial(streams)),
        frozen=cast(program.frozen),
        state=cast(program.state),
        features=cast(program.features),
    )


Make = Callable[[int], Program]


def single(make: Make, seed: int, on_epoch: Any = None, **training: Any) -> Trained:
    return train(make(seed), SEMANTICS, Training(Streams(seed), stage="part", **training), on_epoch)


def together(
    make: Make,
    seeds: Sequence[int],
    *,
    width: int | None = None,
    on_epoch: Any = None,
    until: Mapping[int, int] | None = None,
    **training: Any,
) -> tuple[list[Any], Group]:
    """What each seed ended with (or the error), and the group; ``on_epoch``: called with the seed first;
    ``until``: where each seed stops."""
    group = Group(width or len(seeds), training.pop("group_folder", None))

    def work(seed):
        def run(member):
            own = Training(Streams(seed), stage="part", member=member, **training)
            called = on_epoch and (lambda epoch, nets: on_epoch(own, epoch, nets))
            return train(make(seed), SEMANTICS, own, called, (until or {}).get(seed))

        return run

    ends = group.run({slot: work(seed) for slot, seed in enumerate(seeds)})
    return [ends[slot] for slot in range(len(seeds))], group


def is_same(one: Trained, other: Trained) -> bool:
    """Bit for bit, and the rows of all epochs."""
    assert one.networks.keys() == other.networks.keys()
    tensors = [
        torch.equal(one.networks[net][name], value)
        for net, values in other.networks.items()
        for name, value in values.items()
    ]
    return all(tensors) and repr(one.epochs) == repr(other.epochs)


@pytest.fixture
def toy() -> Any:
    """The functions above, for tests, which cannot import a conftest."""

    class Toy:
        pass

    made = Toy()
    for one in (a_program, in_float64, single, together, is_same, tensor, first_losses, second_losses):
        setattr(made, one.__name__, one)
    made.semantics = SEMANTICS
    made.training = lambda streams, member: Training(streams, stage="part", member=member)
    return made
