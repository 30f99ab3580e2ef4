"""Terms that compare pixels with each other: along the colours of the image, and from frame to frame."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import Share, mask_of, mattes
from deepmatte.losses.regression import distance_of
from deepmatte.losses.table.options import Distance, Positive
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean

Radius = Annotated[int, Interval(ge=1, le=16)]
NumNeighbours = Annotated[int, Interval(ge=1, le=1089)]

BLOCK = 1 << 15
"""Pixels whose windows are searched at a time: 16 MB of distances at a radius of 5."""


def ddc_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    radius: Radius = 5,
    neighbours: NumNeighbours = 11,
) -> Tensor:
    """Directional distance consistency: alpha differs as the colours do, between pixels of similar colour.

    Formula: mean over the pixels i of the region and their `neighbours` nearest in colour j of | d(i, j) -
    (p_i - p_j) |, d the Euclidean distance of their colours, RGB in [0, 1]; j is in the image and in the
    window of 2 `radius` + 1 pixels around i, which counts as its own neighbour.
    Source: Liu et al., Training Matting Models without Alpha Labels, AAAI 2025 (11 of 11x11 pixels, whole
    image, weight 10; there the window is padded with black beyond the border).
    Optimises: a matte that follows the edges of the image. Seen from both sides a pair costs the larger of
    its two differences, so that alpha may change by as much as the colour does, but not by more.
    Proper: exempt: it never sees the truth, and a constant matte costs hardly more than the true one.
    Use: with `alpha` in the known zones it spreads alpha from there, where the unknown zone has no truth
    (preset `alpha_free`).
    Cost: about 130x alpha, 300x in the whole image, at most a third of a training step of `model=dim`;
    the search of 121 pixels around each is quadratic in `radius`.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> del batch["alpha"]  # it is not needed
    >>> bool(ddc_loss(Matte(torch.rand(2, 1, 8, 8)), batch) > ddc_loss(Matte(torch.ones(2, 1, 8, 8)), batch))
    True
    """
    predicted, mask = matte.alpha, mask_of(batch, region)
    inside = torch.ones_like(predicted, dtype=torch.bool) if mask is None else mask
    padding = 4 * [radius]
    image = F.pad(batch["image"], padding, value=torch.inf)  # infinitely far: beyond the border
    centres = _places(inside, radius)
    near, distances = _nearest(image, centres, radius, neighbours)
    alpha = F.pad(predicted, padding).flatten()
    valid = distances.isfinite()
    errors = torch.where(valid, distances, 0) - (alpha[centres][:, None] - alpha[near])
    errors = torch.where(valid, errors.abs(), 0).sum(1) / valid.sum(1)
    values = torch.zeros_like(predicted).masked_scatter(inside, errors)
    return masked_mean(values, mask, reduction, per)


def _places(inside: Tensor, radius: int) -> Tensor:
    """Return where pixels of a mask (N, 1, H, W) are in the flattened padded images (N, H + 2r, W + 2r)."""
    height, width = inside.shape[-2:]
    n, _, y, x = inside.nonzero().unbind(1)
    return (n * (height + 2 * radius) + y + radius) * (width + 2 * radius) + x + radius


@torch.no_grad()
def _nearest(image: Tensor, centres: Tensor, radius: int, num: int) -> tuple[Tensor, Tensor]:
    """Return the places (P, K) of the ``num`` pixels nearest in colour in each window, and their distances.

    Only the pixels asked for are searched, block by block: a window of 121 pixels around every pixel of a
    batch would fill gigabytes.
    """
    width = image.shape[-1]
    planes = [plane.flatten() for plane in image.unbind(1)]
    reach = torch.arange(-radius, radius + 1, device=image.device)
    window = (reach[:, None] * width + reach).flatten()
    places, distances = [], []
    for block in centres.split(BLOCK) if len(centres) else ():
        far = image.new_zeros(len(window), len(block))
        for row, step in zip(far, window.tolist(), strict=True):
            place = block + step
            for plane in planes:  # plane by plane: twice as fast as rows of three colours
                row += (plane[block] - plane[place]).square_()
        found = far.T.topk(min(num, len(window)), dim=1, largest=False, sorted=False)
        distances.append(found.values.sqrt())
        places.append(block[:, None] + window[found.indices])
    if not places:
        return centres.new_zeros(0, 1), image.new_zeros(0, 1)
    return torch.cat(places), torch.cat(distances)


def temporal_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    distance: Distance = "l2",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between the changes of predicted and true alpha from one frame to the next.

    Formula: mean over the region of frame i of ((p_i - p_j) - (t_i - t_j))^2, j the frame before; `distance`
    as for `alpha`. `previous` (N,) in the batch is the row of that frame in the same batch, -1 without one;
    under DDP both frames have to be on one process. Frames without a previous one don't count.
    Source: dtSSD (Erofeev et al., BMVC 2015) without its root; as the coherence loss of Robust Video Matting
    (Lin et al., WACV 2022; weight 5).
    Optimises: dtSSD: mattes that don't flicker.
    Proper: exempt: an error that stays the same in both frames costs nothing.
    Use: beside `alpha`, for clips (preset `alpha_temporal`). The samples of any data set that is
    composited become frames of clips by `composition.clip.frames=2`; without them it is refused.
    Cost: as alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(temporal_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    predicted, true = mattes(matte, batch)
    error, previous = predicted - true, batch["previous"]
    change = error - error[previous.clamp(min=0)]
    inside = (previous >= 0).view(-1, 1, 1, 1)
    mask = mask_of(batch, region)
    mask = inside.expand_as(error) if mask is None else mask & inside
    return masked_mean(distance_of(change, distance, eps), mask, reduction, per, hardest)
