"""Mattes from clusters of pixels: features, how many clusters, and which of them are foreground."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np

from deepmatte.classical.method import ALIKE, ClassicalMethod, check_option, nothing_known, warn
from deepmatte.ops.regions import BACKGROUND, FOREGROUND

Colour = Literal["lab", "rgb"]
Output = Literal["soft", "hard"]

_BLOCK = 1 << 18  # pixels that are judged at a time, in double precision


@dataclass(frozen=True)
class Clustering(ClassicalMethod):
    """Clusters the pixels of one picture and calls some of the clusters foreground.

    Args:
        trimap: let the known zones say which clusters are foreground; false: their place in the picture says
            it.
        clusters: how many, or ``auto``: the number in 2..``max_clusters`` that the method's own criterion
            likes best.
        max_clusters: the largest number that ``auto`` tries.
        colour: ``lab`` (CIE L*a*b* / 100, where distance is closer to what an eye sees) or ``rgb``.
        position: weight of a pixel's place beside its colour; at 1 the longer side is as far as black is from
            white.
        fit_pixels: so many pixels, which stand for the others (`stratified`), are clustered; all of them are
            then judged by the clusters.
        output: ``soft`` alpha from distances or probabilities, or ``hard``: 1 in a foreground cluster, else
            0.
        max_iterations: after so many the state that is reached is taken.
        seed: of where clusters start and which pixels stand for the others.
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
        """Refuse options that can't be.

        Raises:
            InputError: it names the option.
        """
        whole = isinstance(self.clusters, int) and self.clusters >= 2
        self._check("clusters", whole or self.clusters == "auto", "a number of at least 2, or auto")
        self._check("max_clusters", self.max_clusters >= 2, "a number of at least 2")
        self._check("colour", self.colour in get_args(Colour), "lab or rgb")
        self._check("position", self.position >= 0, "a number that is not negative")
        self._check("output", self.output in get_args(Output), "soft or hard")
        self._check("fit_pixels", self.fit_pixels >= 10, "a number of at least 10")
        self._check("max_iterations", self.max_iterations >= 1, "a number of at least 1")

    @property
    def sees_trimap(self) -> bool:
        """Whether the known zones say which clusters are foreground."""
        return self.trimap

    def prepare(self) -> None:
        """Import scikit-learn's part of it."""
        import sklearn.cluster
        import sklearn.metrics
        import sklearn.mixture  # noqa: F401

    @abstractmethod
    def fit(self, pixels: np.ndarray, clusters: int) -> Any:
        """Return the model of so many clusters, made of ``fit_pixels`` of the pixels (P, D)."""

    @abstractmethod
    def unfitness(self, pixels: np.ndarray, clusters: int) -> float:
        """Return the criterion of ``clusters: auto``; the lowest wins."""

    @abstractmethod
    def centres(self, model: Any) -> np.ndarray:
        """Return the centres (K, D)."""

    @abstractmethod
    def memberships(self, model: Any, pixels: np.ndarray) -> np.ndarray:
        """Return how much each pixel belongs to each cluster, (P, K), rows of sum 1."""

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        pixels = features(image, self.colour, self.position)
        clusters = self.number_of_clusters(pixels)
        if clusters < 2:
            warn("all pixels are alike, so there is nothing to cluster; alpha is 0.5 where it is not known")
            return nothing_known(image, trimap)
        model = self.fit(pixels, clusters)
        blocks = (pixels[start : start + _BLOCK] for start in range(0, len(pixels), _BLOCK))
        memberships = np.concatenate([self.memberships(model, block).astype(np.float32) for block in blocks])
        labels = memberships.argmax(1).reshape(image.shape[:2])
        foreground = foreground_clusters(labels, self.centres(model), trimap)
        if self.output == "hard":
            return foreground[labels].astype(np.float64)
        return (memberships @ foreground.astype(np.float32)).reshape(image.shape[:2])

    def number_of_clusters(self, pixels: np.ndarray) -> int:
        """Return how many clusters of the pixels (P, D) will be made: ``clusters``, or what it stands for, or as many as can be."""
        wanted = self.max_clusters if self.clusters == "auto" else int(self.clusters)
        distinct = count_distinct(pixels, wanted + 1)
        possible = min(wanted, distinct)
        if 2 <= possible < wanted and self.clusters != "auto":
            warn(
                f"the picture has {distinct} distinct pixels, fewer than {wanted} clusters; {possible} are made"
            )
        if self.clusters != "auto" or possible < 3:
            return possible
        return min(range(2, possible + 1), key=lambda number: self.unfitness(pixels, number))

    def _check(self, key: str, fits: bool, wanted: str) -> None:
        check_option(self.name, key, getattr(self, key), fits, wanted)


def features(image: np.ndarray, colour: Colour, position: float) -> np.ndarray:
    """Return the pixels of an image (H, W, 3) in [0, 1] as float32 (H * W, 3), or (H * W, 5) with their places."""
    values = np.ascontiguousarray(image, np.float32)
    if colour == "lab":
        values = cv2.cvtColor(values, cv2.COLOR_RGB2LAB) / 100
    if position:
        height, width = image.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(position / max(height, width))
        values = np.dstack([values, y, x])
    return values.reshape(-1, values.shape[2])


def count_distinct(pixels: np.ndarray, enough: int) -> int:
    """Return the number of distinct rows of ``pixels`` (P, D), or ``enough`` where there are as many or more.

    >>> count_distinct(np.array([[0.0], [1.0], [1.0]]), enough=9)
    2
    """
    few = pixels[:: max(1, len(pixels) // 1000)]
    for rows in (few, pixels):
        distinct = len(np.unique(rows, axis=0))
        if distinct >= enough:
            return enough
    return distinct


def foreground_clusters(labels: np.ndarray, centres: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Say which clusters (K,) are foreground, from the label of every pixel (H, W), the centres (K, D), and the trimap if there is one.

    With a trimap: those that take a larger share of the known foreground than of the known background; a
    cluster without any known pixel goes with the nearest that has some. Where a trimap can't tell, because it
    lacks one of the zones or both have the same clusters, a warning says so and the place decides, as without
    a trimap: foreground is what lies nearer to the centre and touches the border less than clusters do on
    average.
    """
    num = len(centres)
    if trimap is not None:
        shares = [np.bincount(labels[trimap == zone], minlength=num) for zone in (FOREGROUND, BACKGROUND)]
        if all(share.any() for share in shares):
            foreground, background = (share / share.sum() for share in shares)
            if not np.array_equal(foreground, background):
                if np.minimum(foreground, background).sum() > ALIKE:
                    warn(
                        "known foreground and background have nearly the same colours; their small difference decides"
                    )
                return _with_neighbours(foreground > background, foreground + background > 0, centres)
            warn("known foreground and background have the same colours; the clusters' places decide")
        else:
            warn("the trimap has no known foreground or no known background; the clusters' places decide")
    return _by_place(labels, num)


def _with_neighbours(foreground: np.ndarray, decided: np.ndarray, centres: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(decided)
    distance = ((centres[:, None] - centres[known]) ** 2).sum(2)
    return np.where(decided, foreground, foreground[known[distance.argmin(1)]])


def _by_place(labels: np.ndarray, num: int) -> np.ndarray:
    height, width = labels.shape
    area = np.bincount(labels.ravel(), minlength=num)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    contact = np.bincount(edge, minlength=num) / len(edge)
    y, x = (np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in (height, width))
    centrality = np.exp(-2 * (y[:, None] ** 2 + x**2))
    central = np.bincount(labels.ravel(), weights=centrality.ravel(), minlength=num) / centrality.sum()
    # Both are a cluster's share of the border, and of the centre, so clusters of any size are treated alike.
    lead = np.where(area > 0, central - contact, -1.0)
    foreground = lead > 0
    if not foreground.any():
        warn(
            "no cluster lies more in the centre than at the border; the most central one is taken for the foreground"
        )
        foreground[lead.argmax()] = True
    return foreground
