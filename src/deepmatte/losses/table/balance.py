"""A common scale for terms: gradients of equal norm, and the cosines between them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import torch
import torch.distributed as dist
from torch import Tensor

from deepmatte.batch import Matte
from deepmatte.ops.regions import world_size


def gradient_products(values: list[Tensor], matte: Matte) -> Tensor:
    """Return the inner products (K, K) of the gradients of K terms at the prediction, over the global batch.

    ``matte`` must be the one that `prepare` returned and the terms were computed from. With a logit z,
    gradients are taken at z by the chain rule for alpha = sigmoid(z), however the model computes the two;
    else at alpha. The coarse matte counts as an output of its own: the gradient of a term that sees it is
    that at the coarse matte, orthogonal to those at the final one.
    """
    outputs = [matte] if matte.coarse is None else [matte, matte.coarse]
    products = sum((_products_at(values, output) for output in outputs), values[0].new_zeros(()).float())
    if world_size() > 1:  # `global_sum` scales every gradient by the number of processes
        dist.all_reduce(products)
        products = products / world_size() ** 2
    return products


def _products_at(values: list[Tensor], matte: Matte) -> Tensor:
    """Return the inner products (K, K) of the gradients at one output of the model."""
    rows = torch.stack([_gradient(value, matte).flatten() for value in values]).float()
    return rows @ rows.T


def _gradient(value: Tensor, matte: Matte) -> Tensor:
    """Return the gradient (N, 1, H, W) of one term at the logit, or at alpha without one."""
    at_alpha = _partial(value, matte.alpha)
    if matte.logit is None:
        return at_alpha
    slope = matte.alpha.detach() * (1 - matte.alpha.detach())
    return _partial(value, matte.logit) + slope * at_alpha


def _partial(value: Tensor, root: Tensor) -> Tensor:
    """Return the derivative of ``value`` with respect to ``root``; zeros if it does not depend on it."""
    if not (value.requires_grad and root.requires_grad):
        return torch.zeros_like(root)
    (gradient,) = torch.autograd.grad(value, root, retain_graph=True, allow_unused=True)
    return torch.zeros_like(root) if gradient is None else gradient


def cosines_of(names: list[str], products: Tensor) -> dict[str, Tensor]:
    """Return the cosine between the gradients of each pair of terms: 1 agree, 0 unrelated, -1 oppose.

    >>> cosines_of(["alpha", "dice"], torch.tensor([[4.0, 1.0], [1.0, 1.0]]))
    {'alpha_vs_dice': tensor(0.5000)}
    """
    lengths = products.diagonal().sqrt()
    scaled = products / (lengths[:, None] * lengths).clamp(min=torch.finfo(products.dtype).tiny)
    return {f"{a}_vs_{b}": scaled[i, j] for i, a in enumerate(names) for j, b in enumerate(names) if i < j}


def ratios_at_alpha(
    weighted: Mapping[str, Tensor], players: AbstractSet[str], matte: Matte
) -> dict[str, Tensor]:
    """Return how strongly each of the ``players`` pulls at alpha, relative to all other terms together.

    That is the ratio of the norms of the gradients at alpha, over the global batch. What the other terms read
    of the logit does not count.

    >>> alpha = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> terms = {"alpha": (2 * alpha).sum(), "adversarial": alpha.sum()}
    >>> ratios_at_alpha(terms, {"adversarial"}, Matte(alpha))
    {'adversarial/gradient_ratio': tensor(0.5000)}
    """
    if not players & weighted.keys():
        return {}
    rest = sum((value for name, value in weighted.items() if name not in players), 0 * matte.alpha.sum())
    reference = _partial(rest, matte.alpha)
    found = {}
    for name in sorted(players & weighted.keys()):
        squares = torch.stack(
            [_partial(weighted[name], matte.alpha).square().sum(), reference.square().sum()]
        )
        if world_size() > 1:
            dist.all_reduce(squares)
        own, others = squares.sqrt()
        found[f"{name}/gradient_ratio"] = own / others.clamp(min=torch.finfo(others.dtype).tiny)
    return found
