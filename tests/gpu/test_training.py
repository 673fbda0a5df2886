"""On a GPU: captured, replicated, resident and fused training equals eager training; reading overlaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scheduled import SEMANTICS, moved, scheduled
from small_stages import IMAGES, LABELS, STAGES, WIDTH, drawn, space_on, stage

from zslbench.data import RegionStore, RegionWriter
from zslbench.errors import Interrupted
from zslbench.evaluation.folds import RegionRows
from zslbench.plugin.programs import Optimizer
from zslbench.plugin.streams import Streams
from zslbench.training import optimizers
from zslbench.training.batches import in_chunks
from zslbench.training.graphs import CAPTURED, Graphs
from zslbench.training.loop import Trained, Training, train
from zslbench.training.optimizers import NetworkOptimizer


def run(name: str, device: torch.device, regions: Any = None, **how: Any) -> Trained:
    training = Training(Streams(3, device), stage="part", **how)
    return train(stage(name, device, regions), space_on(device).semantics, training)


def same(one: Trained, other: Trained) -> None:
    assert one.epochs == other.epochs
    for net, tensors in one.networks.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other.networks[net][name]), f"{net}/{name}"


@pytest.mark.parametrize("name", STAGES)
def test_captured_is_eager_bit_for_bit(name: str, gpu: torch.device) -> None:
    graphs = Graphs(required=True)
    same(run(name, gpu), run(name, gpu, graphs=graphs))
    assert graphs.stages == {"part": CAPTURED}


@pytest.mark.parametrize(
    ("kind", "schedule"), [("adam", "cosine"), ("rmsprop", "milestones"), ("sgd", "exponential")]
)
def test_what_changes_while_training_is_captured(
    kind: str, schedule: str, gpu: torch.device, tmp_path: Path
) -> None:
    """Rates, restarts, clipped gradients, progress; also resumed in the middle of the schedule."""
    program = moved(scheduled(kind, schedule, iterations=6), gpu)

    def scheduled_run(**how: Any) -> Trained:
        return train(program, SEMANTICS.to(gpu), Training(Streams(3, gpu), stage="part", **how))

    plain, graphs = scheduled_run(), Graphs(required=True)
    same(plain, scheduled_run(graphs=graphs))
    assert graphs.stages == {"part": CAPTURED}
    stop = iter([False] * 16 + [True]).__next__
    with pytest.raises(Interrupted):
        scheduled_run(graphs=Graphs(required=True), folder=tmp_path, stop_requested=stop)
    same(plain, scheduled_run(graphs=Graphs(required=True), folder=tmp_path))


@pytest.mark.parametrize("name", ["tf-vaegan/generator", "sc-egg/stage1", "sc-egg/stage1 authors"])
@pytest.mark.parametrize("after", [2, 4, 17])
def test_captured_and_resumed_is_eager(name: str, after: int, gpu: torch.device, tmp_path: Path) -> None:
    stop = iter([False] * (after - 1) + [True]).__next__
    with pytest.raises(Interrupted):
        run(name, gpu, graphs=Graphs(required=True), folder=tmp_path, stop_requested=stop)
    same(run(name, gpu), run(name, gpu, graphs=Graphs(required=True), folder=tmp_path))


def test_a_step_that_reads_a_value_runs_eagerly(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    from zslbench_common.softmax import Softmax

    plain, right = run("tf-vaegan/classifier", gpu), Softmax.losses

    def reading(self: Softmax, nets: Any, batch: Any, noise: Any) -> Any:
        assert float(batch.features.sum()) > 0
        return right(self, nets, batch, noise)

    monkeypatch.setattr(Softmax, "losses", reading)
    graphs = Graphs()
    same(plain, run("tf-vaegan/classifier", gpu, graphs=graphs))
    assert graphs.stages["part"].startswith("pass 1: ")
    # The next program is captured again.
    monkeypatch.setattr(Softmax, "losses", right)
    same(plain, run("tf-vaegan/classifier", gpu, graphs=Graphs(required=True)))


@pytest.mark.parametrize("kind", ["adam", "rmsprop", "sgd"])
def test_fused_updates_equal_unfused_ones(
    kind: str, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = Optimizer(kind, lr=1e-2, momentum=0.9 if kind != "adam" else 0.0, weight_decay=1e-3)  # type: ignore[arg-type]
    ends = []
    for ways in (optimizers.torch_options, lambda device, kind: {"foreach": False}):
        monkeypatch.setattr(optimizers, "torch_options", ways)
        net = {"w": drawn(50, 40, seed=1).to(gpu), "b": drawn(40, seed=2).to(gpu)}
        optimizer = NetworkOptimizer(rule, net)
        for number in range(20):
            optimizer.update(
                {name: (drawn(*one.shape, seed=number) - 0.4).to(gpu) for name, one in net.items()}
            )
        ends.append(net)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-5, atol=1e-6)


@pytest.fixture
def store(tmp_path: Path) -> RegionStore:
    with RegionWriter(tmp_path / "store", (IMAGES, 4, WIDTH), "float16", labels=LABELS.numpy()) as writer:
        writer.append(drawn(IMAGES, 4, WIDTH, seed=3).numpy().astype(np.float16))
    return RegionStore.open(tmp_path / "store")


@pytest.mark.parametrize("graphs", [False, True])
def test_resident_regions_equal_those_read_ahead(graphs: bool, store: RegionStore, gpu: torch.device) -> None:
    ends = []
    for room in (2**40, 0):
        rows = RegionRows(store, np.arange(IMAGES), gpu, lambda device, room=room: room)
        assert rows.read_ahead == (room == 0)
        how = {"graphs": Graphs(required=True)} if graphs else {}
        ends.append(run("sc-egg/stage1", gpu, rows, **how))
        assert torch.equal(
            torch.cat(list(in_chunks(rows, gpu))).cpu(), torch.from_numpy(store[np.arange(IMAGES)])
        )
    same(*ends)


def test_reading_ahead_overlaps_with_computing(store: RegionStore, gpu: torch.device) -> None:
    """Reading never waits for computing: rows arrive while the device is still busy."""
    from zslbench.training.batches import CudaReader

    reader = CudaReader(RegionRows(store, np.arange(IMAGES), gpu, lambda device: 0), gpu)
    reader.request(torch.arange(8, device=gpu))
    reader.take()
    matrix = torch.randn(4096, 4096, device=gpu)
    reader.request(torch.arange(8, 16, device=gpu))
    for _ in range(50):
        matrix = torch.tanh(matrix @ matrix)
    busy = torch.cuda.Event()
    busy.record()
    reader._pending[0].result()[1].synchronize()
    assert not busy.query(), "reading waited for computing"
    reader.take()
    reader.close()


@pytest.mark.parametrize("method", ["tf-vaegan", "sc-egg"])
def test_replicas_are_single_runs_within_rounding(method: str, tmp_path: Path) -> None:
    import zslbench

    settings = {"generator.hidden": 64, "generator.critic_steps": 2, "dataset.images_per_class": 10}
    if method == "sc-egg":
        settings |= {"embedding.stage1.epochs": 1, "embedding.stage2.epochs": 1}
    tables = []
    for replicas in (1, 3):
        result = zslbench.run(
            method, dataset="toy", seeds=3, epochs=1, select="last", settings=settings, device="cuda",
            replicas=replicas, store=tmp_path / str(replicas),
        )  # fmt: skip
        tables.append([one.table("epochs") for one in result.records])
        for record in result.records:
            assert record.environment["execution"]["graphs"] is True
            if replicas == 3:
                assert not record.environment["replicas"]["one by one"]
    for single, lifted in zip(*tables, strict=True):
        first = single[single["stage"] == "final/generator"].iloc[0].dropna()
        other = lifted[lifted["stage"] == "final/generator"].iloc[0].dropna()
        for name in first.index.drop(["stage", "epoch"]):
            assert other[name] == pytest.approx(first[name], rel=2e-2, abs=2e-2), name


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_coarser_products_give_losses_close_to_float32(precision: str, tmp_path: Path) -> None:
    import zslbench

    rows = {}
    for one in ("float32", precision):
        result = zslbench.run(
            "tf-vaegan", dataset="toy", epochs=2, select="last", device="cuda", precision=one, graphs="on",
            settings={"dataset.images_per_class": 40}, store=tmp_path / one,
        )  # fmt: skip
        assert result.records[0].environment["execution"]["precision"] == one
        rows[one] = result.records[0].table("epochs").iloc[0]
    assert rows[precision]["critic_loss"] == pytest.approx(rows["float32"]["critic_loss"], rel=0.05)
    assert rows[precision]["generator_loss"] == pytest.approx(rows["float32"]["generator_loss"], rel=0.05)


def test_fresh_memory_is_not_filled_while_a_run_is_computed(gpu: torch.device) -> None:
    settings: Any = torch.utils.deterministic
    assert torch.are_deterministic_algorithms_enabled() and not settings.fill_uninitialized_memory
