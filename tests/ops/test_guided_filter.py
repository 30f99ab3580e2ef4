"""The guided filter against its definition, window by window, and where it can be said what it does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deepmatte.ops.filtering.guided_filter import GuidedFilter

rng = np.random.default_rng(0)


def by_definition(guide: np.ndarray, plane: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Return He, Sun and Tang's equations 19 to 21 by a fit in each window; borders are mirrored."""
    size, reach = 2 * radius + 1, 2 * radius
    colours = np.pad(guide, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    target = np.pad(plane, reach, mode="symmetric")
    height, width = plane.shape
    fitted = np.zeros((height, width, 4))
    for y in range(height):
        for x in range(width):
            rows, columns = slice(y + radius, y + radius + size), slice(x + radius, x + radius + size)
            x_all = colours[rows, columns].reshape(-1, 3)
            y_all = target[rows, columns].ravel()
            centred = x_all - x_all.mean(0)
            ridge = np.linalg.solve(
                centred.T @ centred + len(y_all) * epsilon * np.eye(3), centred.T @ (y_all - y_all.mean())
            )
            fitted[y, x] = [*ridge, y_all.mean() - ridge @ x_all.mean(0)]
    padded = np.pad(fitted, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            mean = padded[y : y + size, x : x + size].reshape(-1, 4).mean(0)
            result[y, x] = mean[:3] @ guide[y, x] + mean[3]
    return result


@pytest.mark.parametrize("radius", [1, 2])
def test_it_is_the_average_of_the_linear_fits_in_all_windows(radius: int) -> None:
    guide, plane = rng.random((7, 9, 3)), rng.random((7, 9))
    found = GuidedFilter(guide, radius, 1e-2)(plane)
    np.testing.assert_allclose(found, by_definition(guide, plane, radius, 1e-2), atol=1e-10)


def test_a_flat_guide_leaves_a_mean_of_means() -> None:
    plane = np.zeros((9, 9))
    plane[4, 4] = 81.0
    found = GuidedFilter(np.full((9, 9, 3), 0.5), 1, 1e-4)(plane)
    tent = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])
    np.testing.assert_allclose(found[2:7, 2:7], tent, atol=1e-9)


def test_what_is_linear_in_the_guides_colours_stays() -> None:
    guide = rng.random((8, 6, 3))
    plane = guide @ [0.2, -0.4, 0.7] + 0.1
    np.testing.assert_allclose(GuidedFilter(guide, 2, 1e-12)(plane), plane, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1)])
def test_windows_may_be_larger_than_the_picture(shape: tuple[int, int]) -> None:
    found = GuidedFilter(np.full((*shape, 3), 0.3), 3, 1e-4)(np.full(shape, 0.7))
    np.testing.assert_allclose(found, 0.7)


def test_a_plane_that_is_linear_in_the_colours_is_enlarged_to_what_it_is_there() -> None:
    """Whatever the large picture shows between the pixels of the small one."""
    large = np.clip(rng.random((24, 36, 3)) + np.linspace(0, 1, 36)[:, None], 0, 1.5)
    small, weights = cv2.resize(large, (12, 8), interpolation=cv2.INTER_AREA), [0.2, -0.4, 0.7]
    found = GuidedFilter(small, 2, 1e-12).enlarge(small @ weights + 0.1, large)
    np.testing.assert_allclose(found, large @ weights + 0.1, atol=1e-5)
