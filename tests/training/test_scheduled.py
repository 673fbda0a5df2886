"""What changes as training goes on, alone, resumed, captured and together; other noise and batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scheduled import (
    AGAIN,
    BATCH,
    EPOCHS,
    FIRST,
    ITERATIONS,
    OWN,
    RULES,
    SECOND,
    SEMANTICS,
    episodes,
    scheduled,
)
from tape import Taping
from torch.utils._pytree import tree_leaves

from zslbench.errors import Interrupted, PluginError
from zslbench.plugin.programs import (
    Batch,
    Choice,
    Episodic,
    Exponential,
    Losses,
    Normal,
    Optimizer,
    Permutation,
    Program,
    Step,
    Uniform,
)
from zslbench.plugin.streams import Streams
from zslbench.training import draw, warm_up
from zslbench.training.graphs import CAPTURED, WARM_UP, Graphs
from zslbench.training.iteration import Inputs, Iteration, ProgramInputs, last_progress
from zslbench.training.loop import Trained, Training, train
from zslbench.training.threads import Group


def run(
    program: Program, seed: int = 5, on_epoch: Any = None, until: int | None = None, **how: Any
) -> Trained:
    return train(program, SEMANTICS, Training(Streams(seed), stage="part", **how), on_epoch, until)


def same(one: Trained, other: Trained) -> bool:
    tensors = zip(tree_leaves(one.networks), tree_leaves(other.networks), strict=True)
    return all(torch.equal(*pair) for pair in tensors) and one.epochs == other.epochs


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Inputs]:
    """The inputs of all iterations."""
    noted: list[Inputs] = []
    plain = Iteration.__call__

    def call(one: Iteration, inputs: Inputs) -> None:
        noted.append(inputs)
        plain(one, inputs)

    monkeypatch.setattr(Iteration, "__call__", call)
    return noted


# --- progress -------------------------------------------------------------------------------------------


def test_progress_counts_epochs_iterations_and_their_share(seen: list[Inputs]) -> None:
    run(scheduled())
    total = EPOCHS * 2 * ITERATIONS
    assert len(seen) == total
    for number, inputs in enumerate(seen):
        for batch in inputs.batches:
            assert all(one.shape == () and one.dtype == torch.float32 for one in batch.progress)
            found = [float(one) for one in batch.progress]
            assert found == [number // (2 * ITERATIONS), number, pytest.approx(number / total)]
    last = last_progress(scheduled(), torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(last, seen[-1].batches[0].progress, strict=True))


def test_a_batch_made_by_hand_is_at_the_start() -> None:
    batch = Batch(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.zeros(2, 1))
    assert [float(one) for one in batch.progress] == [0, 0, 0]


@pytest.mark.parametrize(
    ("at", "weight"), [(0, 0), (6, 0), (7, 0.5), (14, 4), (21.5, 7.75), (22, 8), (99, 8)]
)
def test_a_weight_warms_up_in_a_line(at: float, weight: float) -> None:
    """CADA-VAE's third weight: from epoch 6 to 22; here up to 8."""
    assert float(warm_up(torch.tensor(float(at)), 6, 22, to=8)) == weight


def test_a_warm_up_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match=r"22.*6"):
        warm_up(torch.tensor(0.0), 22, 6, to=8)


def test_a_warm_up_without_length_is_a_step() -> None:
    assert [float(warm_up(torch.tensor(at), 3, 3, to=2.0)) for at in (2.0, 3.0, 4.0)] == [0, 2, 2]


def test_the_rate_of_each_epoch_is_the_schedules() -> None:
    """SGD on a constant gradient of 1: the weight falls by the rate of each of the epoch's iterations."""

    def falling(nets: Any, batch: Batch, noise: Any) -> Losses:
        return Losses(nets["net"]["w"].sum(), {"weight": nets["net"]["w"].sum()})

    program = scheduled(
        initial=lambda streams: {"net": {"w": torch.zeros(1, dtype=torch.float64)}},
        passes=((Step("fall", falling, updates=("net",)),),),
        optimizers={"net": Optimizer("sgd", lr=0.5, lr_schedule=Exponential(0.5, every=2))},
        epochs=5,
    )
    rates = [0.5, 0.5, 0.25, 0.25, 0.125]
    assert float(run(program).networks["net"]["w"]) == pytest.approx(-ITERATIONS * sum(rates), rel=1e-12)


# --- resumed, captured, together --------------------------------------------------------------------------

WAYS = [
    ("adam", "cosine", {}),
    ("rmsprop", "milestones", {}),
    ("sgd", "exponential", {}),
    ("adam", "cosine", episodes()),
]


@pytest.mark.parametrize(("kind", "schedule", "changes"), WAYS)
def test_stopped_anywhere_it_ends_with_the_same_bits(
    tmp_path: Path, kind: str, schedule: str, changes: Any
) -> None:
    program = scheduled(kind, schedule, **changes)
    whole = run(program)
    for count in (2, 6, 8, 11):  # a stop is seen between an epoch's iterations, three times in each
        folder = tmp_path / str(count)
        answers = iter([False] * (count - 1) + [True])
        with pytest.raises(Interrupted):
            run(program, folder=folder, stop_requested=answers.__next__)
        assert same(run(program, folder=folder), whole), count


@pytest.mark.parametrize(("kind", "schedule", "changes"), WAYS)
def test_captured_it_is_the_same_bit_for_bit(kind: str, schedule: str, changes: Any) -> None:
    """What is recorded in one epoch is replayed at the rates and weights of later ones."""
    program = scheduled(kind, schedule, iterations=6, **changes)
    tapes: list[Taping] = []

    def recorder() -> Taping:
        tapes.append(Taping())
        return tapes[-1]

    graphs = Graphs(required=True, recorder=recorder)
    captured = run(program, graphs=graphs)
    assert graphs.stages == {"part": CAPTURED} and tapes[0].replayed == 2 * (6 * EPOCHS - WARM_UP)
    assert same(captured, run(program))


def together(
    programs: dict[int, Program], folder: Path | None = None, **how: Any
) -> tuple[dict[int, Any], Group]:
    group = Group(len(programs), folder)
    own = None if folder is None else folder / "own"

    def work(seed: int) -> Any:
        return lambda member: run(programs[seed], seed, member=member, folder=own, **how)

    ends = group.run({slot: work(seed) for slot, seed in enumerate(programs)})
    return {seed: ends[slot] for slot, seed in enumerate(programs)}, group


@pytest.mark.parametrize(("kind", "schedule", "changes"), WAYS)
def test_one_replica_is_the_plain_loop_bit_for_bit(kind: str, schedule: str, changes: Any) -> None:
    program = scheduled(kind, schedule, **changes)
    ends, group = together({4: program})
    assert not group.one_by_one
    assert same(ends[4], run(program, 4))


@pytest.mark.parametrize(("kind", "schedule", "changes"), WAYS)
def test_three_seeds_are_single_runs_within_rounding(
    kind: str, schedule: str, changes: Any, seen: list[Inputs]
) -> None:
    program, seeds = scheduled(kind, schedule, **changes), [3, 0, 8]
    singles = [run(program, seed) for seed in seeds]
    alone, count = list(seen), len(seen) // len(seeds)
    seen.clear()
    ends, group = together(dict.fromkeys(seeds, program))
    assert not group.one_by_one and len(seen) == count
    for place, seed in enumerate(seeds):
        for mine, lifted in zip(alone[place * count :][:count], seen, strict=True):
            for a, b in zip(tree_leaves(mine), tree_leaves(lifted), strict=True):
                assert a.dtype == b.dtype and torch.equal(a, b[place])
        for a, b in zip(tree_leaves(ends[seed].networks), tree_leaves(singles[place].networks), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_replicas_stopped_in_the_middle_end_with_the_same_bits(tmp_path: Path) -> None:
    programs = dict.fromkeys([1, 2], scheduled("adam", "cosine"))
    whole, _ = together(programs)
    answers = iter([False] * 6 + [True] * 100)
    with pytest.raises(Interrupted):
        ends, _ = together(programs, tmp_path, stop_requested=answers.__next__)
        raise ends[1]
    again, group = together(programs, tmp_path)
    assert not group.one_by_one
    assert all(same(again[seed], whole[seed]) for seed in programs)


def test_programs_of_other_lengths_share_no_schedule_but_may_share_the_rest(seen: list[Inputs]) -> None:
    long = scheduled(epochs=5)
    ends, group = together({1: scheduled(), 2: long})
    assert "scheduled epochs" in group.one_by_one["part"]
    assert same(ends[2], run(long, 2))
    constant = dict.fromkeys(("one", "two"), RULES["sgd"])
    seen.clear()
    _, group = together({1: scheduled(optimizers=constant), 2: scheduled(optimizers=constant, epochs=5)})
    assert not group.one_by_one
    share = seen[7].batches[0].progress.share
    torch.testing.assert_close(share, torch.tensor([7 / 16, 7 / 20]))


@pytest.mark.parametrize("seeds", [[5], [5, 6]])
def test_stopped_after_the_chosen_epoch_it_is_what_was_evaluated_then(seeds: list[int]) -> None:
    """Rates, weights and progress are those of the whole schedule, of which only a part is trained."""
    program, evaluated = scheduled(epochs=6), {}

    def on_epoch(epoch: int, nets: Any) -> dict[str, float]:
        evaluated[epoch] = nets
        return {}

    run(program, on_epoch=on_epoch)
    ends, group = together(dict.fromkeys(seeds, program), until=4)
    assert not group.one_by_one
    for a, b in zip(tree_leaves(ends[5].networks), tree_leaves(evaluated[4]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        assert len(seeds) > 1 or torch.equal(a, b)
    other = run(replace(program, epochs=4)).networks
    assert not torch.allclose(other["two"]["v"], evaluated[4]["two"]["v"])


# --- noise ------------------------------------------------------------------------------------------------


def test_noise_has_the_shape_that_is_declared() -> None:
    values = torch.tensor([4, 7, 9])
    for spec, shape in [
        (Normal((3, 2)), (5, 3, 2)),
        (Normal((3, 2), per_row=False), (3, 2)),
        (Uniform((), per_row=False), ()),
        (Uniform((1,)), (5, 1)),
        (Choice(values), (5,)),
        (Choice(values, (2,)), (5, 2)),
        (Choice(values, (2, 6), per_row=False), (2, 6)),
        (Permutation(), (5,)),
    ]:
        found = draw(spec, 5, Streams(0), "term")
        assert found.shape == shape
        if isinstance(spec, Choice):
            assert set(found.flatten().tolist()) <= {4, 7, 9}


def test_noise_without_rows_is_the_same_whatever_the_batch() -> None:
    for spec in (
        Normal((3,), per_row=False),
        Uniform((3,), per_row=False),
        Choice(torch.arange(9), (3,), per_row=False),
    ):
        one, other = (draw(spec, rows, Streams(0), "term") for rows in (5, 50))
        assert torch.equal(one, other)


def test_a_permutation_is_uniform_and_drawn_anew() -> None:
    streams = Streams(0)
    orders = Counter(tuple(draw(Permutation(), 3, streams, "order").tolist()) for _ in range(6000))
    assert len(orders) == 6 and all(abs(count - 1000) < 5 * 1000**0.5 for count in orders.values())


# --- batches of another size, episodes --------------------------------------------------------------------


def test_a_step_may_take_a_batch_of_its_own_size(seen: list[Inputs]) -> None:
    ends = run(scheduled())
    for number, inputs in enumerate(seen):
        assert [len(one.labels) for one in inputs.batches] == [BATCH, OWN]
        is_second_pass = number // ITERATIONS % 2 == 1
        order = inputs.noise[0]["order"]
        assert sorted(order.tolist()) == list(range(BATCH)) and len(inputs.noise) == 3 - is_second_pass
    assert {row["second_rows"] for row in ends.epochs} == {row["again_rows"] for row in ends.epochs} == {OWN}


def test_batches_of_another_size_walk_through_the_data_on_their_own(seen: list[Inputs]) -> None:
    """They disturb no other batch, and shuffled ones hold every example equally often."""
    run(scheduled())
    with_own, rows = [inputs.batches[0].features for inputs in seen], Counter[tuple[float, ...]]()
    for inputs in seen[:5]:  # 5 · 24 = 2 · 60
        rows.update(map(tuple, inputs.batches[1].features.tolist()))
    assert len(rows) == 60 and set(rows.values()) == {2}
    seen.clear()
    run(scheduled(passes=((FIRST,), (FIRST,))))
    assert all(torch.equal(a, b.batches[0].features) for a, b in zip(with_own, seen, strict=True))


class Slow:
    read_ahead = True

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.tensor[rows]


def test_batches_of_every_size_are_read_ahead(tmp_path: Path) -> None:
    plain = scheduled()
    slow = replace(plain, features=Slow(plain.features))  # type: ignore[arg-type]
    whole = run(plain)
    assert same(run(slow), whole)
    answers = iter([False] * 6 + [True])
    with pytest.raises(Interrupted):
        run(slow, folder=tmp_path, stop_requested=answers.__next__)
    assert same(run(plain, folder=tmp_path), whole)  # rows drawn ahead are in the checkpoint


def test_an_episode_has_as_many_images_of_as_many_classes_class_by_class() -> None:
    program = scheduled(**episodes(3, 8))
    inputs = ProgramInputs(program, SEMANTICS, Streams(2))
    chosen = Counter[tuple[int, ...]]()
    for _ in range(400):
        batch = inputs.draw_batch(24)
        labels = batch.labels.reshape(3, 8)
        assert (labels == labels[:, :1]).all() and len(labels[:, 0].unique()) == 3
        assert len(batch.features.unique(dim=0)) == 24
        chosen.update(labels[:, 0].tolist())  # type: ignore[arg-type]
    assert len(chosen) == 5 and all(abs(count - 240) < 60 for count in chosen.values())


def test_a_class_with_few_images_repeats_them_in_an_episode() -> None:
    program = scheduled(
        sampler=Episodic(2, 6),
        batch_size=12,
        features=torch.arange(5.0)[:, None],
        labels=torch.tensor([0, 0, 3, 3, 3]),
    )
    program = replace(program, passes=((FIRST,),))
    rows = ProgramInputs(program, SEMANTICS, Streams(0)).draw_batch(12).features[:, 0].tolist()
    assert Counter(rows) == {0.0: 3, 1.0: 3, 2.0: 2, 3.0: 2, 4.0: 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler": Episodic(6, 5), "batch_size": 30},  # there are five classes
        episodes() | {"batch_size": 41},
        episodes() | {"passes": ((FIRST, replace(SECOND, batch_size=41)),)},
        {"passes": ((FIRST, replace(SECOND, batch_size=0)),)},
        {"passes": ((FIRST, replace(AGAIN, batch_size=OWN)),)},
        {"optimizers": {"one": Optimizer("sgd", eps=0.1), "two": Optimizer()}},
        {"optimizers": {"one": Optimizer(clip_norm=-1.0), "two": Optimizer()}},
    ],
)
def test_what_cannot_be_drawn_or_trained_is_refused(changes: Any) -> None:
    with pytest.raises(PluginError, match="part"):
        run(scheduled(**changes))
