"""The guided filter: a picture is fitted to the colours of another, window by window."""

from __future__ import annotations

import cv2
import numpy as np


class GuidedFilter:
    """The guided filter with a guide of three colours (He, Sun, Tang 2013, eq. 19 to 21), in time O(pixels).

    In each window the filtered plane is a linear function of the guide's colours; where windows overlap, the
    functions are averaged. So a mask, filtered by its photograph, becomes soft where the photograph's edge is
    soft, and takes the shape of strands of its colours.

    Args:
        guide: colours (H, W, 3), float in [0, 1].
        radius: of the windows in pixels; windows have ``2 * radius + 1`` pixels a side, mirrored at the
            border.
        epsilon: ridge penalty: colours that vary less than its root inside a window count as flat.

    >>> ramp = np.linspace(0, 1, 9) * np.ones((5, 1))
    >>> filtered = GuidedFilter(np.dstack([ramp] * 3), radius=2, epsilon=1e-9)(1 - ramp)
    >>> bool(np.allclose(filtered, 1 - ramp, atol=1e-4))  # linear in the guide: nothing to change
    True
    """

    def __init__(self, guide: np.ndarray, radius: int, epsilon: float) -> None:
        self.guide, self.radius = np.asarray(guide, np.float64), radius
        self._mean = self._average(self.guide)
        spread = self._average(self.guide[..., :, None] * self.guide[..., None, :])
        spread -= self._mean[..., :, None] * self._mean[..., None, :]
        self._inverse = np.linalg.inv(spread + epsilon * np.eye(3))

    def __call__(self, plane: np.ndarray) -> np.ndarray:
        """Return a plane (H, W) filtered, float64."""
        slope, offset = self.coefficients(plane)
        return (slope * self.guide).sum(-1) + offset

    def enlarge(self, plane: np.ndarray, guide: np.ndarray) -> np.ndarray:
        """Return a plane (h, w) at the size of a larger picture of the guide, (H, W, 3), float64.

        The linear functions of this guide are enlarged, and applied to the colours of the larger one (He, Sun
        2015, the fast guided filter), so that edges and hair are as sharp as those are.
        """
        slope, offset = self.coefficients(plane)
        size = guide.shape[1::-1]
        found = cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
        for channel in range(3):  # one after the other: large pictures need the memory
            part = np.ascontiguousarray(slope[..., channel])
            found += cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) * guide[..., channel]
        return found

    def coefficients(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return slope (H, W, 3) and offset (H, W) of the linear function in each pixel, float64."""
        plane = np.asarray(plane, np.float64)
        mean = self._average(plane)
        covariance = self._average(self.guide * plane[..., None]) - self._mean * mean[..., None]
        slope = (self._inverse @ covariance[..., None])[..., 0]
        offset = mean - (slope * self._mean).sum(-1)
        return self._average(slope), self._average(offset)

    def _average(self, values: np.ndarray) -> np.ndarray:
        """Return the means of all windows, of (H, W) or (H, W, …)."""
        sides = (2 * self.radius + 1,) * 2
        planes = values.reshape(*values.shape[:2], -1)
        means = [
            cv2.boxFilter(np.ascontiguousarray(planes[..., i]), -1, sides, borderType=cv2.BORDER_REFLECT)
            for i in range(planes.shape[2])
        ]
        return np.stack(means, -1).reshape(values.shape)
