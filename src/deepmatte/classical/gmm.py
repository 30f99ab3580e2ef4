"""A mixture of Gaussians over the pixels of one picture."""

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
"""Pixels at most by which the starts are tried."""

START_TOLERANCE = 1e-3
"""Gain of the mean log-likelihood below which a trial is over; the likeliest is then carried on to the end."""

VARIANCE = 1e-5
"""Added to each variance, about that of the rounding to 8 bit: no component shrinks to a single colour and becomes singular."""


@dataclass(frozen=True)
class GaussianMixture(Clustering):
    """Scikit-learn's mixture with full covariances; the soft matte is the responsibility of the foreground's components.

    A mixture's likelihood has many maxima, and their mattes differ widely. So several starts are fitted to a
    few pixels, and the likeliest goes on with ``fit_pixels`` of them. ``clusters: auto`` takes the lowest BIC
    (Schwarz 1978).

    Args:
        starts: how many are tried.
        tolerance: gain of the mean log-likelihood below which the fit is over.
    """

    name: ClassVar[str] = "gmm"

    max_iterations: int = 200
    tolerance: float = 1e-4
    starts: int = 5

    def __post_init__(self) -> None:
        """Refuse options that can't be."""
        super().__post_init__()
        self._check("tolerance", self.tolerance >= 0, "a number that is not negative")
        self._check("starts", self.starts >= 1, "a number of at least 1")

    def fit(self, pixels: np.ndarray, clusters: int) -> Mixture:
        """Return the fitted mixture."""
        model = self._fitted(pixels, clusters)
        if not model.converged_:
            warn(f"the mixture did not converge in {self.max_iterations} iterations; its last state is taken")
        return model

    def unfitness(self, pixels: np.ndarray, clusters: int) -> float:
        """Return the BIC over the pixels that fit the mixture."""
        return float(self._fitted(pixels, clusters).bic(stratified(pixels, self.fit_pixels, self.seed)))

    def centres(self, model: Mixture) -> np.ndarray:
        """Return the means (K, D)."""
        return model.means_

    def memberships(self, model: Mixture, pixels: np.ndarray) -> np.ndarray:
        """Return the responsibilities (P, K)."""
        return model.predict_proba(pixels)

    def _fitted(self, pixels: np.ndarray, clusters: int) -> Mixture:
        few = stratified(
            pixels, START_PIXELS, self.seed
        )  # of all pixels: the same start, however many are fitted
        starts = (_start(few, clusters, self.seed + number) for number in range(self.starts))
        tried = [self._carried_on(few, start, START_TOLERANCE) for start in starts]
        best = max(tried, key=lambda model: model.lower_bound_)
        start = {
            "weights_init": best.weights_,
            "means_init": best.means_,
            "precisions_init": best.precisions_,
        }
        return self._carried_on(stratified(pixels, self.fit_pixels, self.seed), start, self.tolerance)

    def _carried_on(self, pixels: np.ndarray, start: dict[str, np.ndarray], tolerance: float) -> Mixture:
        """Return the mixture that expectation and maximisation make of a start."""
        from sklearn import mixture

        options = {"tol": tolerance, "reg_covar": VARIANCE, "max_iter": self.max_iterations}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fit` says in its own voice that a mixture did not converge
            return mixture.GaussianMixture(len(start["weights_init"]), **options, **start).fit(pixels)


def _start(pixels: np.ndarray, clusters: int, seed: int) -> dict[str, np.ndarray]:
    """Return weights, means and precisions of the clusters of K-means."""
    from sklearn import cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cluster.KMeans(clusters, n_init=1, random_state=seed).fit(pixels)
    counts = np.bincount(found.labels_, minlength=clusters) + 1  # no weight is zero
    precisions = []
    for label, centre in enumerate(found.cluster_centers_):
        spread = (pixels[found.labels_ == label] - centre).astype(np.float64)
        precisions.append(
            np.linalg.inv(spread.T @ spread / counts[label] + VARIANCE * np.eye(pixels.shape[1]))
        )
    means = found.cluster_centers_.astype(np.float64)
    return {
        "weights_init": counts / counts.sum(),
        "means_init": means,
        "precisions_init": np.stack(precisions),
    }
