"""A mixture of Gaussians over the pixels of one picture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deepmatte.classical.clustering import Clustering
from deepmatte.classical.method import warn

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as Mixture

START_PIXELS = 20_000
"""Pixels at most from which the start is found."""

VARIANCE = 1e-5
"""Added to each variance, about that of the rounding to 8 bit: no component shrinks to a single colour and becomes singular."""


@dataclass(frozen=True)
class GaussianMixture(Clustering):
    """Scikit-learn's mixture with full covariances; the soft matte is the responsibility of the foreground's components.

    ``clusters: auto`` takes the lowest BIC (Schwarz 1978).

    Args:
        tolerance: gain of the mean log-likelihood below which the fit is over.
    """

    name: ClassVar[str] = "gmm"

    fit_pixels: int = 20_000
    max_iterations: int = 200
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse options that can't be."""
        super().__post_init__()
        self._check("tolerance", self.tolerance >= 0, "a number that is not negative")

    def fit(self, pixels: np.ndarray, clusters: int) -> Mixture:
        """Return the fitted mixture."""
        model = self._fitted(pixels, clusters)
        if not model.converged_:
            warn(f"the mixture did not converge in {self.max_iterations} iterations; its last state is taken")
        return model

    def unfitness(self, pixels: np.ndarray, clusters: int) -> float:
        """Return the BIC over the pixels that fit the mixture."""
        pixels = self.sample(pixels, self.fit_pixels)
        return float(self._fitted(pixels, clusters).bic(pixels))

    def centres(self, model: Mixture) -> np.ndarray:
        """Return the means (K, D)."""
        return model.means_

    def memberships(self, model: Mixture, pixels: np.ndarray) -> np.ndarray:
        """Return the responsibilities (P, K)."""
        return model.predict_proba(pixels)

    def _fitted(self, pixels: np.ndarray, clusters: int) -> Mixture:
        from sklearn import mixture

        model = mixture.GaussianMixture(
            clusters,
            tol=self.tolerance,
            reg_covar=VARIANCE,
            max_iter=self.max_iterations,
            random_state=self.seed,
            **self._start(self.sample(pixels, START_PIXELS), clusters),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fit` says in its own voice that a mixture did not converge
            return model.fit(pixels)

    def _start(self, pixels: np.ndarray, clusters: int) -> dict[str, np.ndarray]:
        """Return weights, means and precisions of K-means: the same ones however many pixels are fitted, hence the same optimum."""
        from sklearn import cluster

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cluster.KMeans(clusters, n_init=3, random_state=self.seed).fit(pixels)
        counts = np.bincount(found.labels_, minlength=clusters) + 1  # no weight is zero
        precisions = []
        for label, centre in enumerate(found.cluster_centers_):
            spread = (pixels[found.labels_ == label] - centre).astype(np.float64)
            precisions.append(np.linalg.inv(spread.T @ spread / counts[label] + VARIANCE * np.eye(pixels.shape[1])))
        means = found.cluster_centers_.astype(np.float64)
        return {"weights_init": counts / counts.sum(), "means_init": means, "precisions_init": np.stack(precisions)}
