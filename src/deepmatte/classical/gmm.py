"""A mixture of Gaussians over the pixels of one image."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deepmatte.classical.clustering import Clustering
from deepmatte.classical.method import warn
from deepmatte.classical.sampling import stratified

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as Mixture

START_PIXELS = 5_000
"""Maximum number of pixels used to compare the starts."""

START_TOLERANCE = 1e-3
"""Gain of the mean log-likelihood at which a trial of a start stops; only the best is fitted further."""

VARIANCE = 1e-5
"""Added to each variance to keep covariances regular if a component shrinks to a single colour.

About the variance of rounding to 8 bits.
"""


@dataclass(frozen=True)
class GaussianMixture(Clustering):
    """Scikit-learn's Gaussian mixture with full covariances.

    The soft matte is the summed responsibility of the foreground components. The likelihood has many local
    maxima, whose mattes differ widely, so several starts are fitted to a few pixels and the most likely one
    is fitted further to ``fit_pixels`` pixels. Scikit-learn's ``n_init=5`` takes four times as long for the
    same likelihood to 0.01 a pixel, and ``n_init=1`` misses 0.05 (600x800 pixels, three seeds). ``clusters:
    auto`` minimises the BIC (Schwarz 1978).

    Args:
        starts: number of random restarts.
        tolerance: gain of the mean log-likelihood at which the fit stops.
    """

    name: ClassVar[str] = "gmm"

    max_iterations: int = 200
    tolerance: float = 1e-4
    starts: int = 5

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._check("tolerance", self.tolerance >= 0, "a number of at least 0")
        self._check("starts", self.starts >= 1, "an integer of at least 1")

    def fit(self, pixels: np.ndarray, clusters: int) -> Mixture:
        """Return the fitted mixture."""
        model = self._fit_best_start(pixels, clusters)
        if not model.converged_:
            warn(f"the mixture did not converge in {self.max_iterations} iterations; using its last state")
        return model

    def selection_score(self, pixels: np.ndarray, clusters: int) -> float:
        """Return the BIC on the sample that the mixture is fitted to."""
        model = self._fit_best_start(pixels, clusters)
        return float(model.bic(stratified(pixels, self.fit_pixels, self.seed)))

    def centres(self, model: Mixture) -> np.ndarray:
        """Return the means (K, D)."""
        return model.means_

    def memberships(self, model: Mixture, pixels: np.ndarray) -> np.ndarray:
        """Return the responsibilities (P, K)."""
        return model.predict_proba(pixels)

    def _fit_best_start(self, pixels: np.ndarray, clusters: int) -> Mixture:
        # Drawn from all pixels, so that the start does not depend on fit_pixels.
        few = stratified(pixels, START_PIXELS, self.seed)
        starts = (_kmeans_start(few, clusters, self.seed + number) for number in range(self.starts))
        tried = [self._maximise(few, start, START_TOLERANCE) for start in starts]
        best = max(tried, key=lambda model: model.lower_bound_)
        start = _start(best.weights_, best.means_, best.precisions_)
        return self._maximise(stratified(pixels, self.fit_pixels, self.seed), start, self.tolerance)

    def _maximise(self, pixels: np.ndarray, start: dict[str, np.ndarray], tolerance: float) -> Mixture:
        """Return the mixture fitted from ``start`` by expectation-maximisation."""
        from sklearn import mixture

        options = {"tol": tolerance, "reg_covar": VARIANCE, "max_iter": self.max_iterations}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fit` warns itself if a mixture did not converge
            return mixture.GaussianMixture(len(start["weights_init"]), **options, **start).fit(pixels)


def _kmeans_start(pixels: np.ndarray, clusters: int, seed: int) -> dict[str, np.ndarray]:
    """Return the weights, means and precisions of K-means clusters."""
    from sklearn import cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cluster.KMeans(clusters, n_init=1, random_state=seed).fit(pixels)
    counts = np.bincount(found.labels_, minlength=clusters) + 1  # no weight is zero
    precisions = []
    for label, centre in enumerate(found.cluster_centers_):
        spread = (pixels[found.labels_ == label] - centre).astype(np.float64)
        covariance = spread.T @ spread / counts[label] + VARIANCE * np.eye(pixels.shape[1])
        precisions.append(np.linalg.inv(covariance))
    return _start(counts / counts.sum(), found.cluster_centers_.astype(np.float64), np.stack(precisions))


def _start(weights: np.ndarray, means: np.ndarray, precisions: np.ndarray) -> dict[str, np.ndarray]:
    return {"weights_init": weights, "means_init": means, "precisions_init": precisions}
