"""Overlap terms: one minus a measure of the overlap of prediction and truth."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import mask_of, mattes
from deepmatte.losses.table.options import Form, NonNegative
from deepmatte.ops.regions import Reduction, Region, global_sum, ratio

SMALLEST = 1e-7
"""Lower bound of the denominator, for empty truth and prediction without smoothing."""


def dice_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    form: Form = "proper",
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Dice loss: 0 where prediction and truth agree, 1 where they share nothing.

    Formula: 1 - (TP + s) / (TP + FP/2 + FN/2 + s), s = `smooth` in pixels. proper: TP = sum min(p, t), FP =
    sum max(p - t, 0), FN = sum max(t - p, 0), so that for s = 0 it is sum |p - t| / (sum p + sum t);
    textbook: TP = sum p t, FP = sum p - TP, FN = sum t - TP.
    Source: textbook: Milletari et al., 3DV 2016, without squares; proper: Wang et al., NeurIPS 2023 (L1
    form).
    Optimises: SAD relative to the size of the matte, so that small mattes count as much as large ones.
    Proper: yes, strictly. The textbook form prefers hard mattes: for t = (0.8, 0.4) the truth costs 0.333,
    (1, 0) only 0.273.
    Use: where the region has little foreground; beside a per-pixel term (`bce_dice`,
    `focal_dice`).
    Cost: as alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> matte = Matte(batch["alpha"])
    >>> [round(float(dice_loss(matte, batch, form=form)), 2) for form in ("proper", "textbook")]
    [0.0, 0.34]
    """
    return _overlap(matte, batch, region, reduction, form, 0.5, 0.5, smooth)


def jaccard_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    form: Form = "proper",
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Jaccard loss: one minus intersection over union.

    Formula: 1 - (TP + s) / (TP + FP + FN + s), with TP, FP and FN as for `dice`; proper and s = 0: 1 - sum
    min(p, t) / sum max(p, t).
    Source: textbook: Rahman and Wang, ISVC 2016; proper: the Jaccard metric loss of Wang et al., NeurIPS
    2023.
    Optimises: the IoU of the two mattes. It is 2D / (1 + D) of the Dice loss D, so it ranks single mattes
    alike, with larger gradients near the truth.
    Proper: yes, strictly. The textbook form prefers hard mattes.
    Use: as `dice`.
    Cost: as alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(jaccard_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    return _overlap(matte, batch, region, reduction, form, 1.0, 1.0, smooth)


def tversky_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    form: Form = "proper",
    alpha: NonNegative = 0.3,
    beta: NonNegative = 0.7,
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Tversky loss: Dice with separate weights for excess (alpha) and missing (beta) foreground.

    Formula: 1 - (TP + s) / (TP + alpha FP + beta FN + s), with TP, FP and FN as for `dice`, which is alpha =
    beta = 1/2.
    Source: Salehi et al., MLMI 2017; proper: the L1 form of Wang et al., NeurIPS 2023.
    Optimises: the overlap; beta > alpha prefers excess to missing foreground, so that strands survive.
    Proper: yes; strictly for alpha, beta > 0. The textbook form prefers hard mattes.
    Use: where a network loses thin structures (beta up) or leaves a veil (alpha up).
    Cost: as alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(tversky_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    return _overlap(matte, batch, region, reduction, form, alpha, beta, smooth)


def _overlap(
    matte: Matte,
    batch: Batch,
    region: Region,
    reduction: Reduction,
    form: Form,
    alpha: float,
    beta: float,
    smooth: float,
) -> Tensor:
    """Return (alpha FP + beta FN) / (TP + alpha FP + beta FN + smooth).

    It equals one minus the index, without cancellation.
    """
    predicted, true = mattes(matte, batch)
    mask = mask_of(batch, region)
    if mask is not None:
        predicted, true = torch.where(mask, predicted, 0), torch.where(mask, true, 0)
    axes = (1, 2, 3) if reduction == "sample" else (0, 1, 2, 3)
    both, much, little = (_textbook_counts if form == "textbook" else _proper_counts)(predicted, true, axes)
    wrong = alpha * much + beta * little
    if reduction == "batch":
        wrong, both = global_sum(torch.stack([wrong, both]))
        return wrong / (both + wrong + smooth).clamp(min=SMALLEST)
    shares = wrong / (both + wrong + smooth).clamp(min=SMALLEST)
    return ratio(shares, torch.ones_like(shares) if mask is None else mask.flatten(1).any(1))


def _textbook_counts(predicted: Tensor, true: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return TP, FP and FN by products."""
    both = (predicted * true).sum(axes)
    return both, predicted.sum(axes) - both, true.sum(axes) - both


def _proper_counts(predicted: Tensor, true: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return TP, FP and FN by minima, such that the gradient is 0 at p = t even for alpha != beta."""
    error = predicted - true
    much, little = error.relu().sum(axes), (-error).relu().sum(axes)
    return predicted.sum(axes) - much, much, little
