"""The Laplacian pyramid, against OpenCV and scipy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from deepmatte.ops.filtering.pyramids import laplacian_pyramid
from deepmatte.ops.filtering.separable import BINOMIAL


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width))


@pytest.mark.parametrize("size", [(32, 48), (2, 6)])
def test_finest_level_is_the_picture_less_opencvs_pyramid(size):
    image = picture(*size)
    halved = cv2.pyrDown(image, borderType=cv2.BORDER_REFLECT_101)
    detail = laplacian_pyramid(torch.from_numpy(image)[None, None], 1)[0][0, 0].numpy()
    # OpenCV's doubling mirrors differently at the border, so the doubling is written out here as zeros and a
    # blur.
    doubled = np.zeros(size)
    doubled[::2, ::2] = 4 * halved
    for axis in (0, 1):
        doubled = ndimage.correlate1d(doubled, BINOMIAL, axis, mode="mirror")
    np.testing.assert_allclose(detail, image - doubled, atol=1e-14)


@pytest.mark.parametrize("size", [(37, 64), (5, 3), (1, 9), (1, 1)])
def test_constant_has_no_detail_and_the_pyramid_is_linear(size):
    first, second = (torch.from_numpy(picture(*size))[None, None] + shift for shift in (0, 1))
    for level in laplacian_pyramid(torch.full_like(first, 0.3), 5):
        assert level.abs().max() < 1e-15
    for a, b, both in zip(
        *(laplacian_pyramid(x, 4) for x in (first, second, first - 2 * second)), strict=True
    ):
        torch.testing.assert_close(a - 2 * b, both)
