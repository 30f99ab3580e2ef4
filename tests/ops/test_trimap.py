import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from deepmatte.errors import InputError
from deepmatte.ops.trimap import (
    _interior_by_disc,
    _interior_by_transform,
    normalise_trimap,
    random_trimap,
    trimap_from_alpha,
    trimap_from_distances,
)
from deepmatte.ops.zones import full_scale, impose_trimap, trivial_matte


def ellipse(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(bool)


def soft_disc(dtype=np.uint8, side: int = 64) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    alpha = np.clip(0.5 + (side / 4 - np.hypot(y - side / 2, x - side / 3)) / 6, 0, 1)
    return np.round(alpha * full_scale(np.zeros(1, dtype))).astype(dtype)


@settings(max_examples=60, deadline=None)
@given(
    alpha=arrays(
        np.uint8,
        st.tuples(st.integers(1, 24), st.integers(1, 24)),
        elements=st.sampled_from([0, 1, 100, 254, 255]),
    ),
    erode=st.integers(1, 13),
    dilate=st.integers(1, 13),
)
def test_zones_equal_the_binary_erosions_of_scipy(alpha, erode, dilate):
    trimap = trimap_from_alpha(alpha, erode, dilate)
    opaque = ndimage.binary_erosion(alpha == 255, ellipse(erode), border_value=1)
    clear = ndimage.binary_erosion(alpha == 0, ellipse(dilate), border_value=1)
    np.testing.assert_array_equal(trimap == 255, opaque)
    np.testing.assert_array_equal(trimap == 0, clear)
    assert set(np.unique(trimap)) <= {0, 128, 255}


@pytest.mark.parametrize("size", [3, 9, 15, 29])
def test_unknown_zone_of_a_straight_edge_is_as_wide_as_the_kernels_reach(size):
    alpha = np.zeros((41, 100), np.uint8)
    alpha[:, 50:] = 255
    middle = trimap_from_alpha(alpha, erode=size, dilate=1)[20]
    assert np.flatnonzero(middle == 128).tolist() == list(range(50, 50 + size // 2))
    middle = trimap_from_alpha(alpha, erode=1, dilate=size)[20]
    assert np.flatnonzero(middle == 128).tolist() == list(range(50 - size // 2, 50))


def test_known_zones_keep_their_euclidean_distance_from_everything_else():
    alpha, size = soft_disc(), 21
    trimap = trimap_from_alpha(alpha, size, size)
    to_not_opaque = ndimage.distance_transform_edt(alpha == 255)
    to_not_clear = ndimage.distance_transform_edt(alpha == 0)
    # The ellipse is a disc of radius size // 2, up to the rounding of its rim.
    assert (to_not_opaque[trimap == 255] > size // 2 - 1).all()
    assert (to_not_clear[trimap == 0] > size // 2 - 1).all()
    assert (to_not_opaque[(alpha == 255) & (trimap == 128)] < size // 2 + 1.5).all()
    assert (to_not_clear[(alpha == 0) & (trimap == 128)] < size // 2 + 1.5).all()


def test_border_of_the_picture_adds_no_unknown_pixels():
    assert (trimap_from_alpha(np.full((9, 9), 255, np.uint8), 29, 29) == 255).all()
    assert (trimap_from_alpha(np.zeros((9, 9), np.uint8), 29, 29) == 0).all()


def test_every_type_of_alpha_gives_the_same_trimap():
    eight = soft_disc(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    floating = eight.astype(np.float32) / 255
    for alpha in (sixteen, floating):
        np.testing.assert_array_equal(trimap_from_alpha(alpha, 5, 7), trimap_from_alpha(eight, 5, 7))


def test_almost_opaque_and_almost_clear_are_unknown_at_16_bit():
    alpha = np.array([[0, 1, 65534, 65535]], np.uint16)
    assert trimap_from_alpha(alpha, 1, 1).tolist() == [[0, 128, 128, 255]]


def test_random_kernels_are_independent_and_cover_their_ranges():
    alpha = np.zeros((41, 100), np.uint8)
    alpha[:, 50:] = 255
    rng = np.random.default_rng(0)
    rows = [random_trimap(alpha, (1, 9), (11, 13), rng)[20] for _ in range(200)]
    shrunk = {int((row[50:] == 128).sum()) for row in rows}
    grown = {int((row[:50] == 128).sum()) for row in rows}
    assert shrunk == {0, 1, 2, 3, 4}
    assert grown == {5, 6}
    assert len({((row[50:] == 128).sum(), (row[:50] == 128).sum()) for row in rows}) == 10


def test_kernels_below_one_pixel_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        trimap_from_alpha(soft_disc(), 0, 3)


@pytest.mark.parametrize("grey", [32, 85, 102, 127, 128, 129, 170, 223])
def test_any_single_middle_grey_counts_as_unknown(grey):
    assert normalise_trimap(np.array([[0, grey, 255]], np.uint8)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1], [254, 255], [0, 127, 128, 255], list(range(256))])
def test_greys_that_are_no_trimap_are_refused(values):
    with pytest.raises(InputError, match="0, 128 and 255"):
        normalise_trimap(np.array([values], np.uint8))


def test_normalising_leaves_its_input_alone():
    grey = np.array([[0, 102, 255]], np.uint8)
    normalise_trimap(grey)
    assert grey.tolist() == [[0, 102, 255]]


def test_trivial_matte_is_half_where_unknown_for_arrays_and_tensors():
    trimap = np.array([[0, 128, 255]], np.uint8)
    assert trivial_matte(trimap).dtype == np.float32
    assert trivial_matte(torch.from_numpy(trimap)).dtype == torch.float32
    np.testing.assert_array_equal(trivial_matte(trimap), [[0, 0.5, 1]])
    np.testing.assert_array_equal(trivial_matte(torch.from_numpy(trimap)).numpy(), [[0, 0.5, 1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_imposed_trimap_changes_known_pixels_only_and_no_input(dtype):
    rng = np.random.default_rng(0)
    alpha = rng.random((2, 1, 5, 7)).astype(dtype)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), alpha.shape)
    before = alpha.copy()
    imposed = impose_trimap(alpha, trimap)
    tensor = impose_trimap(torch.from_numpy(alpha), torch.from_numpy(trimap))
    np.testing.assert_array_equal(imposed[trimap == 128], before[trimap == 128])
    assert set(imposed[trimap == 0]) == {0.0}
    assert set(imposed[trimap == 255]) == {1.0}
    np.testing.assert_array_equal(tensor.numpy(), imposed)
    np.testing.assert_array_equal(alpha, before)
    assert imposed.dtype == dtype


def test_gradient_of_an_imposed_trimap_is_zero_where_known():
    alpha = torch.tensor([0.3, 0.4, 0.5], requires_grad=True)
    impose_trimap(alpha, torch.tensor([0, 128, 255], dtype=torch.uint8)).sum().backward()
    assert alpha.grad.tolist() == [0.0, 1.0, 0.0]


@settings(max_examples=80, deadline=None)
@given(
    alpha=arrays(
        np.uint8,
        st.tuples(st.integers(1, 30), st.integers(1, 30)),
        elements=st.sampled_from([0, 0, 0, 100, 255, 255, 255]),
    ),
    erode=st.floats(0, 25),
    dilate=st.integers(0, 25),
)
def test_zones_by_distances_equal_scipys_erosions_by_discs(alpha, erode, dilate):
    trimap = trimap_from_distances(alpha, erode, dilate)
    for zone, mask, distance in ((255, alpha == 255, erode), (0, alpha == 0, dilate)):
        y, x = np.mgrid[-26:27, -26:27]
        expected = ndimage.binary_erosion(mask, x**2 + y**2 <= distance**2, border_value=1)
        np.testing.assert_array_equal(trimap == zone, expected)


@settings(max_examples=60, deadline=None)
@given(
    mask=arrays(
        np.uint8,
        st.tuples(st.integers(1, 60), st.integers(1, 60)),
        elements=st.sampled_from([0, 1, 1, 1, 1, 1]),
    ),
    square=st.integers(0, 900),
    more=st.sampled_from([1e-9, 0.5, 1 - 1e-9]),
)
def test_distance_transform_equals_morphology_also_at_the_roots_of_whole_numbers(mask, square, more):
    distance = float(np.sqrt(square + more))
    np.testing.assert_array_equal(_interior_by_disc(mask, distance), _interior_by_transform(mask, distance))
