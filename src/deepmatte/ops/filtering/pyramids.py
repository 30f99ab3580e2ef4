"""The Laplacian pyramid of Burt and Adelson, differentiable and for any size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from deepmatte.ops.filtering.separable import BINOMIAL, filter_array


@lru_cache(maxsize=64)
def _matrices(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the matrices that halve a signal of even ``size`` and double it; one pixel stays one pixel."""
    if size == 1:
        halve, double = np.ones((1, 1)), np.ones((1, 1))
    else:
        blur = filter_array(BINOMIAL, size, "reflect")
        halve, double = (
            blur[::2],
            2 * blur[:, ::2],
        )  # doubling puts zeros between the values and blurs them with gain 2
    return torch.as_tensor(halve, dtype=dtype, device=device), torch.as_tensor(
        double, dtype=dtype, device=device
    )


def laplacian_pyramid(picture: Tensor, num_levels: int) -> list[Tensor]:
    """Return the band-pass levels of ``picture`` (N, C, H, W), finest first, without the low-pass residual.

    Each level is the picture less its blurred, halved and doubled copy (binomial 1 4 6 4 1, reflected
    border). An odd last row or column is left out of its level and the coarser ones, so level l is (H >> l, W
    >> l) rounded down to even numbers. The pyramid ends early when one pixel is left.

    >>> [tuple(level.shape[-2:]) for level in laplacian_pyramid(torch.zeros(1, 1, 9, 12), 5)]
    [(8, 12), (4, 6), (2, 2), (1, 1)]
    """
    levels = []
    for _ in range(num_levels):
        height, width = (side - side % 2 if side > 1 else 1 for side in picture.shape[-2:])
        picture = picture[..., :height, :width]
        rows, columns = (_matrices(side, picture.dtype, picture.device) for side in (height, width))
        halved = rows[0] @ picture @ columns[0].T
        levels.append(picture - rows[1] @ halved @ columns[1].T)
        if height == width == 1:
            break
        picture = halved
    return levels
