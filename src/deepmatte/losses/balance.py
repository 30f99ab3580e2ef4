"""A common scale: factors that make the gradients of all terms equally long, and the cosines between them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from deepmatte.batch import Matte
from deepmatte.ops.regions import world_size


def gradient_products(values: list[Tensor], matte: Matte) -> Tensor:
    """Return the scalar products (K, K) of the gradients of K terms at the prediction, summed over the global batch.

    The gradients are taken at the logit where the model has one (alpha hangs on it), else at alpha: the one place that every
    term's gradient passes on its way to the network.
    """
    root = matte.alpha if matte.logit is None else matte.logit
    zeros = torch.zeros_like(root)
    gradients = []
    for value in values:
        (gradient,) = torch.autograd.grad(value, root, retain_graph=True, allow_unused=True) if value.requires_grad else (None,)
        gradients.append((zeros if gradient is None else gradient).flatten())
    rows = torch.stack(gradients).float()
    products = rows @ rows.T
    if world_size() > 1:  # `global_sum` scales every gradient by the number of processes
        dist.all_reduce(products)
        products = products / world_size() ** 2
    return products


def cosines(names: list[str], products: Tensor) -> dict[str, Tensor]:
    """Return the cosine between each two terms' gradients: 1 they agree, 0 they are strangers, -1 they fight.

    >>> cosines(["alpha", "dice"], torch.tensor([[4.0, 1.0], [1.0, 1.0]]))
    {'alpha_vs_dice': tensor(0.5000)}
    """
    lengths = products.diagonal().sqrt()
    scaled = products / (lengths[:, None] * lengths).clamp(min=torch.finfo(products.dtype).tiny)
    return {f"{a}_vs_{b}": scaled[i, j] for i, a in enumerate(names) for j, b in enumerate(names) if i < j}
