"""Regions of a trimap, and sums, means and ratios over them that are global across processes."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN

Region: TypeAlias = str
"""One of `REGIONS`; the width of the band in pixels may follow its name, as in ``band:15``."""
Reduction = Literal["batch", "sample"]
Per = Literal["region", "image"]

REGIONS: tuple[str, ...] = ("unknown", "known", "foreground", "background", "whole", "band")
BAND_WIDTH = 10


def parse_region(region: Region) -> tuple[str, int]:
    """Split ``region`` into its name and the width of its band in pixels (0 for every other region).

    >>> parse_region("unknown"), parse_region("band"), parse_region("band:15")
    (('unknown', 0), ('band', 10), ('band', 15))
    """
    name, colon, width = str(region).partition(":")
    if name in REGIONS and not colon:
        return name, BAND_WIDTH if name == "band" else 0
    if name == "band" and width.isdecimal() and int(width) > 0:
        return name, int(width)
    raise ValueError(f"region '{region}' is none of {', '.join(REGIONS)} (band:15 is a band of 15 pixels)")


def region_mask(trimap: Tensor, region: Region = "unknown") -> Tensor:
    """Return the pixels of ``region`` as a boolean tensor of the shape of ``trimap`` (N, 1, H, W).

    ``band`` is the unknown zone and the known pixels at most that many rows and columns away.

    >>> region_mask(torch.tensor([0, 128, 255], dtype=torch.uint8), "known")
    tensor([ True, False,  True])
    >>> region_mask(torch.tensor([[[[0, 0, 128, 255, 255]]]], dtype=torch.uint8), "band:1")
    tensor([[[[False,  True,  True,  True, False]]]])
    """
    name, width = parse_region(region)
    if name == "unknown":
        return trimap == UNKNOWN
    if name == "known":
        return trimap != UNKNOWN
    if name == "foreground":
        return trimap == FOREGROUND
    if name == "background":
        return trimap == BACKGROUND
    if name == "whole":
        return torch.ones_like(trimap, dtype=torch.bool)
    near = (trimap == UNKNOWN).float()
    near = F.max_pool2d(near, (1, 2 * width + 1), stride=1, padding=(0, width))
    return F.max_pool2d(near, (2 * width + 1, 1), stride=1, padding=(width, 0)) > 0


class _GlobalSum(torch.autograd.Function):
    """Sum over all processes whose gradient is right once DDP has averaged the parameters' gradients."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # What follows the sum is the same on every rank, so is its gradient; DDP divides by the world size
        # afterwards.
        return grad * dist.get_world_size()


class _GlobalGather(torch.autograd.Function):
    """Concatenate rows of all processes, in the order of ranks, with a gradient scaled as by `_GlobalSum`."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        world, rank = dist.get_world_size(), dist.get_rank()
        length = torch.tensor([local.shape[0]], device=local.device)
        lengths = [torch.zeros_like(length) for _ in range(world)]
        dist.all_gather(lengths, length)
        sizes = [int(n) for n in lengths]
        padded = local.new_zeros(
            max(sizes), *local.shape[1:]
        )  # processes may hold different numbers of rows, or none
        padded[: local.shape[0]] = local
        parts = [torch.empty_like(padded) for _ in range(world)]
        dist.all_gather(parts, padded)
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad[ctx.own] * dist.get_world_size()


def world_size() -> int:
    """Return the number of processes of a training step; 1 without a process group or without gradients."""
    if torch.is_grad_enabled() and dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1


def global_sum(local: Tensor) -> Tensor:
    """Return the sum of ``local`` over all processes; the identity in one process or without gradients.

    Value and gradient of a loss made of such sums equal those of one process on the joined batch, under DDP's
    averaging. Every rank has to call it equally often, also for an empty region. Validation runs without
    gradients and with uneven numbers of images, so there it must not, and does not, communicate.
    """
    return _GlobalSum.apply(local) if world_size() > 1 else local


def global_gather(local: Tensor) -> Tensor:
    """Return the rows of all processes, for a loss that is no ratio of sums; otherwise as `global_sum`.

    The numbers of rows may differ and may be 0.
    """
    return _GlobalGather.apply(local) if world_size() > 1 else local


def ratio(sums: Tensor, counts: Tensor, reduction: Reduction = "batch") -> Tensor:
    """Divide the sums of N samples (N,) by their counts (N,): the batch's mean, or the mean of means.

    ``sample`` averages over the samples whose count is not 0. Where there is nothing to count the sum has to
    be 0, and so is the result.

    >>> sums, counts = torch.tensor([6.0, 1.0, 0.0]), torch.tensor([2.0, 1.0, 0.0])
    >>> float(ratio(sums, counts)), float(ratio(sums, counts, "sample"))
    (2.3333332538604736, 2.0)
    """
    if reduction == "sample":
        sums, counts = sums / counts.clamp(min=1), counts > 0
    total, count = global_sum(torch.stack([sums.sum(), counts.sum().to(sums.dtype)]))
    return total / count.clamp(min=1)


def masked_mean(
    values: Tensor,
    mask: Tensor | None,
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: float | None = None,
) -> Tensor:
    """Return the mean of ``values`` (N, C, H, W) over the pixels of ``mask`` (N, 1, H, W) and all C channels.

    ``batch`` divides the sum over the global batch by its number of pixels; ``sample`` averages the means of
    the samples whose mask is not empty. ``per="image"`` divides by the pixels of the whole image instead of
    those of the mask, so that terms over different regions share one denominator. No mask is the whole image.
    An empty mask gives 0 with a zero gradient. Values outside the mask have no influence, even if not finite.
    ``hardest`` in (0, 1] keeps only this share of the mask's pixels, those of the largest values (the mean
    over the channels); see `hardest_weights`.

    >>> masked_mean(torch.tensor([[[[1.0, 3.0, torch.nan]]]]), torch.tensor([[[[True, True, False]]]]))
    tensor(2.)
    >>> masked_mean(torch.ones(1, 1, 2, 2), torch.tensor([[[[True, False], [False, False]]]]), per="image")
    tensor(0.2500)
    >>> masked_mean(torch.tensor([[[[1.0, 3.0, 6.0, 2.0]]]]), None, hardest=0.5)
    tensor(4.5000)
    """
    if hardest is not None:
        values = values.mean(1, keepdim=True)
        weights = hardest_weights(values.detach(), mask, hardest, reduction)
        values = torch.where(weights > 0, values * weights, 0)
        pixels = weights if per == "region" else torch.ones_like(weights)
        return ratio(values.flatten(1).sum(1), pixels.flatten(1).sum(1), reduction)
    num_values = math.prod(values.shape[1:])
    counts = values.new_full(values.shape[:1], num_values)
    if mask is not None:
        values = torch.where(mask, values, 0)
        if per == "region" and num_values:
            counts = mask.flatten(1).sum(1) * (num_values // math.prod(mask.shape[1:]))
    return ratio(values.flatten(1).sum(1), counts, reduction)


def hardest_weights(values: Tensor, mask: Tensor | None, share: float, reduction: Reduction) -> Tensor:
    """Return the weights (N, 1, H, W) in [0, 1] that choose the largest ``share`` of ``values`` in ``mask``.

    ``batch`` chooses among the pixels of the global batch, ``sample`` among those of each sample; the number
    is rounded up. Pixels that tie for the last place share it, so that the sum of the weights is the number
    chosen and no order of pixels or processes matters. NaN counts as the largest value. ``values`` are
    detached.

    >>> hardest_weights(torch.tensor([[[[1.0, 3.0, 3.0, 2.0]]]]), None, 0.25, "batch")
    tensor([[[[0.0000, 0.5000, 0.5000, 0.0000]]]])
    """
    inside = torch.ones_like(values, dtype=torch.bool) if mask is None else mask
    if reduction == "batch":
        weights = _share_of(values, global_gather(values[inside]), share)
    else:
        pairs = zip(values, inside, strict=True)
        each = [_share_of(sample, sample[within], share) for sample, within in pairs]
        weights = torch.stack(each) if each else torch.zeros_like(values)
    return torch.where(inside, weights, 0)


def _share_of(values: Tensor, rivals: Tensor, share: float) -> Tensor:
    """Return which of ``values`` belong to the largest ``share`` of ``rivals`` (P,), as weights in [0, 1]."""
    if not len(rivals):
        return torch.zeros_like(values)
    num = math.ceil(share * len(rivals) - 1e-9)  # 0.1 x 70 is 7, not a rounding error more
    limit = rivals.kthvalue(len(rivals) - num + 1).values
    num_above, num_equal = (~(rivals <= limit)).sum(), (rivals == limit).sum()
    weight = ((num - num_above) / num_equal.clamp(min=1)).to(values)
    return torch.where(values == limit, weight, (~(values <= limit)).to(values))
