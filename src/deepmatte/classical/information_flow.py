"""Information-flow matting: opacity flows between pixels of like colours, near and far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from deepmatte.classical.flows import colour_mixture, known_to_unknown, within_unknown
from deepmatte.classical.laplacian import LaplacianMatting
from deepmatte.classical.trimming import trim_by_edges, trim_by_patches

LOCAL_EPSILON = 1e-6
"""Regularisation of the local flow, closed form's Laplacian."""

MIXTURE_PLACE, WITHIN_PLACE, KNOWN_PLACE = 1.0, 0.05, 10.0
"""Weights of position beside colour where each flow looks for neighbours."""

MOSTLY_TRANSPARENT = 0.0099
"""Above this error the unknown zone's colours are no sum of those of both zones: `transparency`."""


@dataclass(frozen=True)
class InformationFlow(LaplacianMatting):
    """Information-flow matting (Aksoy, Aydin, Pollefeys 2017): four flows of opacity, in one linear system.

    Each unknown pixel is a mixture of pixels of like colours anywhere; it is linear in the colours of its
    window (closed form); it is like other unknown pixels of its colour; and it gets alpha from known colours
    directly, unless the object is mostly transparent. The weights are the published ones by default.

    Differences to the public code: known pixels are boundary values, there they weigh 100; the matte is not
    trimmed at the edges of the unknown zone, as in its default.

    Args:
        mixture: number of neighbours of which a colour is mixed.
        within: number of neighbours in the unknown zone.
        known: number of neighbours in each known zone.
        mixture_weight: of the mixture; the local flow has 1.
        within_weight: of the flow within the unknown zone.
        known_weight: of the flow from the known zones.
        transparent: whether the object mostly is, so that no alpha comes from known colours; None: found by
            the colours.
    """

    name: ClassVar[str] = "information_flow"
    max_megapixels: ClassVar[float] = 1.0

    mixture: int = 20
    within: int = 5
    known: int = 7
    mixture_weight: float = 1.0
    within_weight: float = 0.01
    known_weight: float = 0.05
    transparent: bool | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for key in ("mixture", "within", "known"):
            value = getattr(self, key)
            self._check(key, isinstance(value, int) and value >= 1, "an integer of at least 1")
            self._check(f"{key}_weight", getattr(self, f"{key}_weight") >= 0, "a number of at least 0")

    @property
    def window(self) -> int:
        """The side of a window of the local flow."""
        return 3

    def solver(self) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
        """Return the solver and its options."""
        import pymatting  # noqa: F401  (compiled on first use: before a fork, by `prepare`)

        return self._estimate, {"epsilon": LOCAL_EPSILON, "radius": self.window // 2}

    def _estimate(
        self,
        image: np.ndarray,
        zones: np.ndarray,
        laplacian_kwargs: dict[str, Any],
        cg_kwargs: dict[str, Any],
    ) -> np.ndarray:
        from pymatting import cf_laplacian, cg

        flat = zones.ravel()
        unknown = np.flatnonzero(flat == 0.5)
        boundary = np.where(flat == 0.5, 0, flat)
        alpha, trust = self._from_known(image, zones)
        pull = self.known_weight * trust[unknown]
        local = sp.csr_array(cf_laplacian(image, is_known=flat != 0.5, **laplacian_kwargs))[unknown]
        within = self.within_weight * within_unknown(image, unknown, self.within, WITHIN_PLACE)
        direct = (local[:, unknown] + within + sp.diags_array(pull)).tocsr()
        mixture = self.mixture_weight**0.5 * colour_mixture(image, unknown, self.mixture, MIXTURE_PLACE)
        mixed = mixture[:, unknown]
        back = mixed.T.tocsr()
        # mixed' mixed has hundreds of entries a row: it is applied, never made.
        system = LinearOperator((len(unknown),) * 2, lambda x: direct @ x + back @ (mixed @ x))
        diagonal = direct.diagonal() + mixed.power(2).sum(0)
        right = pull * alpha[unknown] - local @ boundary - back @ (mixture @ boundary)
        boundary[unknown] = cg(system, right, M=lambda x: x / diagonal, **cg_kwargs)
        return boundary.reshape(zones.shape)

    def _from_known(self, image: np.ndarray, zones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return alphas (P,) by known colours, and how far they can be trusted (P,)."""
        transparent = self.transparent
        if transparent is None:
            transparent = transparency(image, zones) > MOSTLY_TRANSPARENT
        if transparent:
            return np.zeros(zones.size), np.zeros(zones.size)
        trimmed = trim_by_patches(image, zones)
        alpha, trust = known_to_unknown(image, trimmed.ravel(), self.known, KNOWN_PLACE)
        edges = trim_by_edges(image, zones).ravel()
        plain = edges != 0.5
        return np.where(plain, edges, alpha), np.where(plain, 1, trust)


def transparency(image: np.ndarray, zones: np.ndarray) -> float:
    """Return how badly the colours of the unknown zone are a sum of those of the known zones near it.

    Colours of an object with opaque parts are, mostly: an opaque pixel has a colour of one of the zones. It
    is the error of the best sum of two histograms, as the public code computes it: ten bins of red, and twice
    of blue; of known pixels in windows of 20 x 20 around unknown ones.

    Args:
        image: colours (H, W, 3).
        zones: alpha (H, W) where it is known, 0 or 1, and else 0.5.
    """
    unknown = zones == 0.5
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((20, 20), np.uint8)) > 0

    def histogram(mask: np.ndarray) -> np.ndarray:
        counts = [np.histogram(image[mask, channel], 10, (0, 1))[0] for channel in (0, 2, 2)]
        return np.concatenate(counts) / max(1, mask.sum())

    known = np.stack([histogram(near & (zones == side)) for side in (1, 0)], 1)
    wanted = histogram(unknown)
    error = known @ np.linalg.lstsq(known, wanted, rcond=None)[0] - wanted
    return float(np.linalg.norm(error) / len(error))
