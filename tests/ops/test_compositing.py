from fractions import Fraction

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmatte.ops.compositing import composite

EIGHT_BIT = st.integers(0, 255)


@settings(max_examples=200, deadline=None)
@given(foreground=EIGHT_BIT, background=EIGHT_BIT, alpha=EIGHT_BIT)
def test_composite_equals_the_matting_equation_in_rational_arithmetic(foreground, background, alpha):
    a, f, b = Fraction(alpha, 255), Fraction(foreground, 255), Fraction(background, 255)
    exact = float(a * f + (1 - a) * b)
    for dtype, tolerance in ((np.float32, 2**-22), (np.float64, 2**-51)):
        layers = (dtype(value) / dtype(255) for value in (foreground, background, alpha))
        assert abs(float(composite(*layers)) - exact) <= tolerance


@settings(max_examples=100, deadline=None)
@given(foreground=EIGHT_BIT, background=EIGHT_BIT)
def test_composite_is_bit_exact_where_one_layer_hides_the_other(foreground, background):
    f, b = np.float32(foreground) / np.float32(255), np.float32(background) / np.float32(255)
    assert composite(f, b, np.float32(1)) == f
    assert composite(f, b, np.float32(0)) == b


def test_rounded_composite_equals_the_integer_reference_for_every_alpha():
    f, b, a = np.meshgrid(np.arange(0, 256, 15), np.arange(0, 256, 15), np.arange(256), indexing="ij")
    # Half-up rounding in integers; no sum is a half of 255, so there are no ties.
    reference = (2 * (a * f + (255 - a) * b) + 255) // 510
    composed = composite(f / 255.0, b / 255.0, a / 255.0)
    np.testing.assert_array_equal(np.floor(composed * 255 + 0.5).astype(int), reference)


def test_alpha_broadcasts_over_colours_for_arrays_and_tensors():
    rng = np.random.default_rng(0)
    f, b, a = rng.random((2, 3, 4, 5)), rng.random((2, 3, 4, 5)), rng.random((2, 1, 4, 5))
    array = composite(f, b, a)
    for channel in range(3):
        np.testing.assert_array_equal(array[:, channel], composite(f[:, channel], b[:, channel], a[:, 0]))
    np.testing.assert_array_equal(composite(*map(torch.from_numpy, (f, b, a))).numpy(), array)


def test_derivative_by_alpha_is_the_difference_of_the_layers():
    alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    composite(
        torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64), alpha
    ).backward()
    assert abs(alpha.grad.item() - 0.7) < 1e-15
