"""Where the error is: by true alpha, distance to the trimap's border, width of the unknown zone; calibration.

Every table holds sums and counts, so the tables of images add up to that of a dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.ops.zones import BACKGROUND, FOREGROUND

ALPHA_EDGES = np.arange(21) / 20
BORDER_EDGES = np.array([0.0, 2, 4, 8, 16, 32, np.inf])
WIDTH_EDGES = np.array([0.0, 8, 16, 32, 64, 128, np.inf])
PREDICTED_EDGES = np.arange(11) / 10


@dataclass
class Table:
    """Sums over the pixels of each bin; bin i is [edges[i], edges[i + 1]), the last one closed.

    ``name`` is the binned quantity, ``num_pixels`` (B,) counts, ``error`` (B,) sums |prediction - alpha|,
    ``predicted`` (B,) and ``true`` (B,) sum the mattes themselves.
    """

    name: str
    edges: np.ndarray
    num_pixels: np.ndarray
    error: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    def __add__(self, other: Table) -> Table:
        """Return the table of both images together."""
        sums = (
            getattr(self, field) + getattr(other, field)
            for field in ("num_pixels", "error", "predicted", "true")
        )
        return Table(self.name, self.edges, *sums)

    def mean(self, field: str) -> np.ndarray:
        """Return the mean (B,) of ``error``, ``predicted`` or ``true`` in each bin; NaN for empty bins."""
        sums = getattr(self, field)
        return np.divide(sums, self.num_pixels, out=np.full(sums.shape, np.nan), where=self.num_pixels > 0)

    def columns(self) -> dict[str, float]:
        """Return the columns of ``per_image.csv``, such as ``sad_alpha_0.05_0.1``: SAD (/ 1000) by bin."""
        bins = zip(self.edges[:-1], self.edges[1:], self.error, strict=True)
        return {f"sad_{self.name}_{low:g}_{high:g}": float(error) / 1000 for low, high, error in bins}


def diagnose(
    prediction: Image, alpha: Image, trimap: Image, protocol: str | Protocol = "adobe"
) -> dict[str, Table]:
    """Return four tables of one image over the protocol's region.

    - ``alpha``: by true alpha, from [0, 0.05] to [0.95, 1];
    - ``border``: by distance in pixels from the nearest known pixel, 1 for pixels beside the border;
    - ``width``: by distance to the nearest background plus distance to the nearest foreground, minus 1: n
      everywhere across a band of n pixels. Infinite if the trimap lacks one of the two;
    - ``predicted``: by predicted alpha; the mean truth of each bin makes the reliability diagram.

    >>> trimap = np.array([[0, 128, 128, 128, 255]], dtype=np.uint8)
    >>> prediction, alpha = np.array([[0, 0.2, 0.5, 0.7, 1]]), np.array([[0, 0.2, 0.4, 0.7, 1]])
    >>> tables = diagnose(prediction, alpha, trimap, "float")
    >>> tables["width"].num_pixels.tolist(), tables["border"].error.round(6).tolist()
    ([3, 0, 0, 0, 0, 0], [0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    """
    pair = prepare(prediction, alpha, trimap, protocol)
    selected = pair.mask != 0
    predicted, true = (image[selected] / pair.peak for image in (pair.prediction, pair.alpha))
    positions = {
        "alpha": (ALPHA_EDGES, true),
        "border": (BORDER_EDGES, border_distance(pair)[selected]),
        "width": (WIDTH_EDGES, unknown_width(pair)[selected]),
        "predicted": (PREDICTED_EDGES, predicted),
    }
    return {name: _table(name, edges, values, predicted, true) for name, (edges, values) in positions.items()}


def _table(
    name: str, edges: np.ndarray, values: np.ndarray, predicted: np.ndarray, true: np.ndarray
) -> Table:
    """Sum over bins; a value within rounding of an edge belongs to the bin above it."""
    num_bins = len(edges) - 1
    bins = np.searchsorted(edges[1:-1] - 1e-9, values, side="right")
    sums = (
        np.bincount(bins, weights, minlength=num_bins)
        for weights in (np.abs(predicted - true), predicted, true)
    )
    return Table(name, edges, np.bincount(bins, minlength=num_bins), *sums)


def border_distance(pair: Pair) -> np.ndarray:
    """Return the Euclidean distance (H, W), float32, to the nearest known pixel; infinite without one."""
    return _distance_to(pair.unknown == 0)


def unknown_width(pair: Pair) -> np.ndarray:
    """Return the width (H, W), float32 pixels, of the unknown zone through each pixel; see ``diagnose``."""
    if pair.trimap is None:
        return np.full(pair.alpha.shape, np.inf, np.float32)
    return _distance_to(pair.trimap == BACKGROUND) + _distance_to(pair.trimap == FOREGROUND) - 1


def _distance_to(goal: np.ndarray) -> np.ndarray:
    if not goal.any():
        return np.full(goal.shape, np.inf, np.float32)
    return cv2.distanceTransform((~goal).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def calibration_error(table: Table) -> float:
    """Return the expected calibration error of a ``predicted`` table; 0 without pixels.

    It is |mean prediction - mean truth| of the bins, weighted by their numbers of pixels.
    """
    gaps = np.abs(table.predicted - table.true)
    return float(gaps.sum() / max(table.num_pixels.sum(), 1))
