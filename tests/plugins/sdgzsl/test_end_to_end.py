"""SDGZSL as a method: it learns, and its schedule, warm-ups and running moments are the released ones."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.plugin import Batch, Progress
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench_sdgzsl.generator import SDGZSL
from zslbench_sdgzsl.networks import MOMENTS, encode
from zslbench_sdgzsl.settings import SDGZSLSettings

NO_DROPOUT = {"encoder_dropout": 0, "variance_dropout": 0, "decoder_dropout": 0}
SMALL = {"hidden": 8, "code": 4, "latent": 3, "factor": 4, "batch_size": 10}


def method(**settings):
    space = ClassSpace(("a", "b", "c", "d"), torch.rand(4, 5), torch.tensor([0, 1, 3]), torch.tensor([2]))
    return SDGZSL(SDGZSLSettings(**(SMALL | settings)), space)


def view(n=70):
    torch.manual_seed(0)
    return TrainView(torch.rand(n, 6), torch.tensor([0, 1, 3])[torch.arange(n) % 3])


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    result = zslbench.run(
        "sdgzsl", dataset="toy", select="last", epochs=8, store=tmp_path, device="cpu", threads=1
    )
    assert result.records[0].metrics["acc"] > 0.4
    assert result.records[0].metrics["h"] > 0.2


@pytest.mark.parametrize("tc_steps", [2, 3])
def test_the_discriminator_learns_in_every_first_step_of_a_cycle(tc_steps):
    (cycle,) = method(tc_steps=tc_steps).fit(view()).passes
    assert ["discriminator" in step.updates for step in cycle] == [True] + [False] * tc_steps
    assert all({"encoder", "decoder", "autoencoder", "relation"} <= set(step.updates) for step in cycle)
    assert all(step.fresh_batch for step in cycle)


@pytest.mark.parametrize(("n", "tc_steps", "cycles"), [(70, 2, 2), (70, 3, 2), (300, 2, 10), (9, 3, 1)])
def test_an_epoch_has_a_batch_for_every_ten_images(n, tc_steps, cycles):
    """70 images are 7 batches of 10: 2⅓ cycles of 3 steps, 1¾ of 4."""
    assert method(tc_steps=tc_steps).fit(view(n)).iterations == cycles


def test_the_moments_move_a_tenth_of_the_way_in_every_step():
    one, data = method(**NO_DROPOUT), view()
    program = one.fit(data)
    nets = program.initial(zslbench.plugin.Streams(0)) | {"state": dict(program.state)}
    assert {name: float(value.unique()) for name, value in program.state.items()} == {
        name: float(name.endswith("variance")) for name in MOMENTS
    }
    batch = Batch(data.features, data.labels, one.space.semantics[data.labels])
    noise = {"reparameterisation": torch.randn(70, 3)}
    state = one.losses(nets, batch, noise, tc=True).state
    norms = [torch.nn.BatchNorm1d(8, 0.8) for _ in range(2)]
    mean, variance = encode(nets["encoder"], data.features, batch.semantics)
    z = mean + variance.sqrt() * noise["reparameterisation"]
    net = nets["decoder"]
    h = torch.nn.functional.leaky_relu(
        torch.cat([z, batch.semantics], 1) @ net["first.weight"].T + net["first.bias"], 0.2
    )
    for name, norm in zip(("second", "third"), norms, strict=True):
        h = norm(h @ net[f"{name}.weight"].T + net[f"{name}.bias"])
        torch.testing.assert_close(state[f"{name}.mean"], norm.running_mean)
        torch.testing.assert_close(state[f"{name}.variance"], norm.running_var)


def test_weights_grow_with_the_epochs_to_one():
    """KL: 0.3 per epoch; total correlation: 0.2 per epoch, times its weight."""
    one, data = method(kl_warmup=0.3, tc_warmup=0.2, tc_weight=5.0, **NO_DROPOUT), view()
    program = one.fit(data)
    nets = program.initial(zslbench.plugin.Streams(0)) | {"state": dict(program.state)}
    noise = {"reparameterisation": torch.randn(70, 3)}

    def logged(epoch):
        zero = torch.zeros(())
        at = Progress(zero + epoch, zero, zero)
        batch = Batch(data.features, data.labels, one.space.semantics[data.labels], at)
        log = one.losses(nets, batch, noise, tc=True).log
        return log["cvae"], log["real_tc"]

    (start, none), (later, some), (end, all_), (after, still) = map(logged, (0, 2, 4, 5))
    assert none == 0
    torch.testing.assert_close((later - start) / (end - start), torch.tensor(0.6))
    torch.testing.assert_close(after, end)
    torch.testing.assert_close(some / all_, torch.tensor(0.5))
    torch.testing.assert_close(still, all_ * 1.25)
