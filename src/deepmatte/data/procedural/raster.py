"""Exact area coverage of polygons and tapering strands on a pixel grid.

Coordinates are (x, y) in pixels; the pixel in row i and column j is the unit square [j, j + 1] x [i, i + 1].
A shape's coverage of a pixel is the exact area of their intersection (to 1e-6), also for widths far below a
pixel. OpenCV's anti-aliased polygons are no substitute: they paint the outline too, so a strand 1 pixel wide
gets 2.4 times its area, one of 0.3 pixels 6.3 times. Shapes are painted back to front by the "over" operator:
in a shared pixel their coverages combine as if independent, 1 - (1 - a)(1 - b).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepmatte.ops.compiled import njit

Array = NDArray[np.float64]


class Canvas:
    """A square layer: ``premultiplied`` (H, W, 3) = alpha x colour, and ``alpha`` (H, W), both in [0, 1]."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.premultiplied = np.zeros((size, size, 3))
        self.alpha = np.zeros((size, size))

    def over(self, colour: Array, alpha: Array) -> None:
        """Paint a whole layer: ``colour`` (H, W, 3) or (3,), ``alpha`` (H, W)."""
        a = alpha[..., None]
        self.premultiplied = colour * a + self.premultiplied * (1 - a)
        self.alpha = alpha + self.alpha * (1 - alpha)

    def strands(self, points: Array, widths: Array, colours: Array, opacity: float = 1.0) -> None:
        """Paint strands in order: ``points`` (N, T, 2), ``widths`` (N, T) in pixels, colours (N, T, 3)."""
        left, right = outline(points, widths)
        colours = np.ascontiguousarray(colours, np.float64)
        _paint_strands(left, right, colours, float(opacity), self.premultiplied, self.alpha)

    def polygon(self, points: Array, colour: Array, opacity: float = 1.0, gain: float | Array = 1.0) -> None:
        """Paint a simple polygon (M, 2) in ``gain`` x ``colour``, (3,) or a texture (H, W, 3)."""
        x0, y0 = np.maximum(np.floor(points.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int), self.size)
        if x1 <= x0 or y1 <= y0:
            return
        cover = np.abs(polygon_coverage(points - (x0, y0), int(y1 - y0), int(x1 - x0)))[..., None] * opacity
        window = np.s_[y0:y1, x0:x1]
        texture = np.minimum((colour[window] if colour.ndim == 3 else colour) * gain, 1)
        self.premultiplied[window] = texture * cover + self.premultiplied[window] * (1 - cover)
        self.alpha[window] = cover[..., 0] + self.alpha[window] * (1 - cover[..., 0])


def outline(points: Array, widths: Array) -> tuple[Array, Array]:
    """Return the left and right edges (N, T, 2) of strands whose centre lines are ``points`` (N, T, 2)."""
    tangent = np.gradient(np.asarray(points, np.float64), axis=1)
    tangent /= np.maximum(np.hypot(tangent[..., 0], tangent[..., 1]), 1e-9)[..., None]
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1) * (widths / 2)[..., None]
    return np.ascontiguousarray(points - normal), np.ascontiguousarray(points + normal)


def polygon_coverage(points: Array, height: int, width: int) -> Array:
    """Return the area (H, W) of each pixel covered by the polygon (M, 2); the sign is its orientation.

    >>> float(polygon_coverage(np.array([[0.5, 0.25], [0.5, 1.0], [2.5, 1.0], [2.5, 0.25]]), 1, 3).sum())
    1.5
    """
    cover = np.zeros((height, width))
    for start, end in zip(points, np.roll(points, -1, 0), strict=True):
        _add_edge(start[0], start[1], end[0], end[1], cover, 0, 0, height, width)
    return cover


@njit(cache=True, nogil=True)
def _ramp(t: float) -> float:
    """Return the integral of clamp(x, 0, 1) over x from 0 to ``t``."""
    if t <= 0:
        return 0.0
    return 0.5 * t * t if t < 1 else t - 0.5


@njit(cache=True, nogil=True)
def _add_edge(xa, ya, xb, yb, cover, top, left, bottom, right):
    """Add to ``cover`` the signed area to the right of an edge.

    Summed over the edges of a polygon, this is the area of the polygon in each pixel of the window.
    """
    if ya == yb:
        return
    slope = (xb - xa) / (yb - ya)
    low, high = min(ya, yb), max(ya, yb)
    sign = 1.0 if ya < yb else -1.0
    for row in range(max(int(np.floor(low)), top), min(int(np.ceil(high)), bottom)):
        y0, y1 = max(low, row), min(high, row + 1.0)
        x0, x1 = xa + slope * (y0 - ya), xa + slope * (y1 - ya)
        if x0 > x1:
            x0, x1 = x1, x0
        for column in range(left, right):
            t = column + 1.0 - x0
            if t <= 0:
                continue
            # Mean, over the part of the edge in this row, of the width of the pixel to its right. The
            # quotient suffers from cancellation on steep edges.
            mean = min(t, 1.0) if x1 - x0 < 1e-6 else (_ramp(t) - _ramp(column + 1.0 - x1)) / (x1 - x0)
            cover[row, column] += sign * (y1 - y0) * mean


@njit(cache=True, nogil=True)
def _paint_strands(left, right, colours, opacity, premultiplied, alpha):
    """Paint strands in order; the quadrilaterals of a strand share edges, so their areas add up."""
    size = alpha.shape[0]
    cover, whole = np.zeros((size, size)), np.zeros((size, size))
    tint = np.zeros((size, size, 3))
    touched = np.empty((size * size, 2), np.int64)
    corners = np.empty((4, 2))
    for n in range(left.shape[0]):
        count = 0
        for t in range(left.shape[1] - 1):
            corners[0], corners[1] = left[n, t], left[n, t + 1]
            corners[2], corners[3] = right[n, t + 1], right[n, t]
            x0, x1 = max(int(np.floor(corners[:, 0].min())), 0), min(int(np.ceil(corners[:, 0].max())), size)
            y0, y1 = max(int(np.floor(corners[:, 1].min())), 0), min(int(np.ceil(corners[:, 1].max())), size)
            if x1 <= x0 or y1 <= y0:
                continue
            for k in range(4):
                m = (k + 1) % 4
                _add_edge(corners[k, 0], corners[k, 1], corners[m, 0], corners[m, 1], cover, y0, x0, y1, x1)
            for y in range(y0, y1):
                for x in range(x0, x1):
                    area = abs(cover[y, x])
                    cover[y, x] = 0.0
                    if area <= 1e-12:
                        continue
                    if whole[y, x] == 0.0:
                        touched[count, 0], touched[count, 1] = y, x
                        count += 1
                    whole[y, x] += area
                    for c in range(3):
                        tint[y, x, c] += area * 0.5 * (colours[n, t, c] + colours[n, t + 1, c])
        for k in range(count):
            y, x = touched[k, 0], touched[k, 1]
            a = min(whole[y, x], 1.0) * opacity
            for c in range(3):
                premultiplied[y, x, c] = a * tint[y, x, c] / whole[y, x] + premultiplied[y, x, c] * (1 - a)
                tint[y, x, c] = 0.0
            alpha[y, x] = a + alpha[y, x] * (1 - a)
            whole[y, x] = 0.0
