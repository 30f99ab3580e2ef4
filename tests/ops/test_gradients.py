import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from deepmatte.ops.filtering.gradients import gaussian_derivative_taps, squared_gradient_difference


def filtered_everywhere(first, second, mask, scales):
    """The whole image by scipy's dense 2-D convolution, then the mask."""
    kernel = np.outer(*gaussian_derivative_taps())
    lengths = [
        scale
        * np.hypot(*(ndimage.convolve(image.astype(float), k, mode="nearest") for k in (kernel, kernel.T)))
        for image, scale in zip((first, second), scales, strict=True)
    ]
    return np.square(lengths[0] - lengths[1])[mask].sum()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.floats(0, 1),
    st.sampled_from([np.uint8, np.float64]),
    st.integers(0, 999),
)
def test_filtering_only_under_the_mask_equals_filtering_everywhere(height, width, density, dtype, seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, 256, (height, width)).astype(dtype) for _ in range(2))
    # Blocks, so that the mask has gaps of all lengths beside single pixels.
    mask = np.kron(rng.random((height, -(-width // 7))) < density, np.ones((1, 7), bool))[:, :width] & (
        rng.random((height, width)) < 0.9
    )
    measured = squared_gradient_difference(first, second, mask, (1 / 255, 1 / 200))
    assert measured == pytest.approx(
        filtered_everywhere(first, second, mask, (1 / 255, 1 / 200)), rel=1e-11, abs=1e-15
    )


def test_taps_are_the_gaussian_and_its_derivative_cut_where_it_falls_to_a_hundredth():
    smooth, slope = gaussian_derivative_taps()
    impulse = np.zeros(9)
    impulse[4] = 1
    gaussian = ndimage.gaussian_filter1d(impulse, 1.4, radius=4, mode="constant")
    assert np.allclose(smooth, gaussian / np.linalg.norm(gaussian), rtol=1e-12)
    derivative = -ndimage.gaussian_filter1d(impulse, 1.4, order=1, radius=4, mode="constant")
    assert np.allclose(np.abs(slope), np.abs(derivative) / np.linalg.norm(derivative), rtol=1e-12)
    peak = 1 / (1.4 * np.sqrt(2 * np.pi))
    assert peak * np.exp(-(4**2) / (2 * 1.4**2)) < 0.01 < peak * np.exp(-(3**2) / (2 * 1.4**2))
