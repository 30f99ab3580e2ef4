"""Terms for use beside others only: they favour a kind of matte, not the true one."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import mask_of, mattes
from deepmatte.losses.table.options import NonNegative
from deepmatte.ops.filtering.separable import SOBEL_SLOPE, SOBEL_SMOOTH, Border, gradients
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean


def smoothness_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    edge_scale: NonNegative = 0.0,
) -> Tensor:
    """Total variation of the predicted alpha, edge-aware by option.

    Formula: mean |dx p| exp(-k |dx I|) + mean |dy p| exp(-k |dy I|) over neighbours that are both in the
    region; k = `edge_scale`, |dI| the mean over the image's channels. k = 0 is plain total variation.
    Source: Rudin, Osher and Fatemi 1992; the weight by image edges as in Godard et al., CVPR 2017.
    Optimises: few and small steps of alpha; with k > 0, only where the image has none either.
    Proper: exempt: it ignores the truth and is minimal for a constant matte.
    Use: against speckle, at a small weight beside another term (preset `alpha_smooth`).
    Cost: about 2x alpha, 5x with the image's edges.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> smoothness_loss(Matte(0 * batch["alpha"] + 0.5), batch)
    tensor(0.)
    """
    predicted, _ = mattes(matte, batch)
    mask = mask_of(batch, region)
    total = predicted.new_zeros(())
    for axis in (-1, -2):
        variation = predicted.diff(dim=axis).abs()
        if edge_scale > 0:
            step = batch["image"].diff(dim=axis).abs().mean(1, keepdim=True)
            variation = variation * (-edge_scale * step).exp()
        total = total + masked_mean(variation, _pairs(mask, axis), reduction, per)
    return total


def _pairs(mask: Tensor | None, axis: int) -> Tensor | None:
    """Return where a pixel and the next one along ``axis`` are both in the mask."""
    if mask is None:
        return None
    size = mask.shape[axis] - 1
    return mask.narrow(axis, 0, size) & mask.narrow(axis, 1, size)


def gradient_penalty_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    sparsity: NonNegative = 0.01,
    border: Border = "replicate",
) -> Tensor:
    """Difference of the gradients of predicted and true alpha, plus a small penalty on the former.

    Formula: mean over the region of |gx(p) - gx(t)| + |gy(p) - gy(t)| + s (|gx(p)| + |gy(p)|), Sobel's gx and
    gy; s = `sparsity`.
    Source: Dai et al., CVPR 2022, as in ViTMatte (there with zeros beyond the border, times 262144 / (H W)).
    Optimises: sharp, few edges.
    Proper: exempt: its second part is not minimal at the truth, and a constant offset costs nothing.
    Use: at a small weight beside another term (preset `alpha_penalty`).
    Cost: about 8x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> bool(gradient_penalty_loss(Matte(batch["alpha"]), batch) > 0)  # even at the truth
    True
    """
    predicted, true = mattes(matte, batch)
    found = torch.cat(gradients(predicted, SOBEL_SMOOTH, SOBEL_SLOPE, border))
    wanted = torch.cat(gradients(true, SOBEL_SMOOTH, SOBEL_SLOPE, border))
    across, down = ((found - wanted).abs() + sparsity * found.abs()).chunk(2)
    return masked_mean(across + down, mask_of(batch, region), reduction, per)
