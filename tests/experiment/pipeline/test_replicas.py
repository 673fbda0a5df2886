"""Whole runs of real methods as replicas: alone bit for bit, together close, test images out of reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import zslbench
from zslbench.data import ArrayRegions
from zslbench.errors import Diverged, SettingsError
from zslbench.evaluation.selection import Selection
from zslbench.experiment import Quiet, pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.fitting import embedding_inputs
from zslbench.experiment.pipeline import Outcome
from zslbench.experiment.recipe import resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.streams import Streams
from zslbench.store.store import Store
from zslbench.training.checkpoint import flatten
from zslbench.training.loop import Training
from zslbench.training.threads import Group

pytestmark = pytest.mark.slow

METHODS = ["tf-vaegan", "sc-egg"]
# Products of fewer than 400 multiplications are rounded differently once they are lifted.
ATTRIBUTES = 14


@pytest.fixture
def case(known, small) -> Callable[[str], tuple[Any, Dataset]]:
    """A method's recipe on a small toy, and the data set."""

    def make(method: str, **changes: Any) -> tuple[Any, Dataset]:
        settings = small | {"dataset.attributes": ATTRIBUTES}
        if method == "sc-egg":
            stages = {"epochs": 2, "iterations": 3}
            settings |= {f"embedding.stage{n}.{key}": value for n in (1, 2) for key, value in stages.items()}
        recipe = resolve(known, "toy", method=method, epochs=2, settings=settings | changes)
        regions = embedding_inputs(recipe) == "regions"
        part = recipe.parts["dataset"]
        return recipe, load_dataset(part, needs_regions=regions)

    return make


def alone(recipe: Any, dataset: Dataset, select: str, seed: int) -> Outcome:
    return pipeline.run(recipe, dataset, Selection(select, 1), Training(Streams(seed), keep_scores=True))


def together(recipe: Any, dataset: Dataset, select: str, seeds: list[int]) -> tuple[list[Outcome], Group]:
    group = Group(len(seeds))

    def work(member: Any) -> Outcome:
        training = Training(Streams(seeds[member.slot]), member=member, keep_scores=True)
        return pipeline.run(recipe, dataset, Selection(select, 1), training)

    ends = group.run(dict.fromkeys(range(len(seeds)), work))
    for end in ends.values():
        if isinstance(end, BaseException):
            raise end
    return list(ends.values()), group


def tensors(outcome: Outcome) -> dict[str, torch.Tensor]:
    return {
        f"{side}/{kind}/{path}": tensor
        for side, parts in (("final", outcome.networks), ("validation", outcome.validation_networks))
        for kind, nets in parts.items()
        for path, tensor in flatten(nets).items()
    }


def artefacts(outcome: Outcome) -> dict[str, Any]:
    """Everything that a run keeps of its training and its choices."""
    chosen = {key: value for key, value in outcome.metrics.items() if key.startswith("val_")}
    return {
        "networks": {path: tensor.numpy().tobytes() for path, tensor in tensors(outcome).items()},
        "epochs": repr(outcome.epochs),
        "candidates": repr(outcome.candidates),
        "chosen": (chosen, outcome.metrics["epochs"], outcome.metrics.get("offset")),
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("select", ["last", "val", "oracle"])
def test_a_group_of_one_is_the_plain_run_bit_for_bit(case, method, select):
    recipe, dataset = case(method)
    plain = alone(recipe, dataset, select, 3)
    (lifted,), group = together(recipe, dataset, select, [3])
    assert not group.one_by_one and not group.split
    assert repr(lifted.epochs) == repr(plain.epochs)
    assert lifted.metrics == plain.metrics
    one, other = tensors(plain), tensors(lifted)
    assert one.keys() == other.keys() and (select == "oracle" or len(one) > 20)
    assert all(torch.equal(one[path], other[path]) for path in one)
    for task in ("gzsl", "czsl"):
        assert np.array_equal(plain.evaluation.scores[task], lifted.evaluation.scores[task])


@pytest.mark.parametrize("method", METHODS)
def test_seeds_that_train_together_are_close_to_single_runs(case, method):
    """Weights to 1e-4 after two epochs, scores to 1e-3, losses to a thousandth of themselves; longer training
    drifts further, since Adam turns rounding into steps."""
    recipe, dataset = case(method)
    outcomes, group = together(recipe, dataset, "last", [0, 1, 2])
    assert not group.one_by_one
    for seed, lifted in enumerate(outcomes):
        plain = alone(recipe, dataset, "last", seed)
        for path, value in tensors(plain).items():
            torch.testing.assert_close(tensors(lifted)[path], value, rtol=1e-3, atol=1e-4)
        for row, other in zip(plain.epochs, lifted.epochs, strict=True):
            for name, value in row.items():
                assert other[name] == (value if name == "stage" else pytest.approx(value, rel=1e-3, abs=1e-5))
        found, expected = (one.evaluation.scores["gzsl"] for one in (lifted, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def spoilt(dataset: Dataset) -> Dataset:
    """The same training images; everything that is known of test images replaced."""
    drawn = np.random.default_rng(123)
    split, labels, features = dataset.split, dataset.labels.copy(), dataset.features.copy()
    regions = None if dataset.regions is None else dataset.regions[np.arange(len(labels))].copy()
    for rows in (split.test_seen, split.test_unseen):
        labels[rows] = drawn.permutation(labels[rows])
        features[rows] = 50 * drawn.normal(size=features[rows].shape)
        if regions is not None:
            regions[rows] = 50 * drawn.normal(size=regions[rows].shape)
    changed = replace(dataset, labels=labels, features=features, image_files=None)
    return changed if regions is None else replace(changed, regions=ArrayRegions(regions))


@pytest.mark.parametrize("method", METHODS)
def test_training_and_choices_of_a_group_do_not_depend_on_test_images(case, method):
    recipe, dataset = case(method)
    honest, _ = together(recipe, dataset, "val", [0, 1])
    noise, _ = together(recipe, spoilt(dataset), "val", [0, 1])
    for one, other in zip(honest, noise, strict=True):
        assert artefacts(one) == artefacts(other)
        assert one.evaluation.figures() != other.evaluation.figures()
    assert artefacts(honest[0]) != artefacts(honest[1])


# --- in the store ------------------------------------------------------------------------------------


class Recorder(Quiet):
    """A display that records what it shows."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def seeds(known, tmp_path, small) -> Callable[..., Any]:
    """``zslbench.run`` of several seeds in a store of the test's own."""

    def run(count: Any, method: str = "tf-vaegan", settings: Any = None, **options: Any) -> Any:
        given = {"store": tmp_path, "device": "cpu", "threads": 1, "dataset": "toy", "select": "last"}
        given |= {"epochs": 1} if method == "tf-vaegan" else {}
        return zslbench.run(
            method, seeds=count, settings=small if settings is None else settings, **given | options
        )

    return run


def test_replicas_are_part_of_a_run_s_identity_and_seeds_beyond_them_form_another_group(seeds):
    done = seeds(5, replicas=3)
    widths = [one.environment["execution"]["replicas"] for one in done.records]
    assert widths == [3, 3, 3, 2, 2]
    assert [one.info.seed for one in done.records] == list(range(5))
    assert [one.environment["replicas"]["seeds"] for one in done.records[2:4]] == [[0, 1, 2], [3, 4]]
    assert len({one.info.id for one in done.records}) == 5
    assert seeds(5, replicas=3).found == 5
    assert seeds(3, replicas=3).found == 3
    assert not {one.info.id for one in seeds(3).records} & {one.info.id for one in done.records}
    assert all("replicas" not in one.environment for one in seeds(3).records)


def test_a_cpu_computes_one_after_the_other_by_default_and_a_gpu_all_together(known, seeds):
    from zslbench.experiment.job import ExecutionMode, replicas_for

    trained, closed = (resolve(known, "toy", method=name) for name in ("tf-vaegan", "eszsl"))
    cpu, gpu = ExecutionMode("cpu"), ExecutionMode("cuda", threads=0)
    assert [replicas_for(None, 7, trained, mode) for mode in (cpu, gpu)] == [1, 7]
    assert [replicas_for(4, 7, trained, mode) for mode in (cpu, gpu)] == [4, 4]
    assert [replicas_for(requested, 7, closed, gpu) for requested in (None, 4)] == [1, 1]
    with pytest.raises(SettingsError, match="replicas 0: "):
        seeds(2, replicas=0)


def test_records_tell_of_the_group_and_share_its_time(seeds):
    done = seeds(3, replicas=3)
    for one in done.records:
        replicas = one.environment["replicas"]
        assert replicas["computed"] == [0, 1, 2]
        assert replicas["one by one"] == {} and replicas["parts"] == {}
        assert one.environment["seconds"] == pytest.approx(replicas["seconds"] / 3)
        assert one.verify() == []


def test_forced_groups_are_the_same(seeds):
    first = seeds(2, replicas=2)
    again = seeds(2, replicas=2, force=True)
    assert again.found == 0
    for one, other in zip(first.records, again.records, strict=True):
        assert one.info.id == other.info.id
        assert one.table("networks").equals(other.table("networks"))


def test_a_failed_seed_is_reported_after_the_others_are_written(seeds, tmp_path, monkeypatch):
    plain = pipeline.run

    def failing(recipe: Any, dataset: Any, selection: Any, training: Training) -> Outcome:
        if training.streams.seed == 1:
            raise Diverged("seed 1 is not finite")
        return plain(recipe, dataset, selection, training)

    monkeypatch.setattr(pipeline, "run", failing)
    with pytest.raises(Diverged, match="seed 1 is not finite"):
        seeds(3, replicas=3)
    assert sorted(one.info.seed for one in Store(tmp_path).records()) == [0, 2]
    assert not Store(tmp_path).unfinished()
    monkeypatch.setattr(pipeline, "run", plain)
    done = seeds(3, replicas=3)
    assert done.found == 2
    assert done.records[1].environment["replicas"]["computed"] == [1]


def test_each_seed_s_warnings_are_its_own_notes(known, seeds, monkeypatch):
    import logging

    plain = pipeline.run

    def warning(recipe: Any, dataset: Any, selection: Any, training: Training) -> Outcome:
        logging.getLogger("zslbench").warning("of seed %d", training.streams.seed)
        return plain(recipe, dataset, selection, training)

    monkeypatch.setattr(pipeline, "run", warning)
    done = seeds(3, replicas=3)
    assert [[note for note in one.notes if "of seed" in note] for one in done.records] == [
        [f"of seed {seed}"] for seed in range(3)
    ]


def test_plugins_hear_of_every_seed_and_the_display_of_one(known, seeds, monkeypatch):
    heard: list[tuple[Any, ...]] = []

    def call(hook: str, **given: Any) -> None:
        heard.append(
            (hook.removeprefix("zslbench_"), given["run"].seed, given.get("stage"), given.get("epoch"))
        )

    monkeypatch.setattr(type(known), "call_hook", lambda self, hook, **given: call(hook, **given))
    shown: list[tuple[str, int]] = []

    class Shown(Recorder):
        def observer(self, title: str) -> Any:
            import contextlib

            from zslbench.training.context import Silent

            class One(Silent):
                def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Any) -> None:
                    shown.append((stage, epoch))

            assert title.endswith("· toy · seeds 0, 1 together")
            return contextlib.nullcontext(One())

    seeds(2, replicas=2, epochs=2, display=Shown())
    stages = [("final/generator", 1), ("final/generator", 2)]
    stages += [(f"final/{task}", epoch) for task in ("gzsl", "czsl") for epoch in (1, 2)]
    assert shown == stages
    for seed in (0, 1):
        mine = [(hook, stage, epoch) for hook, one, stage, epoch in heard if one == seed]
        assert mine == [
            ("run_started", None, None),
            *(("epoch_ended", *stage) for stage in stages),
            ("run_finished", None, None),
        ]


def test_a_closed_form_in_a_group_is_what_it_is(seeds):
    settings = {"dataset.classes": 10, "dataset.unseen": 3, "dataset.images_per_class": 15}
    one, other = (seeds(2, "eszsl", settings, replicas=count) for count in (1, 2))
    assert other.found == 2 and [a.info.id for a in one.records] == [b.info.id for b in other.records]


def test_variants_share_stages_within_a_group_s_mode(known, seeds, small, tmp_path):
    """A stage that every seed finds is used again; where one misses it, only that one trains it."""
    settings = small | {
        f"embedding.stage{n}.{key}": value
        for n in (1, 2)
        for key, value in {"epochs": 1, "iterations": 2}.items()
    }
    first = seeds(2, "sc-egg", settings, replicas=2, epochs=1)
    again = seeds(2, "sc-egg", settings | {"generator.lambda_s": 0.3}, replicas=2, epochs=1)
    for one, other in zip(first.records, again.records, strict=True):
        kept = {event["stage"] for event in one.environment["stages"]}
        assert kept == {event["stage"] for event in other.environment["stages"] if event["reused"]}
        assert "final/embedding/stage1" in kept
        mine, theirs = (
            {row.tensor: row.sha256 for row in record.table("networks").itertuples()}
            for record in (one, other)
        )
        assert all(mine[name] == theirs[name] for name in mine if name.startswith("embedding/"))


# --- settings that only change numbers ---------------------------------------------------------------


@pytest.fixture
def ablate(known, tmp_path, small) -> Callable[..., Any]:
    """``zslbench.ablate`` of the tests' method, whose variants differ in numbers."""

    def run(**options: Any) -> Any:
        given = {"dataset": "toy", "seeds": 2, "epochs": 1, "select": "last", "settings": small}
        given |= {"store": tmp_path, "device": "cpu", "threads": 1}
        return zslbench.ablate("weighted", **given | options)

    return run


def records_of(ablation):
    """Records of each variant, which has one cell."""
    return {name: tuple(cell.records.values()) for (name, _, _), cell in ablation.entries.items()}


def test_variants_that_differ_in_numbers_train_together(ablate, tmp_path):
    done = ablate(variants=["light"], replicas=4)
    together = records_of(done)
    assert together.keys() == {"light", "full"}
    for records in together.values():
        for one in records:
            assert one.environment["replicas"]["one by one"] == {}
            assert one.environment["replicas"]["seeds"] == [0, 1, 0, 1]
            assert one.info.variant == (None if records is together["full"] else "light")
    alone = ablate(variants=["light"], replicas=1, store=tmp_path / "alone")
    for name, records in together.items():
        for one, other in zip(records, records_of(alone)[name], strict=True):
            assert one.info.id != other.info.id
            mine, theirs = (run.table("epochs").select_dtypes("number") for run in (one, other))
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    light, full = (together[name][0].table("epochs") for name in ("light", "full"))
    assert not np.allclose(light["decoder_loss"].dropna(), full["decoder_loss"].dropna())
    again = ablate(variants=["light"], replicas=4)
    assert again.found == 4


def test_variants_that_are_other_methods_form_groups_of_their_own(ablate):
    done = ablate(replicas=8)
    sizes = {
        name: {len(one.environment["replicas"]["seeds"]) for one in records}
        for name, records in records_of(done).items()
    }
    assert sizes == {"light": {4}, "full": {4}, "none": {2}, "slow": {2}}
    assert all(
        one.environment["replicas"]["one by one"] == {}
        for cell in done.entries.values()
        for one in cell.records.values()
    )


def test_a_suite_trains_the_seeds_of_a_line_together(known, tmp_path, small):
    """Those that are missing: what a run of its own has computed counts as well; its place is padded."""
    changes = {name: value for name, value in small.items() if not name.startswith("dataset.")}
    text = "\n".join(f"{name} = {value}" for name, value in changes.items())
    path = tmp_path / "pair.toml"
    path.write_text(
        "name = 'pair'\nsummary = 'x'\ndatasets = ['toy']\nseeds = 3\nselect = ['last']\nepochs = 1\n"
        f"[[methods]]\nmethod = 'tf-vaegan'\npublished = false\n[methods.settings]\n{text}\n"
    )
    options = {"store": tmp_path / "store", "device": "cpu", "threads": 1}
    first = zslbench.bench(path, seeds=[1], **options)
    assert [one.environment["execution"]["replicas"] for one in first.records] == [1]
    whole = zslbench.bench(path, replicas=3, **options)
    replicas = {one.info.seed: one.environment.get("replicas") for one in whole.records}
    assert replicas[1] is None
    assert replicas[0]["seeds"] == replicas[2]["seeds"] == [0, 1, 2]
    assert replicas[0]["computed"] == replicas[2]["computed"] == [0, 2]
    before = {one.info.id for one in Store(options["store"]).records()}
    zslbench.bench(path, replicas=3, **options)
    assert {one.info.id for one in Store(options["store"]).records()} == before and len(before) == 3


@pytest.mark.parametrize("select", ["last", "val"])
def test_inputs_that_are_drawn_anew_are_each_seeds_own(known, select):
    settings = {"classifier.epochs": 3, "classifier.batch_size": 16}
    recipe = resolve(known, "scripted", method="drawing", epochs=2, settings=settings)
    dataset = load_dataset(recipe.parts["dataset"])
    outcomes, group = together(recipe, dataset, select, [0, 1, 2])
    assert not group.one_by_one
    plain = [alone(recipe, dataset, select, seed) for seed in range(3)]
    for lifted, single in zip(outcomes, plain, strict=True):
        for path, value in tensors(single).items():
            torch.testing.assert_close(tensors(lifted)[path], value, rtol=1e-3, atol=1e-5)
        found, expected = (one.evaluation.scores["gzsl"] for one in (lifted, single))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert not np.allclose(plain[0].evaluation.scores["gzsl"], plain[1].evaluation.scores["gzsl"])
