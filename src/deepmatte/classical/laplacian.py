"""Mattes that propagate the known zones over a graph of the pixels, by pymatting's solvers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, ClassVar

import numpy as np

from deepmatte.classical.method import (
    ClassicalMethod,
    check_option,
    fallback_matte,
    warn,
    warn_if_colours_overlap,
)
from deepmatte.ops.filtering.guided_filter import GuidedFilter
from deepmatte.ops.threads import survive_forks
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, impose_trimap, trivial_matte

FILTER_RADIUS, FILTER_EPSILON = 2, 1e-5
"""Windows, in pixels of the smaller size, and ridge penalty of the fit by which mattes are enlarged."""


@dataclass(frozen=True)
class LaplacianMatting(ClassicalMethod):
    """Solves L alpha = 0 in the unknown zone by preconditioned conjugate gradients.

    The known zones are the boundary values. A matte that is solved at a smaller size is enlarged by the
    colours of the image (`GuidedFilter.enlarge`). The first use on a machine compiles pymatting's kernels,
    which takes about a minute.

    Args:
        tolerance: of the residual, relative to the right-hand side.
        max_iterations: of the conjugate gradients.
    """

    max_megapixels: ClassVar[float] = 2.0

    tolerance: float = 1e-7
    max_iterations: int = 10_000

    def __post_init__(self) -> None:
        """Check the options."""
        self._check("tolerance", self.tolerance > 0, "a number above 0")
        self._check("max_iterations", self.max_iterations >= 1, "an integer of at least 1")

    @property
    def window(self) -> int:
        """The side of a window, and so of the smallest image that can be solved."""
        return 1

    @abstractmethod
    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return pymatting's function and the options of its Laplacian."""

    def prepare(self) -> None:
        """Import pymatting, which compiles it on first use."""
        survive_forks()
        self.solver()

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        assert trimap is not None
        if not ((trimap == FOREGROUND).any() and (trimap == BACKGROUND).any()):
            warn("the trimap has no known foreground or no known background; unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        if min(image.shape[:2]) < self.window:
            size = f"smaller than the windows of {self.name}, {self.window} pixels"
            warn(f"the image is {size}; unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        warn_if_colours_overlap(self.name, image, trimap)
        try:
            alpha = self._propagate(image, trimap)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            reason = " ".join(str(error).split())[:120]
            warn(f"{self.name} has no solution ({reason}); unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        if not np.isfinite(alpha).all():
            warn(f"{self.name} has no finite solution; unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        return alpha

    def enlarge(
        self, alpha: np.ndarray, small: np.ndarray, zones: np.ndarray | None, image: np.ndarray
    ) -> np.ndarray:
        """Return the matte (h, w) of a ``small`` image at the size of ``image``, by the colours of both."""
        assert zones is not None
        alpha = impose_trimap(np.clip(alpha, 0, 1), zones)
        return self.filter(small).enlarge(alpha, image)

    def filter(self, small: np.ndarray) -> GuidedFilter:
        """Return the filter that enlarges mattes of a ``small`` image."""
        return GuidedFilter(small, FILTER_RADIUS, FILTER_EPSILON)

    def _propagate(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        function, options = self.solver()
        limits = {"rtol": self.tolerance, "maxiter": self.max_iterations}
        zones = trivial_matte(trimap).astype(np.float64)
        image = np.asarray(image, np.float64)
        # pymatting prints that it changes the preconditioner, and divides by zero on degenerate images, which
        # ends in an error or in values that are not finite: `solve` handles both.
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(image, zones, laplacian_kwargs=options, cg_kwargs=limits)

    def _check(self, key: str, valid: bool, expected: str) -> None:
        check_option(self.name, key, getattr(self, key), valid, expected)


@dataclass(frozen=True)
class ClosedForm(LaplacianMatting):
    """Closed-form matting (Levin, Lischinski, Weiss 2008): alpha is locally linear in the colours.

    Args:
        epsilon: regularisation of the local linear fit; matters in flat windows.
        radius: of the windows, in pixels.
    """

    name: ClassVar[str] = "closed_form"

    epsilon: float = 1e-7
    radius: int = 1

    @property
    def window(self) -> int:
        """The side of a window."""
        return 2 * self.radius + 1

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_cf

        return estimate_alpha_cf, {"epsilon": self.epsilon, "radius": self.radius}


@dataclass(frozen=True)
class KNN(LaplacianMatting):
    """KNN matting (Chen, Li, Tang 2013): pixels of similar colour and position have similar alphas.

    Args:
        neighbours: number of neighbours of each pixel, found with the first and the second weight below.
        place_weights: weight of pixel coordinates relative to colour: large for near, small for distant
            neighbours.
    """

    name: ClassVar[str] = "knn"
    max_megapixels: ClassVar[float] = 1.0  # the neighbour search takes gigabytes a megapixel

    neighbours: tuple[int, int] = (20, 10)
    place_weights: tuple[float, float] = (2.0, 0.1)

    def __post_init__(self) -> None:
        """Check the options; lists, as read from YAML, become tuples."""
        super().__post_init__()
        for key in ("neighbours", "place_weights"):
            pair = getattr(self, key)
            self._check(
                key, len(pair) == 2 and min(pair) > 0, "two numbers above 0: for near and distant neighbours"
            )
            object.__setattr__(self, key, tuple(pair))

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_knn

        weights = list(self.place_weights)
        return estimate_alpha_knn, {"n_neighbors": list(self.neighbours), "distance_weights": weights}


@dataclass(frozen=True)
class LearningBased(LaplacianMatting):
    """Learning-based matting (Zheng, Kambhamettu 2009): ridge regression of alpha on the colours in a window.

    Args:
        epsilon: ridge penalty.
        radius: of the windows, in pixels.
    """

    name: ClassVar[str] = "learning_based"
    max_megapixels: ClassVar[float] = 1.0  # the Laplacian has 81 entries a pixel

    epsilon: float = 1e-7
    radius: int = 1

    @property
    def window(self) -> int:
        """The side of a window."""
        return 2 * self.radius + 1

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_lbdm

        return estimate_alpha_lbdm, {"epsilon": self.epsilon, "radius": self.radius}


@dataclass(frozen=True)
class RandomWalk(LaplacianMatting):
    """Random-walk matting (Grady, Schiwietz, Aharon, Westermann 2005).

    Alpha is the probability that a random walk, which rarely crosses colour edges, reaches the known
    foreground first.

    Args:
        sigma: colour scale: a step over the difference d has weight exp(-(d / sigma)^2).
        radius: of a step, in pixels.
    """

    name: ClassVar[str] = "random_walk"

    sigma: float = 0.0333
    radius: int = 1

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_rw

        def function(image: np.ndarray, trimap: np.ndarray, **options: Any) -> np.ndarray:
            # pymatting (1.1.16) ignores its `sigma`: weights are exp(-900 |difference|^2). Colours enter
            # nowhere else, so scaling them has the same effect.
            return estimate_alpha_rw(image / (30 * self.sigma), trimap, **options)

        return function, {"radius": self.radius}
