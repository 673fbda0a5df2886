"""The score of a row's own class: ``gather`` without its gradient's scatter."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_label_is_gather_value_and_gradient(dtype: torch.dtype) -> None:
    from zslbench.training import of_label

    scores = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    scores[0, 1], scores[1] = -torch.inf, 1e30
    labels, weights = torch.tensor([0, 4, 2, 2, 1, 3]), torch.arange(6).to(dtype)

    def by_gather(one: torch.Tensor) -> torch.Tensor:
        return (one.gather(1, labels[:, None])[:, 0] * weights).sum()

    def ours(one: torch.Tensor) -> torch.Tensor:
        return (of_label(one, labels) * weights).sum()

    assert torch.equal(of_label(scores, labels), scores[torch.arange(6), labels])
    assert torch.equal(torch.func.grad(ours)(scores), torch.func.grad(by_gather)(scores))
    many = torch.stack([scores, 2 * scores])
    assert torch.equal(torch.func.vmap(ours)(many), torch.stack([ours(one) for one in many]))
