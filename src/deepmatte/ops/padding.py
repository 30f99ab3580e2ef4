"""Pad pictures to the multiple that a network needs, and crop its output back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(values: Tensor, multiple: int) -> Tensor:
    """Reflect-pad (N, C, H, W) at the right and the bottom until both sides are multiples of ``multiple``.

    A side that is shorter than its padding is reflected repeatedly, and a side of one pixel is repeated, so
    every size works.

    >>> import torch
    >>> pad_to_multiple(torch.arange(3.0).reshape(1, 1, 1, 3), 4).shape
    torch.Size([1, 1, 4, 4])
    """
    height, width = (-(-side // multiple) * multiple for side in values.shape[-2:])
    while values.shape[-2:] != (height, width):
        down = min(height - values.shape[-2], max(values.shape[-2] - 1, 1))
        right = min(width - values.shape[-1], max(values.shape[-1] - 1, 1))
        mode = "replicate" if 1 in values.shape[-2:] else "reflect"
        values = F.pad(values, (0, right, 0, down), mode=mode)
    return values


def reflection(side: int, multiple: int) -> Tensor:
    """Return which rows (or columns) of a side make the padded one, whole numbers (padded,).

    For graphs that have to hold for any size, where `pad_to_multiple` would look at the size of one example;
    only pictures with one side of a single pixel are padded otherwise.

    >>> reflection(3, 8)
    tensor([0, 1, 2, 1, 0, 1, 2, 1])
    """
    period = torch.scalar_tensor(2 * (side - 1), dtype=torch.int64).clamp(min=1)
    step = torch.arange((side + multiple - 1) // multiple * multiple) % period
    return torch.minimum(step, period - step)
