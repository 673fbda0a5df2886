"""A backbone that trains with an embedding of regions: what it computes, what changes and what stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from zslbench.errors import SettingsError
from zslbench.plugin import Batch, Networks, Program, Streams, TrainView
from zslbench.testing.harness import TinyInputs, TinyRegions
from zslbench.training import Training, center_crop, complete
from zslbench_aren.aren import ARENFrozen
from zslbench_aren.settings import ARENSettings
from zslbench_extractors.backbones import backbone
from zslbench_extractors.finetuned import FineTuned
from zslbench_extractors.settings import BackboneSettings

SPACE = TinyInputs().space()
PICTURES = TinyInputs().pictures(24, 36, Streams(0, "cpu"))
VIEW = replace(TinyInputs().raw_view(SPACE), regions=None, images=PICTURES)
EVERY = torch.arange(24)


class Settings(ARENSettings):
    """AREN's, with a backbone."""

    backbone: BackboneSettings = BackboneSettings()


class Tuned(FineTuned):
    """AREN on pictures."""

    head_class = ARENFrozen


class Alone(ARENFrozen):
    """Draws from the same streams as one of several programs."""

    def fit(self, view: TrainView) -> Any:
        return (yield super().fit(view))


def settings(**changes: Any) -> Settings:
    options = {
        "name": "tiny",
        "trained_blocks": 2,
        "image_size": 36,
        "crop": 32,
        "lr": 2e-3,
        "augment": False,
    }
    head = {"parts": 2, "compressed": 2, "epochs": 2, "batch_size": 8, "lr": 1e-3}
    return Settings(**head, backbone=BackboneSettings(**({"augment": False} | options | changes)))


def trained(given: Settings, view: TrainView = VIEW, cls: type = Tuned) -> Networks:
    return complete(cls(given, SPACE).fit(view), SPACE.semantics, Training(Streams(1, "cpu"))).networks


def close(one: Networks, other: Networks, nets: tuple[str, ...]) -> bool:
    return all(
        torch.allclose(tensor, other[net][name], rtol=1e-4, atol=1e-6)
        for net in nets
        for name, tensor in one[net].items()
    )


@pytest.fixture(scope="module")
def tuned() -> Networks:
    return trained(settings())


OWN = ("masks", "first", "compress", "second")


def test_a_backbone_that_stands_still_is_a_frozen_one() -> None:
    """The embedding of regions alone, on the maps of the middle crops, with the same random streams."""
    whole = backbone("tiny")
    maps = whole.maps(whole.networks(), PICTURES.tensor[:, :, 2:34, 2:34] / 255)
    regions = TinyRegions(maps.flatten(2).transpose(1, 2))
    alone = trained(settings(), replace(VIEW, images=None, regions=regions), Alone)
    still = trained(settings(lr=1e-12))
    assert close(alone, still, OWN)
    g = Tuned(settings(), SPACE).embed(still, PICTURES.tensor)
    assert torch.allclose(g, ARENFrozen(settings(), SPACE).embed(alone, regions.tensor), atol=1e-5)


def test_only_the_last_blocks_change(tuned: Networks) -> None:
    before = backbone("tiny").networks()
    for block in ("stem", "stage1", "statistics"):
        assert all(torch.equal(one, tuned[block][name]) for name, one in before[block].items())
    for block in ("stage2", "head"):
        assert not any(torch.equal(one, tuned[block][name]) for name, one in before[block].items())


def test_output_of_frozen_blocks_is_kept_or_computed_in_each_step() -> None:
    """A crop of the whole picture that is not mirrored: augmentation then changes nothing."""
    x = center_crop(PICTURES.tensor, 32)
    once, each = (
        Tuned(settings(augment=augment, area=(1.0, 1.0), image_size=36), SPACE) for augment in (False, True)
    )
    nets = once.backbone.networks()
    kept = once.backbone.maps(nets, x, once.frozen_blocks)
    assert torch.equal(_paced(once).features[EVERY], kept)
    noise = {"backbone_crop": torch.full((24, 4), 0.5), "backbone_flip": torch.full((24,), 0.5)}
    found, _ = each._regions_in_training(nets, x, noise, train=True)
    expected, _ = once._regions_in_training(nets, kept, {}, train=True)
    assert torch.allclose(found, expected, atol=1e-5)


def test_batch_statistics_become_the_running_ones() -> None:
    given = settings(norm="trained")
    program = _paced(Tuned(given, SPACE))
    before = backbone("tiny").networks()
    names = {name for name in before["statistics"] if name.startswith(("stage2.", "head."))}
    assert program.state.keys() == names
    fitted = trained(given)
    assert not any(torch.equal(fitted["state"][name], before["statistics"][name]) for name in names)
    whole = backbone("tiny")
    x = PICTURES.tensor[:8, :, 2:34, 2:34] / 255
    _, expected = whole.maps_in_training(
        before, whole.maps(before, x, ("stem", "stage1")), ("stage2", "head")
    )
    step, labels = program.passes[0][0], VIEW.labels[:8]
    nets = {**program.initial(Streams(1, "cpu")), **program.frozen, "state": dict(program.state)}
    noise = {name: torch.rand(8, *spec.shape) for name, spec in step.noise.items()}
    batch = _batch(program, labels)
    state = step.losses(nets, batch, noise).state
    assert all(torch.allclose(state[name], expected[name]) for name in names)


def test_the_embedding_may_begin_alone() -> None:
    first, second = _programs(Tuned(settings(head_epochs=3, head_lr=1e-5), SPACE))
    assert (first.epochs, first.paced, second.epochs, second.paced) == (3, False, 2, True)
    assert set(first.optimizers) == set(first.passes[0][0].updates) == set(OWN)
    assert set(second.optimizers) == set(second.passes[0][0].updates) == {*OWN, "stage2", "head"}
    rates = (program.optimizers["masks"].lr for program in (first, second))
    assert (*rates, second.optimizers["head"].lr) == (1e-3, 1e-5, 2e-3)


def test_too_many_blocks_are_refused() -> None:
    with pytest.raises(SettingsError, match="only 4 blocks"):
        Tuned(settings(trained_blocks=5), SPACE)


def _programs(embedding: Tuned) -> list[Program]:
    fit, programs = embedding.fit(VIEW), []
    part = next(fit)
    try:
        while True:
            assert isinstance(part, Program)
            programs.append(part)
            part = fit.send({net: {} for net in OWN})
    except StopIteration:
        return programs


def _paced(embedding: Tuned) -> Program:
    return _programs(embedding)[-1]


def _batch(program: Program, labels: torch.Tensor) -> Batch:
    return Batch(program.features[EVERY[: len(labels)]], labels, SPACE.semantics[labels])
