"""Regions of a trimap, and means over them that are global across processes."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor

Region = Literal["unknown", "known", "foreground", "background", "whole"]
Reduction = Literal["batch", "sample"]
REGIONS: tuple[str, ...] = get_args(Region)

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
"""The three values of a trimap."""


def region_mask(trimap: Tensor, region: Region = "unknown") -> Tensor:
    """Return the pixels of ``region`` as a boolean tensor of the trimap's shape.

    >>> region_mask(torch.tensor([0, 128, 255], dtype=torch.uint8), "known")
    tensor([ True, False,  True])
    """
    if region == "unknown":
        return trimap == UNKNOWN
    if region == "known":
        return trimap != UNKNOWN
    if region == "foreground":
        return trimap == FOREGROUND
    if region == "background":
        return trimap == BACKGROUND
    if region == "whole":
        return torch.ones_like(trimap, dtype=torch.bool)
    raise ValueError(f"region '{region}' is none of {', '.join(REGIONS)}")


class _GlobalSum(torch.autograd.Function):
    """Sum over all processes whose gradient is right once DDP has averaged the parameters' gradients."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, local: Tensor) -> Tensor:
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        # What follows the sum is the same on every rank, so is its gradient; DDP divides by the world size afterwards.
        return grad * dist.get_world_size()


def global_sum(local: Tensor) -> Tensor:
    """Return the sum of ``local`` over all processes; the identity in one process and where gradients are off.

    Value and gradient of a loss made of such sums equal those of one process on the joined batch, under DDP's averaging.
    Every rank has to call it equally often, also for an empty region. Validation runs without gradients and with uneven
    numbers of images, so there it must not, and does not, communicate.
    """
    if torch.is_grad_enabled() and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return _GlobalSum.apply(local)
    return local


def masked_mean(values: Tensor, mask: Tensor, reduction: Reduction = "batch") -> Tensor:
    """Return the mean of ``values`` (N, C, H, W) over the pixels of ``mask`` (N, 1, H, W) and all C channels.

    ``batch`` divides the sum over the global batch by its number of pixels; ``sample`` averages the means of the samples
    whose mask is not empty. An empty mask gives 0 with a zero gradient. Values outside the mask have no influence, even if not finite.

    >>> masked_mean(torch.tensor([[[[1.0, 3.0, torch.nan]]]]), torch.tensor([[[[True, True, False]]]]))
    tensor(2.)
    """
    mask = mask.expand_as(values)
    values = torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
    if reduction == "sample":
        count = mask.flatten(1).sum(1)
        means = values.flatten(1).sum(1) / count.clamp(min=1)
        return global_sum(means.sum()) / global_sum((count > 0).sum().to(values.dtype)).clamp(min=1)
    return global_sum(values.sum()) / global_sum(mask.sum().to(values.dtype)).clamp(min=1)
