"""Mattes from clusters of pixels: features, number of clusters, and which clusters are foreground."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np

from deepmatte.classical.method import MAX_OVERLAP, ClassicalMethod, check_option, fallback_matte, warn
from deepmatte.ops.zones import BACKGROUND, FOREGROUND

Colour = Literal["lab", "rgb"]
Output = Literal["soft", "hard"]

_BLOCK = 1 << 18  # pixels assigned at a time: bounds the memory of double-precision memberships


@dataclass(frozen=True)
class Clustering(ClassicalMethod):
    """Clusters the pixels of one image and labels some of the clusters foreground.

    Args:
        trimap: the known zones decide which clusters are foreground; false: their position in the image.
        clusters: number of clusters, or ``auto``: the best in 2..``max_clusters`` by the method's criterion.
        max_clusters: the largest number that ``auto`` tries.
        colour: ``lab`` (CIE L*a*b* / 100, closer to perceived difference) or ``rgb``.
        position: weight of pixel coordinates relative to colour; at 1 opposite ends of the longer side are as
            far apart as black and white.
        fit_pixels: size of the sample (`stratified`) that is clustered; all pixels are then assigned.
        output: ``soft`` alpha from distances or probabilities, or ``hard``, 1 in foreground clusters.
        max_iterations: limit on the iterations; the state reached by then is used.
        seed: of the initialisation and the sampling.
    """

    max_megapixels: ClassVar[float] = 8.0

    trimap: bool = True
    clusters: int | str = 8
    max_clusters: int = 8
    colour: Colour = "lab"
    position: float = 0.0
    fit_pixels: int = 50_000
    output: Output = "soft"
    max_iterations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            InputError: an option is invalid; the message names it.
        """
        fixed = isinstance(self.clusters, int) and self.clusters >= 2
        self._check("clusters", fixed or self.clusters == "auto", "an integer of at least 2, or auto")
        self._check("max_clusters", self.max_clusters >= 2, "an integer of at least 2")
        self._check("colour", self.colour in get_args(Colour), "lab or rgb")
        self._check("position", self.position >= 0, "a number of at least 0")
        self._check("output", self.output in get_args(Output), "soft or hard")
        self._check("fit_pixels", self.fit_pixels >= 10, "an integer of at least 10")
        self._check("max_iterations", self.max_iterations >= 1, "an integer of at least 1")

    @property
    def sees_trimap(self) -> bool:
        """Whether the known zones decide which clusters are foreground."""
        return self.trimap

    def prepare(self) -> None:
        """Import scikit-learn."""
        import sklearn.cluster
        import sklearn.metrics
        import sklearn.mixture  # noqa: F401

    @abstractmethod
    def fit(self, pixels: np.ndarray, clusters: int) -> Any:
        """Return the model of ``clusters`` clusters, fitted to ``fit_pixels`` of the pixels (P, D)."""

    @abstractmethod
    def selection_score(self, pixels: np.ndarray, clusters: int) -> float:
        """Return the criterion minimised by ``clusters: auto``."""

    @abstractmethod
    def centres(self, model: Any) -> np.ndarray:
        """Return the centres (K, D)."""

    @abstractmethod
    def memberships(self, model: Any, pixels: np.ndarray) -> np.ndarray:
        """Return the membership of each pixel in each cluster, (P, K); rows sum to 1."""

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        pixels = features(image, self.colour, self.position)
        clusters = self.number_of_clusters(pixels)
        if clusters < 2:
            warn("all pixels are identical, so there is nothing to cluster; unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        model = self.fit(pixels, clusters)
        blocks = (pixels[start : start + _BLOCK] for start in range(0, len(pixels), _BLOCK))
        memberships = np.concatenate([self.memberships(model, block).astype(np.float32) for block in blocks])
        labels = memberships.argmax(1).reshape(image.shape[:2])
        foreground = foreground_clusters(labels, self.centres(model), trimap)
        if self.output == "hard":
            return foreground[labels].astype(np.float64)
        return (memberships @ foreground.astype(np.float32)).reshape(image.shape[:2])

    def number_of_clusters(self, pixels: np.ndarray) -> int:
        """Return the number of clusters for the pixels (P, D), at most the number of distinct pixels.

        Given by ``clusters``, or, if that is ``auto``, chosen by `selection_score`.
        """
        limit = self.max_clusters if self.clusters == "auto" else int(self.clusters)
        distinct = count_distinct(pixels, limit + 1)
        possible = min(limit, distinct)
        if 2 <= possible < limit and self.clusters != "auto":
            warn(f"the image has {distinct} distinct pixels but clusters={limit}; using {possible} clusters")
        if self.clusters != "auto" or possible < 3:
            return possible
        return min(range(2, possible + 1), key=lambda number: self.selection_score(pixels, number))

    def _check(self, key: str, valid: bool, expected: str) -> None:
        check_option(self.name, key, getattr(self, key), valid, expected)


def features(image: np.ndarray, colour: Colour, position: float) -> np.ndarray:
    """Return the pixels of an image (H, W, 3) in [0, 1] as float32 (H * W, 3), (H * W, 5) with positions."""
    values: np.ndarray = np.ascontiguousarray(image, np.float32)
    if colour == "lab":
        values = cv2.cvtColor(values, cv2.COLOR_RGB2LAB) / 100
    if position:
        height, width = image.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(position / max(height, width))
        values = np.dstack([values, y, x])
    return values.reshape(-1, values.shape[2])


def count_distinct(pixels: np.ndarray, enough: int) -> int:
    """Return the number of distinct rows of ``pixels`` (P, D), capped at ``enough``.

    >>> count_distinct(np.array([[0.0], [1.0], [1.0]]), enough=9)
    2
    """
    # An image that has enough distinct pixels, as nearly all have, shows them in a thousand of its pixels;
    # sorting all of 480,000 takes 1.1 s instead of 0.5 ms.
    few = pixels[:: max(1, len(pixels) // 1000)]
    for rows in (few, pixels):
        distinct = len(np.unique(rows, axis=0))
        if distinct >= enough:
            return enough
    return distinct


def foreground_clusters(labels: np.ndarray, centres: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Return which clusters (K,) are foreground.

    With a trimap, a cluster is foreground if it contains a larger share of the known foreground than of the
    known background; a cluster without known pixels follows the nearest one that has some. If the trimap
    can't decide, because it lacks a zone or both zones have the same clusters, a warning is issued and
    position decides, as without a trimap: a foreground cluster has a larger share of the centre than of the
    border.

    Args:
        labels: cluster of each pixel (H, W).
        centres: cluster centres (K, D).
        trimap: uint8 (H, W), or None.
    """
    num = len(centres)
    if trimap is not None:
        shares = [np.bincount(labels[trimap == zone], minlength=num) for zone in (FOREGROUND, BACKGROUND)]
        if all(share.any() for share in shares):
            foreground, background = (share / share.sum() for share in shares)
            if not np.array_equal(foreground, background):
                if np.minimum(foreground, background).sum() > MAX_OVERLAP:
                    warn("known foreground and background have nearly the same colours; alpha is unreliable")
                return _follow_nearest(foreground > background, foreground + background > 0, centres)
            warn("known foreground and background have the same colours; the clusters' positions decide")
        else:
            warn("the trimap has no known foreground or no known background; the clusters' positions decide")
    return _by_position(labels, num)


def _follow_nearest(foreground: np.ndarray, decided: np.ndarray, centres: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(decided)
    distance = ((centres[:, None] - centres[known]) ** 2).sum(2)
    return np.where(decided, foreground, foreground[known[distance.argmin(1)]])


def _by_position(labels: np.ndarray, num: int) -> np.ndarray:
    height, width = labels.shape
    area = np.bincount(labels.ravel(), minlength=num)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    contact = np.bincount(edge, minlength=num) / len(edge)
    y, x = (np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in (height, width))
    centrality = np.exp(-2 * (y[:, None] ** 2 + x**2))
    central = np.bincount(labels.ravel(), weights=centrality.ravel(), minlength=num) / centrality.sum()
    # Both are shares, of the centre and of the border, so the size of a cluster does not matter.
    lead = np.where(area > 0, central - contact, -1.0)
    foreground = lead > 0
    if not foreground.any():
        warn(
            "no cluster lies more in the centre than at the border; using the most central one as foreground"
        )
        foreground[lead.argmax()] = True
    return foreground
