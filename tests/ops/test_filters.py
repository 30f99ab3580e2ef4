"""The matrix filters, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from deepmatte.ops.filtering.separable import (
    SOBEL_SLOPE,
    SOBEL_SMOOTH,
    filter_array,
    gaussian_taps,
    gradients,
)

SCIPY = {"replicate": "nearest", "reflect": "mirror", "zeros": "constant"}


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width))


@pytest.mark.parametrize("border", SCIPY)
@pytest.mark.parametrize("size", [(9, 13), (3, 4), (2, 1), (1, 1)])
def test_gradients_equal_scipys_correlation_for_every_size_and_border(border, size):
    image = picture(*size)
    for smooth, slope in (gaussian_taps(1.4), (SOBEL_SMOOTH, SOBEL_SLOPE)):
        found = gradients(torch.from_numpy(image)[None, None], smooth, slope, border)
        for part, taps in zip(found, ((smooth, slope), (slope, smooth)), strict=True):
            wanted = image
            for axis in (0, 1):
                wanted = ndimage.correlate1d(wanted, taps[axis], axis, mode=SCIPY[border])
            np.testing.assert_allclose(part[0, 0].numpy(), wanted, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.4, 5.0, 60.0])
def test_gaussian_kernel_has_unit_energy(sigma):
    smooth, slope = gaussian_taps(sigma)
    assert np.square(np.outer(smooth, slope)).sum() == pytest.approx(1)
    assert len(smooth) % 2 == 1


def test_filter_matrix_of_one_pixel_is_the_sum_of_the_taps_or_the_middle_one():
    assert filter_array((1.0, 2.0, 4.0), 1, "replicate").item() == 7
    assert filter_array((1.0, 2.0, 4.0), 1, "zeros").item() == 2
