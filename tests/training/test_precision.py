"""bfloat16 in training steps: losses and gradients near float32's, state in float32, the penalty exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch

from zslbench.plugin.programs import Batch, Losses, Optimizer, Program, Progress, Step
from zslbench.plugin.streams import Streams
from zslbench.training import gradient_penalty, linear, two_layer_critic, two_layer_gradient_penalty
from zslbench.training.loop import Training, train
from zslbench.training.step import float32_products, is_reduced, step_function, step_precision

SEMANTICS = torch.eye(3)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def losses(nets, batch, noise):
    scores = linear(nets["net"], "out", batch.features)
    product = (batch.features @ nets["net"]["out.weight"].T).square().mean()  # under bf16 in bfloat16
    return Losses(
        torch.logsumexp(scores, 1).mean() - scores.gather(1, batch.labels[:, None]).mean(),
        {"scores": scores.mean(), "product": product},
    )


def program(**changes):
    values = {
        "initial": lambda streams: {"net": {"out.weight": drawn(3, 32, seed=1), "out.bias": torch.zeros(3)}},
        "passes": ((Step("step", losses, updates=("net",)),),),
        "optimizers": {"net": Optimizer("adam", lr=1e-3)},
        "features": drawn(60, 32, seed=2),
        "labels": torch.arange(60) % 3,
        "epochs": 3,
        "batch_size": 16,
    }
    return Program(**(values | changes))


def test_losses_are_near_and_state_is_float32() -> None:
    training = Training(Streams(0), stage="part")
    exact = train(program(), SEMANTICS, training)
    coarse = train(program(), SEMANTICS, replace(training, precision="bf16"))
    again = train(program(), SEMANTICS, replace(training, precision="bf16"))
    for one, other in zip(exact.epochs, coarse.epochs, strict=True):
        for name in ("step_loss", "step_scores", "step_product"):
            assert other[name] == pytest.approx(one[name], rel=0.02, abs=0.02)
            assert other[name] != one[name], "nothing was computed in bfloat16"
    for name, tensor in coarse.networks["net"].items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, again.networks["net"][name])
    assert not torch.equal(coarse.networks["net"]["out.weight"], exact.networks["net"]["out.weight"])


def test_preparatory_stages_stay_exact() -> None:
    training = Training(Streams(0), stage="part")
    exact = train(program(paced=False), SEMANTICS, training)
    coarse = train(program(paced=False), SEMANTICS, replace(training, precision="bf16"))
    assert coarse.epochs == exact.epochs
    assert torch.equal(coarse.networks["net"]["out.weight"], exact.networks["net"]["out.weight"])


def test_sums_of_figures_in_half_precision_are_float32() -> None:
    """256 + 1 is 256 in bfloat16; a mean over iterations must not stop growing."""

    def constant(nets, batch, noise):
        return Losses((nets["net"]["w"] ** 2).sum(), {"one": torch.ones((), dtype=torch.bfloat16)})

    made = program(
        initial=lambda streams: {"net": {"w": torch.ones(1)}},
        passes=((Step("step", constant, updates=("net",)),),),
        iterations=600,
        epochs=1,
    )
    assert train(made, SEMANTICS, Training(Streams(0), stage="part")).epochs[0]["step_one"] == 1


@pytest.mark.parametrize("kind", ["general", "two-layer", "critic"])
def test_the_gradient_penalty_stays_float32(kind: str) -> None:
    net = {
        "hidden.weight": drawn(16, 12, seed=1), "hidden.bias": drawn(16, seed=2),
        "out.weight": drawn(1, 16, seed=3), "out.bias": drawn(1, seed=4),
    }  # fmt: skip
    a, real, fake, mix = (drawn(5, width, seed=width) for width in (4, 8, 8, 1))

    def penalty(net):
        if kind == "critic":
            return two_layer_critic(net, a, real, fake, mix)[1]
        if kind == "two-layer":
            return two_layer_gradient_penalty(net, a, real, fake, mix)

        def critic(x):
            hidden = torch.nn.functional.leaky_relu(linear(net, "hidden", torch.cat([x, a], 1)), 0.2)
            return linear(net, "out", hidden)

        return gradient_penalty(critic, real, fake, mix)

    def losses(nets, batch, noise):
        assert linear(net, "out", drawn(5, 16, seed=9)).dtype == torch.float32
        product = (drawn(2, 3, seed=1) @ drawn(3, 2, seed=2)).dtype
        assert product == (torch.bfloat16 if is_reduced() else torch.float32)
        return Losses(penalty(nets["net"]), {})

    batch = Batch(real, torch.zeros(5, dtype=torch.int64), a)
    function = step_function(Step("step", losses, updates=("net",)))
    exact = function({"net": net}, batch, {})
    with step_precision("bf16"):
        found = function({"net": net}, batch, {})
    # Of the critic's two products, bf16 leaves the penalty's own.
    within = {"rtol": 1e-5, "atol": 1e-6} if kind == "critic" else {"rtol": 0, "atol": 0}
    same = partial(torch.testing.assert_close, **within)
    same(found[1].total, exact[1].total)
    for name, gradient in exact[0]["net"].items():
        same(found[0]["net"][name], gradient)


def test_it_lifts_over_replicas() -> None:
    def losses(nets, batch, noise):
        return Losses((batch.features @ nets["net"]["w"].T).float().square().mean(), {})

    nets = {"net": {"w": drawn(3, 4, 8, seed=1)}}
    progress = Progress(*torch.zeros(3, 3).unbind())
    batch = Batch(
        drawn(3, 5, 8, seed=2), torch.zeros(3, 5, dtype=torch.int64), torch.zeros(3, 5, 2), progress
    )
    step = Step("step", losses, updates=("net",))
    function, over_replicas = step_function(step), torch.func.vmap(step_function(step, for_vmap=True))
    exact = over_replicas(nets, batch, {})[0]["net"]["w"]
    with step_precision("bf16"):
        lifted = over_replicas(nets, batch, {})[0]["net"]["w"]
        singles = [
            function({"net": {"w": nets["net"]["w"][k]}}, Batch(*(one[k] for one in batch)), {})[0]["net"][
                "w"
            ]
            for k in range(3)
        ]
    assert lifted.dtype == torch.float32 and not torch.equal(lifted, exact)
    torch.testing.assert_close(lifted, torch.stack(singles), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("outer", ["highest", "high"])
def test_products_are_put_back(outer: str) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(outer)
        with pytest.raises(RuntimeError), float32_products("tf32"):
            assert torch.get_float32_matmul_precision() == "high"
            raise RuntimeError
        assert torch.get_float32_matmul_precision() == outer
    finally:
        torch.set_float32_matmul_precision(before)
