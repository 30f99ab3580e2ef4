import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import points_in_poly

from deepmatte.data.procedural.raster import Canvas, outline, polygon_coverage


def strand(start, end, num=9):
    return np.linspace(start, end, num)[None]


@pytest.mark.parametrize("width", [0.03, 0.3, 1.0, 4.7])
@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, 1.2, np.pi / 2, 2.5])
def test_area_of_a_straight_strand_is_length_times_width(width, angle):
    canvas = Canvas(48)
    centre, half = np.array([24.13, 23.71]), 15.3 * np.array([np.cos(angle), np.sin(angle)])
    canvas.strands(strand(centre - half, centre + half), np.full((1, 9), width), np.ones((1, 9, 3)))
    assert canvas.alpha.sum() == pytest.approx(30.6 * width, rel=1e-9)


def test_area_of_a_tapering_strand_is_that_of_its_triangle():
    canvas = Canvas(48)
    canvas.strands(strand((5.2, 40.1), (40.4, 6.3)), np.linspace(1.4, 0, 9)[None], np.ones((1, 9, 3)))
    assert canvas.alpha.sum() == pytest.approx(0.5 * 1.4 * np.hypot(35.2, 33.8), rel=1e-9)


def test_coverage_of_a_curved_strand_agrees_with_supersampling():
    t = np.linspace(0, 1, 14)
    points = np.stack([3 + 17 * t, 10 + 6 * np.sin(4 * t)], -1)[None]
    widths = np.linspace(2.6, 0.4, 14)[None]
    canvas = Canvas(24)
    canvas.strands(points, widths, np.ones((1, 14, 3)))
    left, right = outline(points, widths)
    num = 32
    grid = (np.indices((24 * num, 24 * num)).reshape(2, -1).T[:, ::-1] + 0.5) / num
    inside = points_in_poly(grid, np.concatenate([left[0], right[0][::-1]]))
    supersampled = inside.reshape(24, num, 24, num).mean((1, 3))
    # on a grid of 32 x 32 points the area at a straight edge errs by about half a row of points at most
    assert np.abs(canvas.alpha - supersampled).max() < 1 / num


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=7))
def test_total_coverage_is_the_shoelace_area(corners):
    points = np.array(corners)
    cover = polygon_coverage(points + 5, 30, 30)  # the whole polygon is inside the window
    x, y = points.T
    shoelace = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    assert abs(cover.sum()) == pytest.approx(
        abs(shoelace), abs=30 * len(points) * 1e-6
    )  # 1e-6 for each edge in each row


def test_polygon_cut_by_the_border_equals_the_window_of_the_whole():
    points = np.array([[-4.3, 3.2], [9.1, -2.7], [13.4, 11.8]])
    whole = polygon_coverage(points + 8, 32, 32)
    canvas = Canvas(10)
    canvas.polygon(points, np.ones(3))
    np.testing.assert_allclose(canvas.alpha, np.abs(whole[8:18, 8:18]), atol=1e-12)


def test_shapes_in_one_pixel_combine_as_if_independent_and_the_last_is_in_front():
    canvas = Canvas(8)
    half = np.array([[2.0, 2.0], [2.5, 2.0], [2.5, 3.0], [2.0, 3.0]])
    canvas.polygon(half, np.array([1.0, 0, 0]))
    canvas.polygon(half, np.array([0, 1.0, 0]))
    assert canvas.alpha[2, 2] == pytest.approx(0.75)
    np.testing.assert_allclose(canvas.premultiplied[2, 2], [0.25, 0.5, 0])
