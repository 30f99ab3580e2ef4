import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from deepmatte.ops.components import nested_components

NUM_LEVELS = 4
level_images = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, NUM_LEVELS)
)


def labelled_at_each_level(levels, tie):
    """The definition: label at every threshold, keep the first of the largest, intersect."""
    steps, sizes = np.zeros(levels.shape, np.uint8), [0]
    left = np.ones(levels.shape, bool)
    for i in range(1, NUM_LEVELS + 1):
        inside = levels >= i
        labels = ndimage.label(inside.T)[0].T if tie == "column" else ndimage.label(inside)[0]
        count = np.bincount(labels.ravel(), minlength=2)[1:]
        omega = (labels == 1 + count.argmax()) & inside
        sizes.append(int(count.max()))
        left &= omega
        steps[left] = i
    return steps, sizes


@settings(max_examples=400, deadline=None)
@given(level_images, st.sampled_from(["column", "row"]))
def test_one_pass_equals_labelling_at_every_threshold(levels, tie):
    steps, sizes = nested_components(levels, NUM_LEVELS, tie)
    expected_steps, expected_sizes = labelled_at_each_level(levels, tie)
    assert np.array_equal(steps, expected_steps)
    assert sizes.tolist() == expected_sizes


@pytest.mark.parametrize("tie", ["column", "row"])
@pytest.mark.parametrize("density", [0.3, 0.59, 0.8])
def test_large_noise_near_percolation_equals_labelling(tie, density):
    """Around 59 % a square lattice percolates: components of all sizes and shapes."""
    noise = np.random.default_rng(0).random((230, 310))
    levels = np.searchsorted([1 - density, 1 - density / 2, 1 - density / 4, 1 - density / 9], noise).astype(
        np.uint8
    )
    steps, sizes = nested_components(levels, NUM_LEVELS, tie)
    expected_steps, expected_sizes = labelled_at_each_level(levels, tie)
    assert np.array_equal(steps, expected_steps)
    assert sizes.tolist() == expected_sizes


def test_a_larger_component_elsewhere_ends_the_first_one():
    """Omega(1) is the left block, but at level 2 the right block is larger: no pixel is in both."""
    levels = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 2]], np.uint8)
    assert nested_components(levels, 2)[0].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0, 0]]


def test_column_or_row_breaks_the_tie_of_equal_components():
    levels = np.array([[0, 0, 1], [1, 0, 0]], np.uint8)
    assert nested_components(levels, 1, "column")[0].tolist() == [[0, 0, 0], [1, 0, 0]]
    assert nested_components(levels, 1, "row")[0].tolist() == [[0, 0, 1], [0, 0, 0]]
