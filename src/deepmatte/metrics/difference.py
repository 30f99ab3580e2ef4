"""Sum of absolute differences, mean squared error and mean absolute difference as torchmetrics."""

from __future__ import annotations

from deepmatte.metrics.matting import SingleScore


class SumOfAbsoluteDifferences(SingleScore):
    """SAD / 1000, mean over images; see ``functional.difference.sad``."""

    score = "sad"


class MeanSquaredError(SingleScore):
    """MSE x 1000, mean over images; see ``functional.difference.mse``."""

    score = "mse"


class MeanAbsoluteDifference(SingleScore):
    """MAD x 1000, mean over images; see ``functional.difference.mad``."""

    score = "mad"
