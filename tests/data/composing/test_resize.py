import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmatte.data.composing.resize import (
    Window,
    covering_window,
    limited,
    random_window,
    resize,
    window_around,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_shrinking_by_a_whole_factor_is_the_mean_of_the_pixels_of_each_area(dtype, shape):
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    shrunk = resize(pixels, 10, 15)
    means = pixels.reshape(10, 4, 15, 4, -1).astype(float).mean((1, 3)).reshape(shrunk.shape)
    assert shrunk.dtype == dtype
    assert np.abs(shrunk - means).max() <= 0.5 + 1e-3


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), value=st.sampled_from([0, 77, 255]))
def test_flat_zones_keep_their_exact_value_at_every_size(height, width, value):
    for dtype, scale in ((np.uint8, 1), (np.uint16, 257)):
        assert (resize(np.full((33, 47), value * scale, dtype), height, width) == value * scale).all()


@settings(max_examples=60, deadline=None)
@given(side=st.integers(20, 90))
def test_zones_far_from_an_edge_stay_exactly_clear_and_opaque(side):
    alpha = np.zeros((60, 60), np.uint8)
    alpha[:, 30:] = 255
    resized = resize(alpha, side, side)
    margin = int(np.ceil(3 * side / 60)) + 1
    assert (resized[:, : side // 2 - margin] == 0).all()
    assert (resized[:, side // 2 + margin :] == 255).all()


def test_the_same_size_is_the_same_picture():
    pixels = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    assert resize(pixels, 9, 8) is pixels


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_windows_lie_inside_and_hold_their_centre(data):
    height, width = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    side = data.draw(st.integers(1, min(height, width)))
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = window_around(row, column, side, height, width)
    pixels = np.arange(height * width).reshape(height, width)
    seen = window.of(pixels)
    assert seen.shape == (side, side)
    assert pixels[row, column] in seen
    if side // 2 <= row <= height - (side - side // 2) and side // 2 <= column <= width - (side - side // 2):
        assert seen[side // 2, side // 2] == pixels[row, column]


def test_random_windows_reach_every_place_equally_often():
    rng = np.random.default_rng(0)
    tops = np.array([random_window(3, 6, 3, rng).top for _ in range(4000)])
    counts = np.bincount(tops, minlength=4)
    # Chi-square with 3 degrees of freedom: 16.3 is exceeded once in a thousand times.
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3


@pytest.mark.parametrize(
    ("size", "source"), [((30, 40), (60, 80)), ((30, 40), (300, 50)), ((100, 30), (20, 20)), ((7, 7), (7, 9))]
)
def test_covering_keeps_the_shape_of_things(size, source):
    # On a ramp, the difference between neighbours is the scale; both directions have to agree.
    y, x = np.mgrid[: source[0], : source[1]].astype(np.uint16)
    for ramp, axis in ((y * 100, 0), (x * 100, 1)):
        covered = resize(covering_window(ramp, *size, np.random.default_rng(0)).of(ramp), *size).astype(float)
        assert covered.shape == size
        middle = np.diff(covered, axis=axis)[
            size[0] // 3 : -size[0] // 3 or None, size[1] // 3 : -size[1] // 3 or None
        ]
        scale = min(source[0] / size[0], source[1] / size[1])
        assert np.abs(middle.mean() / 100 - scale) <= 0.06 * scale


def test_covering_window_is_cut_from_the_scaled_picture():
    photo = cv2.GaussianBlur(RNG.integers(0, 256, (80, 200, 3), dtype=np.uint8), (0, 0), 3)
    covered = resize(covering_window(photo, 40, 40, np.random.default_rng(0)).of(photo), 40, 40)
    scaled = cv2.resize(photo, (100, 40), interpolation=cv2.INTER_AREA).astype(int)
    assert min(np.abs(covered - scaled[:, i : i + 40]).mean() for i in range(61)) < 1.5


def test_limited_size_keeps_the_proportions():
    for height, width in [(1080, 1620), (600, 871), (3, 4000)]:
        limited_height, limited_width = limited(height, width, 640)
        assert max(limited_height, limited_width) == 640
        assert limited_height >= 1
        assert abs(limited_height / 640 - height / max(height, width)) <= 0.5 / 640 or limited_height == 1
    assert limited(480, 640, 640) == (480, 640)
    assert limited(4800, 640, None) == (4800, 640)


def test_window_shows_a_view_without_a_copy():
    pixels = np.zeros((9, 9, 3), np.uint8)
    assert np.shares_memory(Window(1, 2, 3, 4).of(pixels), pixels)
    assert Window(1, 2, 3, 4).of(pixels).shape == (3, 4, 3)
