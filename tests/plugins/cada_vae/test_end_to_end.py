"""CADA-VAE as a method: it learns, its weights warm up as released, its classifier sees means and draws."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.errors import SettingsError
from zslbench.plugin import Batch, ClassSpace, Progress, Streams, TrainView
from zslbench_cada_vae.generator import CADAVAE
from zslbench_cada_vae.settings import CADAVAESettings

SPACE = ClassSpace(("a", "b", "c"), torch.rand(3, 4), torch.tensor([0, 2]), torch.tensor([1]))
VIEW = TrainView(torch.rand(20, 6), torch.tensor([0, 2] * 10))
SMALL = {"latent": 3, "visual_hidden": (8, 7), "semantic_hidden": (6, 5)}


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    options = {"select": "last", "epochs": 25, "every": 25, "store": tmp_path, "device": "cpu", "threads": 1}
    metrics = zslbench.run("cada-vae", dataset="toy", **options).records[0].metrics
    assert metrics["acc"] > 0.4
    assert metrics["h"] > 0.2


def test_weights_grow_between_the_released_epochs():
    def weights(epoch):
        batch = Batch(VIEW.features, VIEW.labels, SPACE.semantics[VIEW.labels])
        progress = Progress(torch.tensor(float(epoch)), *batch.progress[1:])
        return [
            float(one) for one in CADAVAE(CADAVAESettings(), SPACE).weights(batch._replace(progress=progress))
        ]

    assert weights(0) == [0, 0, 0]
    assert weights(14) == pytest.approx([0.25 * 14 / 93, 0, 8.13 / 2])
    assert weights(48) == pytest.approx([0.25 * 48 / 93, 2.37 / 2, 8.13])
    assert weights(99) == pytest.approx([0.25, 2.37, 8.13])


def test_one_step_trains_all_networks_with_amsgrad():
    program = CADAVAE(CADAVAESettings(**SMALL), SPACE).fit(VIEW)
    ((step,),) = program.passes
    assert set(step.updates) == set(program.optimizers) == set(program.initial(Streams(0)))
    (rule,) = {*program.optimizers.values()}
    assert (rule.kind, rule.lr, rule.betas, rule.amsgrad) == ("adam", 1.5e-4, (0.9, 0.999), True)


def test_images_are_means_without_noise_and_one_noise_moves_all_dimensions():
    vae = CADAVAE(CADAVAESettings(**SMALL), SPACE)
    nets = vae.fit(VIEW).initial(Streams(0))
    mean, logvar = vae.encode_visual(nets, VIEW.features)
    assert torch.equal(vae.transform(nets, VIEW.features, {}), mean)
    drawn = vae.transform(nets, VIEW.features, {"visual": torch.full((20, 1), 2.0)})
    torch.testing.assert_close(drawn, mean + 2 * logvar.exp())  # released: exp(log σ²), not σ


def test_a_warm_up_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="gamma_epochs"):
        CADAVAESettings(gamma_epochs=(5, 5))
    with pytest.raises(SettingsError, match="gamma_epochs"):
        zslbench.run("cada-vae", dataset="toy", settings={"generator.gamma_epochs": [9, 3]})
