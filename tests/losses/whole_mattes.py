"""Mattes with all that a term can read of a prediction."""

from __future__ import annotations

from torch import Tensor

from deepmatte.batch import Matte


def whole_matte(alpha: Tensor, logit: Tensor | None = None, coarse: Matte | None = None) -> Matte:
    """Return a matte whose colours and expected errors follow from its alpha."""
    colours = 0.2 + 0.5 * alpha.expand(-1, 3, -1, -1)
    return Matte(alpha, logit=logit, coarse=coarse, foreground=colours, error=0.1 + 0.3 * alpha)
