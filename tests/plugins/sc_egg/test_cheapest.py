"""The choice of an order: against counts of what each order really multiplies and writes, without numbers."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from zslbench_sc_egg import orders

IMAGES = 8


class Written(TorchDispatchMode):
    """Counts the floats that operations write; a view writes none."""

    floats = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.floats += sum(one.numel() for one in tree_leaves(result) if isinstance(one, torch.Tensor))
        return result


def counted(
    regions: int, attributes: int, dv: int, composition, order, *, backward: bool = True
) -> tuple[float, float]:
    """Multiply-accumulates and floats written per image, on tensors without storage."""

    def tensor(*shape, trained=True):
        return torch.empty(shape, device="meta", requires_grad=trained)

    r = tensor(IMAGES, regions, dv, trained=False)
    w = orders.Weights(tensor(attributes, dv), tensor(attributes, dv))
    half = attributes // 2
    sc = {
        "first.weight": tensor(half, attributes),
        "first.bias": tensor(half),
        "second.weight": tensor(1, half),
        "second.bias": tensor(1),
    }
    with FlopCounterMode(display=False) as flops, Written() as written:
        made = orders.local(r, w, sc, composition, order)
        total = made.e.sum() if made.g is None else made.e.sum() + made.g.sum()
        if backward:
            total.backward()
    return flops.get_total_flops() / 2 / IMAGES, written.floats / IMAGES


# Issue: "the order without h is 1.3x faster on SUN, 1.9x on CUB at R=196 and 3.2x at R=49, d_v=1280".
MEASURED = [(196, 102, 2048), (196, 312, 2048), (49, 312, 1280)]


@pytest.mark.parametrize("shape", MEASURED)
def test_the_shapes_that_were_timed_are_computed_without_h(shape):
    assert orders.cheapest(*shape, "mlp") == "maps"


@pytest.mark.parametrize("shape", MEASURED)
@pytest.mark.parametrize("composition", ["mean", None])
def test_so_are_they_where_g_is_a_mean_or_not_asked_for(shape, composition):
    assert orders.cheapest(*shape, composition) == "maps"


# Million multiply-accumulates per image, forward, with and without h, as the issue counts them.
COUNTED = [((196, 102, 2048), 93, 103), ((196, 312, 2048), 350, 322), ((49, 312, 2048), 162, 80)]


@pytest.mark.parametrize(("shape", "literal", "maps"), COUNTED)
def test_the_orders_multiply_as_often_as_was_counted(shape, literal, maps):
    assert counted(*shape, "mlp", "literal", backward=False)[0] / 1e6 == pytest.approx(literal, abs=1)
    assert counted(*shape, "mlp", "maps", backward=False)[0] / 1e6 == pytest.approx(maps, abs=1)


def test_the_choice_never_costs_much_more_than_the_other():
    """On shapes of all proportions, by what the two orders are seen to multiply and write."""
    worst, chosen = 1.0, set()
    for shape in itertools.product((1, 9, 49, 400), (4, 24, 312), (64, 1280), ("mlp", "mean", None)):
        cost = {}
        for order in ("literal", "maps"):
            multiplied, written = counted(*shape, order)
            cost[order] = multiplied + orders.MACS_PER_FLOAT * written
        choice = orders.cheapest(*shape)
        chosen.add(choice)
        worst = max(worst, cost[choice] / min(cost.values()))
    assert worst < 1.25  # small operations are not worth counting
    assert chosen == {"literal", "maps"}
