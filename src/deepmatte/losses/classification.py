"""Cross-entropy terms for a continuous target: alpha as the probability of foreground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import Share, logit_of, mask_of, mattes
from deepmatte.losses.table.options import Form, Fraction, NonNegative, Positive
from deepmatte.ops.regions import Per, Reduction, Region, global_sum, masked_mean

AUTO_LIMIT = 100.0
"""`positive_weight: auto` stays within [1/100, 100], even for an empty or a full matte."""


def bce_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    form: Form = "proper",
    positive_weight: Positive | Literal["auto"] = 1.0,
) -> Tensor:
    """Binary cross-entropy with a positive weight w.

    Formula: proper: mean of (1 + (w - 1) t) (-t log p - (1 - t) log(1 - p)); textbook: mean of -w t log p -
    (1 - t) log(1 - p). `positive_weight: auto` is w = sum(1 - t) / sum(t) over the global region, kept in
    [1/100, 100]. The logit is the model's if it gives one, else that of alpha clamped to [1e-6, 1 - 1e-6].
    Source: textbook as `pos_weight` of torch's binary_cross_entropy_with_logits; proper: the entire
    entropy of each pixel is weighted.
    Optimises: the likelihood of alpha as a probability; its gradient at the logit, p - t, does not
    vanish while p is wrong.
    Proper: yes. The textbook form has its minimum at p = w t / (w t + 1 - t), which for w != 1 is not t. Its
    value at the truth is the entropy of t, not 0.
    Use: for fast early learning, beside an overlap term (preset `bce_dice`).
    Cost: as alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> half = Matte(torch.full_like(batch["alpha"], 0.5))
    >>> bce_loss(half, batch)  # log 2, whatever the truth
    tensor(0.6931)
    """
    _, true = mattes(matte, batch)
    mask = mask_of(batch, region)
    weight = _positive_weight(true, mask) if positive_weight == "auto" else positive_weight
    logit = logit_of(matte)
    if form == "textbook":
        positive = torch.as_tensor(weight).to(logit)
        price = F.binary_cross_entropy_with_logits(logit, true, reduction="none", pos_weight=positive)
    else:
        weights = None if isinstance(weight, (int, float)) and weight == 1 else 1 + (weight - 1) * true
        price = F.binary_cross_entropy_with_logits(logit, true, weights, reduction="none")
    return masked_mean(price, mask, reduction, per, hardest)


def _positive_weight(true: Tensor, mask: Tensor | None) -> Tensor:
    """Return sum(1 - t) / sum(t) over the region of the global batch, between 1/100 and 100."""
    inside = torch.ones_like(true) if mask is None else mask.to(true.dtype)
    positive, num = global_sum(torch.stack([(inside * true).sum(), inside.sum()]))
    odds = (num - positive) / positive.clamp(min=torch.finfo(true.dtype).tiny)
    return odds.clamp(1 / AUTO_LIMIT, AUTO_LIMIT)


def focal_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    form: Form | Literal["exponential"] = "proper",
    gamma: NonNegative = 2.0,
    balance: Fraction | None = None,
) -> Tensor:
    """Cross-entropy that down-weights pixels that are nearly right.

    Formula: mean of b(t) f BCE(p, t), b(t) = a t + (1 - a)(1 - t) with a = `balance` (null: b = 1). proper: f
    = |t - p|^gamma; textbook: f = (1 - q)^gamma with q = p t + (1 - p)(1 - t); exponential: the same with q =
    exp(-BCE).
    Source: Lin et al., ICCV 2017; textbook as in torchvision, exponential as in segmentation-models-pytorch;
    proper: the quality focal loss of Li et al., NeurIPS 2020.
    Optimises: the pixels that are still wrong; those nearly right hardly count.
    Proper: proper yes, exponential yes. The textbook form is biased towards 0 or 1: it is not stationary at
    p = t.
    Use: if few pixels are hard, beside an overlap term (preset `focal_dice`). The proper form refuses 0 <
    gamma < 1: near a fractional truth its gradient would be unbounded.
    Cost: about 2x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(focal_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    predicted, true = mattes(matte, batch)
    entropy = F.binary_cross_entropy_with_logits(logit_of(matte), true, reduction="none")
    if form == "proper":
        wrongness = (true - predicted).abs()
    elif form == "textbook":
        wrongness = predicted + true - 2 * predicted * true  # 1 - q
    else:
        wrongness = -torch.expm1(-entropy)
    if 0 < gamma < 1:  # not in the proper form: see `focal_complaint`
        wrongness = wrongness.clamp(min=1e-8)  # the power's derivative is infinite at 0
    price = wrongness.pow(gamma) * entropy
    if balance is not None:
        price = price * (balance * true + (1 - balance) * (1 - true))
    return masked_mean(price, mask_of(batch, region), reduction, per, hardest)


def focal_complaint(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a combination of options, or None.

    The gradient of |t - p|^gamma times the entropy of a fractional t grows without bound near the truth if
    gamma < 1. The other forms have no such factor at p = t, unless the entropy is 0 there too.

    >>> focal_complaint({"form": "proper", "gamma": 0.5})
    'gamma=0.5: the gradient of form: proper is unbounded for 0 < gamma < 1; set 0, or at least 1'
    """
    if options["form"] == "proper" and 0 < options["gamma"] < 1:
        reason = "the gradient of form: proper is unbounded for 0 < gamma < 1"
        return f"gamma={options['gamma']}: {reason}; set 0, or at least 1"
    return None
