"""Captured training is the plain loop bit for bit, whole and resumed; what cannot be captured says why.

``Recorder`` calls the iteration again on the same buffers; ``Taping`` replays operations and no Python, as a
CUDA graph does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_stages import IMAGES, ITERATIONS, LABELS, SPACE, STAGES, WIDTH, drawn, stage
from tape import Recorder, Taping
from torch.utils._pytree import tree_leaves

from zslbench.errors import Interrupted, ZslbenchError
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.training import optimizers
from zslbench.training.graphs import CAPTURED, LEAST, WARM_UP, Captured, Graphs
from zslbench.training.loop import Trained, Training, train
from zslbench.training.replicas.lifted import LiftedRun, MemberRun


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimisers that do not look at step counts on the host, as on a GPU."""
    monkeypatch.setattr(
        optimizers, "torch_options", lambda device, kind: {"fused": True} if kind == "adam" else {}
    )


def run(program: Program, recorder: Callable[[], Any] | None, **how: Any) -> tuple[Trained, Graphs | None]:
    graphs = None if recorder is None else Graphs(recorder=recorder, required=how.pop("required", False))
    training = Training(Streams(3), stage="part", graphs=graphs, **how)
    return train(program, SPACE.semantics, training), graphs


def same(one: Trained, other: Trained) -> None:
    assert one.epochs == other.epochs
    for net, tensors in one.networks.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other.networks[net][name]), f"{net}/{name}"


AS_TF_VAEGAN = ("f-vaegan-d2/generator", "free/generator")
"""Stages of the same operations as TF-VAEGAN's."""

# --- captured training is the plain loop -----------------------------------------------------------


@functools.cache
def computed_plainly(name: str) -> Trained:
    return run(stage(name), None)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_on_static_buffers_training_is_the_same(name: str) -> None:
    plain = computed_plainly(name)
    captured, graphs = run(stage(name), Recorder)
    same(plain, captured)
    assert graphs is not None and graphs.stages == {"part": CAPTURED}


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in STAGES if one not in AS_TF_VAEGAN])
def test_operations_alone_do_the_same(name: str, fused: None) -> None:
    """Nothing that lives on from iteration to iteration is Python's; nothing is looked at on the host."""
    plain, _ = run(stage(name), None)
    tapes: list[Taping] = []
    captured, graphs = run(stage(name), lambda: tapes.append(Taping()) or tapes[-1])
    same(plain, captured)
    assert graphs is not None and graphs.stages == {"part": CAPTURED}
    passes = len(stage(name).passes)
    assert [(one.captured, one.replayed) for one in tapes] == [(passes, passes * (ITERATIONS - WARM_UP))]


@pytest.mark.parametrize(
    ("name", "after"),
    [(name, after) for name in ("sc-egg/stage1", "tf-vaegan/classifier") for after in (2, WARM_UP + 1, 17)]
    + [("tf-vaegan/generator", 20)],
)
@pytest.mark.slow
def test_resumed_in_the_middle_it_is_the_same(name: str, after: int, tmp_path: Path) -> None:
    """Before it is warm, where it is captured, after; with and without graphs on the two sides."""
    plain = computed_plainly(name)
    for before_stop, after_stop in ((Recorder, Recorder), (Recorder, None), (None, Recorder)):
        folder = tmp_path / f"{before_stop}-{after_stop}"
        stop = iter([False] * (after - 1) + [True]).__next__
        with pytest.raises(Interrupted):
            run(stage(name), before_stop, folder=folder, stop_requested=stop)
        resumed, _ = run(stage(name), after_stop, folder=folder)
        same(plain, resumed)


@pytest.mark.parametrize("name", ["tf-vaegan/generator", "sc-egg/stage1 authors"])
@pytest.mark.slow
def test_seeds_that_train_together_are_captured_as_well(name: str, fused: None) -> None:
    ends: list[list[Any]] = []
    tapes: list[Taping] = []
    for recorder in (None, lambda: tapes.append(Taping()) or tapes[-1]):
        graphs = None if recorder is None else Graphs(required=True, recorder=recorder)
        members = {
            slot: MemberRun(
                stage(name), SPACE.semantics, Training(Streams(slot), stage="part", graphs=graphs)
            )
            for slot in (0, 1)
        }
        together = LiftedRun(members, (0, 1), None)
        for _ in range(2):
            together.train_epoch()
            for one in members.values():
                one.end_epoch(one.figures())
        ends.append([(one.networks(), one.history) for one in together.members.values()])
    assert all(tape.captured and tape.replayed for tape in tapes)
    for (nets, rows), (other, other_rows) in zip(*ends, strict=True):
        same(Trained(nets, tuple(rows)), Trained(other, tuple(other_rows)))
    assert ends[0][0][1] != ends[0][1][1]  # two seeds


# --- what cannot be captured -------------------------------------------------------------------------


class Failing(Recorder):
    """Captures nothing, or only the first so many passes."""

    def __init__(self, works: int = 0) -> None:
        self.works, self.asked = works, 0

    def capture(self, call: Callable[[], None]) -> Callable[[], None]:
        self.asked += 1
        if self.asked > self.works:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        return super().capture(call)


def test_a_failure_is_told_once_and_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "zslbench")
    plain = computed_plainly("tf-vaegan/generator")
    recorders: list[Failing] = []
    captured, graphs = run(stage("tf-vaegan/generator"), lambda: recorders.append(Failing()) or recorders[-1])
    same(plain, captured)
    reason = "pass 1: RuntimeError: operation not permitted"
    assert graphs is not None and graphs.describe() == {"required": False, "stages": {"part": reason}}
    assert recorders[0].asked == 2  # once for each pass
    assert [one for one in caplog.messages if "CUDA graph" in one] == [
        "part: computed without a CUDA graph: RuntimeError: operation not permitted"
    ]


def test_one_pass_may_be_captured_and_another_not() -> None:
    plain = computed_plainly("tf-vaegan/generator")
    captured, graphs = run(stage("tf-vaegan/generator"), lambda: Failing(1))
    same(plain, captured)
    assert graphs is not None and graphs.stages["part"].startswith("pass 2: ")


def test_where_graphs_are_required_a_failure_is_an_error() -> None:
    with pytest.raises(ZslbenchError, match=r"'part'.*pass 1 .*--graphs auto"):
        run(stage("tf-vaegan/classifier"), Failing, required=True)


def looking(nets: Any, batch: Any, noise: Any) -> Losses:
    total = (nets["net"]["w"] * batch.features).sum()
    return Losses(total * (2 if float(batch.features.sum()) > 0 else 1), {})


def odd(**changes: Any) -> Program:
    values: dict[str, Any] = {
        "initial": lambda streams: {"net": {"w": torch.ones(WIDTH)}},
        "passes": ((Step("step", looking, updates=("net",), noise={"z": Normal((2,))}),),),
        "optimizers": {"net": Optimizer("sgd", lr=1e-3)},
        "features": drawn(IMAGES, WIDTH, seed=4),
        "labels": LABELS,
        "epochs": 3,
        "batch_size": 8,
    }
    return Program(**(values | changes))


def test_a_step_that_looks_at_a_value_is_computed_as_it_comes() -> None:
    plain, _ = run(odd(), None)
    captured, graphs = run(odd(), Taping)
    same(plain, captured)
    assert graphs is not None and "_local_scalar_dense" in graphs.stages["part"]


def test_a_short_program_is_not_captured() -> None:
    iterations = WARM_UP + LEAST - 1
    captured, graphs = run(odd(epochs=1, iterations=iterations), Failing, required=True)
    assert graphs is not None and graphs.stages == {
        "part": f"too short: {iterations} iterations of each pass"
    }
    plain, _ = run(odd(epochs=1, iterations=iterations), None)
    same(plain, captured)


class Varying:
    """Features whose batches now and then hold one value less."""

    def __init__(self) -> None:
        self.features, self.asked = drawn(IMAGES, WIDTH, seed=4), 0

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        found = self.features[rows]
        return found[:, : WIDTH - 1] if self.asked % 4 == 0 else found


def adding(nets: Any, batch: Any, noise: Any) -> Losses:
    x = batch.features
    return Losses((nets["net"]["w"][: x.shape[1]] * x).sum() + noise["z"].sum(), {})


def test_inputs_of_another_form_are_computed_as_they_come() -> None:
    step = Step("step", adding, updates=("net",), noise={"z": Normal((2,))})
    plain, _ = run(odd(passes=((step,),), features=Varying()), None)
    tapes: list[Taping] = []
    captured, graphs = run(
        odd(passes=((step,),), features=Varying()), lambda: tapes.append(Taping()) or tapes[-1]
    )
    same(plain, captured)
    assert graphs is not None and graphs.stages == {"part": CAPTURED}
    # The fourth call has another form, the fifth another than the fourth: the sixth is captured.
    replayed = [call for call in range(6, 37) if call % 4]
    assert (tapes[0].captured, tapes[0].replayed) == (1, len(replayed))


def test_buffers_are_the_iterations_own() -> None:
    """What is drawn next, in the same memory or not, does not reach an iteration that was captured."""
    seen: list[int] = []

    class Watching(Recorder):
        def capture(self, call: Callable[[], None]) -> Callable[[], None]:
            def replay() -> None:
                seen.extend(one.data_ptr() for one in tree_leaves(captured._buffers.batches[0]))  # type: ignore[union-attr]
                call()

            return replay

    made: list[Captured] = []
    kept = Captured.__init__

    def remember(self: Captured, *arguments: Any, **more: Any) -> None:
        kept(self, *arguments, **more)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Captured, "__init__", remember)
        graphs = Graphs(recorder=Watching)
        from zslbench.training.program_run import ProgramRun

        step = Step("step", adding, updates=("net",), noise={"z": Normal((2,))})
        one = ProgramRun(odd(passes=((step,),)), SPACE.semantics, Training(Streams(0), graphs=graphs))
        captured = made[0]
        one.train_epoch()
    assert len(seen) == 6 * (12 - WARM_UP) and len(set(seen)) == 6


def test_it_warms_up_on_the_memory_that_is_captured_and_lets_go_of_it_at_the_end() -> None:
    """A resumed run computes iterations while it warms up that another one replays."""
    from zslbench.training.program_run import ProgramRun

    class Noting(Recorder):
        def warm(self, call: Callable[[], None]) -> None:
            assert isinstance(captured, Captured) and captured._buffers is not None
            buffers.append(captured._buffers)
            super().warm(call)

    buffers: list[Any] = []
    step = Step("step", adding, updates=("net",), noise={"z": Normal((2,))})
    graphs = Graphs(recorder=Noting)
    one = ProgramRun(odd(passes=((step,),)), SPACE.semantics, Training(Streams(0), graphs=graphs))
    (captured,) = one.passes
    assert isinstance(captured, Captured)
    read: list[int] = []
    plain = captured.iteration.__class__.__call__

    def reading(self: Any, inputs: Any) -> None:
        read.append(inputs.batches[0].features.data_ptr())
        plain(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured.iteration.__class__, "__call__", reading)
        one.train_epoch()
    assert len(read) == 12 > WARM_UP
    assert set(read) == {buffers[0].batches[0].features.data_ptr()}
    one.close()
    assert one.passes == ()
