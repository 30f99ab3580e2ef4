"""A metric: the mean absolute error where the true matte is neither 0 nor 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class EdgeError(Metric):
    """Mean absolute error x 1000 over the pixels with 0 < alpha < 1, each of which counts the same."""

    higher_is_better = False
    unit = "x1000"
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, alpha: Tensor) -> None:
        """Add a batch: prediction and truth (N, 1, H, W) in [0, 1]."""
        fractional = (alpha > 0) & (alpha < 1)
        self.total += (prediction - alpha).abs()[fractional].double().sum()
        self.count += fractional.sum()

    def compute(self) -> Tensor:
        """Return the mean over all processes."""
        return 1000 * self.total / self.count.clamp(min=1)
