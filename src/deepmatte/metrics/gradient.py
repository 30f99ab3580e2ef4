"""The gradient error as a torchmetric."""

from __future__ import annotations

from deepmatte.metrics.matting import SingleScore


class GradientError(SingleScore):
    """Grad / 1000, mean over images; see ``functional.gradient.grad``."""

    score = "grad"
