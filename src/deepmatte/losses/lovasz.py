"""The Lovasz extension of the Jaccard loss, for fractional truths too."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import logit_of, mask_of, mattes
from deepmatte.losses.table.options import Form
from deepmatte.ops.regions import Reduction, Region, global_gather, ratio


def lovasz_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "sample",
    form: Form = "proper",
) -> Tensor:
    """Lovasz extension of the Jaccard loss: each error weighs what it costs the IoU.

    Formula: sum e_k (J_k - J_(k-1)) over the errors in descending order, g_k the truth in that order, G = sum
    g, J_k = 1 - (G - sum_(i<=k) g_i) / (G + sum_(i<=k) (1 - g_i)). proper: e = |p - t|; textbook: e = max(1 -
    z (2 t - 1), 0) of the logit z.
    Source: Berman et al., CVPR 2018; textbook is their hinge for hard labels; the fractional weights then
    equal theirs.
    Optimises: the IoU of the matte as a set function, one sample at a time (`reduction: batch` joins all
    samples and processes).
    Proper: yes. The textbook form has its minimum at hard mattes and flat at alpha = 0.5.
    Use: beside a per-pixel term (preset `alpha_lovasz`), often late in the run (a weight
    schedule).
    Cost: about 6x alpha (it sorts the pixels).

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(lovasz_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    predicted, true = mattes(matte, batch)
    mask = mask_of(batch, region)
    errors = (predicted - true).abs() if form == "proper" else (1 - logit_of(matte) * (2 * true - 1)).relu()
    if reduction == "batch":
        pairs = torch.stack([errors.flatten(), true.flatten()], 1)
        pairs = global_gather(pairs if mask is None else pairs[mask.flatten()])
        errors, truth = pairs[None, :, 0], pairs[None, :, 1].detach()
        return (errors * lovasz_weights(errors.detach(), truth)).sum()
    if mask is not None:  # an error of 0 costs nothing at any rank
        errors, true = torch.where(mask, errors, 0), torch.where(mask, true, 0)
    errors, true = errors.flatten(1), true.flatten(1)
    values = (errors * lovasz_weights(errors.detach(), true)).sum(1)
    return ratio(values, torch.ones_like(values) if mask is None else mask.flatten(1).any(1))


@torch.no_grad()
def lovasz_weights(errors: Tensor, truth: Tensor) -> Tensor:
    """Return J_k - J_(k-1) of each pixel (N, P), in the order of the pixels.

    The difference is (I_k (1 - g_k) + g_k U_k) / (U_(k-1) U_k) with I and U the numerator and denominator of
    1 - J: all parts are positive, whereas the difference of two J would be mere rounding error in single
    precision.

    >>> lovasz_weights(torch.tensor([[0.1, 0.9]]), torch.tensor([[1.0, 0.0]]))  # the false positive first
    tensor([[0.5000, 0.5000]])
    """
    order = errors.argsort(1, descending=True)
    g = truth.gather(1, order)
    total = g.sum(1, keepdim=True)
    done = g.cumsum(1)
    intersection = (total - done).clamp(min=0)
    union = total + torch.arange(1, g.shape[1] + 1, device=g.device, dtype=g.dtype) - done
    before = (union - (1 - g)).clamp(min=torch.finfo(g.dtype).tiny)
    weights = (intersection * (1 - g) + g * union) / (before * union)
    # With an empty truth, the loss is the largest false positive.
    weights[:, :1] = torch.where(total == 0, 1.0, weights[:, :1])
    return torch.empty_like(weights).scatter_(1, order, weights)
