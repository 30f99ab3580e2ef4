"""Mattes that spread the known zones over a graph of the pixels: pymatting's solvers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, ClassVar

import numpy as np

from deepmatte.classical.method import ClassicalMethod, check_option, nothing_known, warn, warn_of_alike_zones
from deepmatte.ops.regions import BACKGROUND, FOREGROUND
from deepmatte.ops.threads import survive_forks
from deepmatte.ops.trimap import trivial_matte


@dataclass(frozen=True)
class LaplacianMatting(ClassicalMethod):
    """Solves L alpha = 0 in the unknown zone, with the known zones as boundary values, by preconditioned conjugate gradients.

    The first use on a machine compiles pymatting's kernels, which takes about a minute.

    Args:
        tolerance: of the residual, relative to the right-hand side.
        max_iterations: of the conjugate gradients.
    """

    max_megapixels: ClassVar[float] = 2.0

    tolerance: float = 1e-7
    max_iterations: int = 10_000

    def __post_init__(self) -> None:
        """Refuse options that can't be."""
        check_option(self.name, "tolerance", self.tolerance, self.tolerance > 0, "a number above 0")
        check_option(
            self.name,
            "max_iterations",
            self.max_iterations,
            self.max_iterations >= 1,
            "a number of at least 1",
        )

    @property
    def window(self) -> int:
        """The side of the smallest picture that has an equation for its pixels."""
        return 1

    @abstractmethod
    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return pymatting's function and the options of its Laplacian."""

    def prepare(self) -> None:
        """Import pymatting, and compile it where this is its first use on a machine."""
        survive_forks()
        self.solver()

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        assert trimap is not None
        if not ((trimap == FOREGROUND).any() and (trimap == BACKGROUND).any()):
            warn(
                "the trimap has no known foreground or no known background to start from; alpha is 0.5 where it is not known"
            )
            return nothing_known(image, trimap)
        if min(image.shape[:2]) < self.window:
            warn(
                f"the picture is smaller than the windows of {self.name}, {self.window} pixels; alpha is 0.5 where it is not known"
            )
            return nothing_known(image, trimap)
        warn_of_alike_zones(self.name, image, trimap)
        function, options = self.solver()
        limits = {"rtol": self.tolerance, "maxiter": self.max_iterations}
        zones = trivial_matte(trimap).astype(np.float64)
        try:
            with (
                redirect_stdout(StringIO()),
                warnings.catch_warnings(),
            ):  # it prints that it takes another preconditioner
                warnings.simplefilter("ignore")  # what it divides by zero ends in an error, or is seen below
                alpha = function(
                    np.asarray(image, np.float64), zones, laplacian_kwargs=options, cg_kwargs=limits
                )
        except (ValueError, IndexError, ZeroDivisionError) as error:
            warn(
                f"{self.name} has no solution ({' '.join(str(error).split())[:120]}); alpha is 0.5 where it is not known"
            )
            return nothing_known(image, trimap)
        if not np.isfinite(alpha).all():
            warn(f"{self.name} has no finite solution; alpha is 0.5 where it is not known")
            return nothing_known(image, trimap)
        return alpha


@dataclass(frozen=True)
class ClosedForm(LaplacianMatting):
    """Closed-form matting (Levin, Lischinski, Weiss 2008): locally, alpha is a linear function of the colours.

    Args:
        epsilon: regularises the colour lines of flat windows.
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
    """KNN matting (Chen, Li, Tang 2013): pixels of like colour and place have like alphas, wherever they lie.

    Args:
        neighbours: how many a pixel has, close ones and distant ones.
        place_weights: weight of the place beside the colour, for both.
    """

    name: ClassVar[str] = "knn"
    max_megapixels: ClassVar[float] = 1.0  # the search for neighbours takes gigabytes for each

    neighbours: tuple[int, int] = (20, 10)
    place_weights: tuple[float, float] = (2.0, 0.1)

    def __post_init__(self) -> None:
        """Take lists, as a YAML file has them, for tuples; refuse options that can't be."""
        super().__post_init__()
        for key in ("neighbours", "place_weights"):
            pair = getattr(self, key)
            check_option(
                self.name,
                key,
                pair,
                len(pair) == 2 and min(pair) > 0,
                "two numbers above 0: for close and for distant neighbours",
            )
            object.__setattr__(self, key, tuple(pair))

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_knn

        return estimate_alpha_knn, {
            "n_neighbors": list(self.neighbours),
            "distance_weights": list(self.place_weights),
        }


@dataclass(frozen=True)
class LearningBased(LaplacianMatting):
    """Learning-based digital matting (Zheng, Kambhamettu 2009): alpha is learned locally from the colours by ridge regression.

    Args:
        epsilon: of the ridge.
        radius: of the windows, in pixels.
    """

    name: ClassVar[str] = "learning_based"
    max_megapixels: ClassVar[float] = 1.0  # 81 entries of the Laplacian a pixel

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
    """Random-walk matting (Grady, Schiwietz, Aharon, Westermann 2005): where a walker ends that avoids edges of colour.

    Args:
        sigma: difference of colours at which a step becomes unlikely: its weight is exp(-(difference /
            sigma)^2).
        radius: of a step, in pixels.
    """

    name: ClassVar[str] = "random_walk"

    sigma: float = 0.0333
    radius: int = 1

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        from pymatting import estimate_alpha_rw

        def function(image: np.ndarray, trimap: np.ndarray, **options: Any) -> np.ndarray:
            # pymatting's weights are exp(-900 |difference|^2) whatever its `sigma`; colours enter nowhere
            # else, so they are scaled.
            return estimate_alpha_rw(image / (30 * self.sigma), trimap, **options)

        return function, {"radius": self.radius}
