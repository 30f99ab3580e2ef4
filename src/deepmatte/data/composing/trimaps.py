"""How the trimap of a sample is made: by random kernels or distances, or as the data set gives it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.ops.trimap import random_trimap, trimap_from_distances
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, full_scale

KINDS = ("kernels", "distances", "given")


def resize_conservatively(trimap: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a trimap (H, W) at another size: a pixel is 0 or 255 where all that it covers is, also in part.

    The rest is unknown.

    >>> resize_conservatively(np.array([[0, 0, 0, 0, 128, 255, 255, 255]], np.uint8), 1, 3)
    array([[  0, 128, 255]], dtype=uint8)
    """
    if trimap.shape == (height, width):
        return trimap

    def ends(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        # Whole numbers, so that no rounding decides whether an edge pixel belongs to a block.
        steps = np.arange(size)
        return steps * length // size, -(-(steps + 1) * length // size)

    (top, bottom), (left, right) = ends(trimap.shape[0], height), ends(trimap.shape[1], width)
    area = np.outer(bottom - top, right - left)
    resized = np.full((height, width), UNKNOWN, np.uint8)
    for value in (BACKGROUND, FOREGROUND):
        sums = cv2.integral((trimap == value).view(np.uint8))
        inside = (
            sums[np.ix_(bottom, right)]
            - sums[np.ix_(top, right)]
            - sums[np.ix_(bottom, left)]
            + sums[np.ix_(top, left)]
        )
        resized[inside == area] = value
    return resized


class TrimapRecipe:
    """Makes the trimap of a matte.

    Args:
        kind: ``kernels`` erodes the opaque zone and dilates alpha > 0 by elliptical kernels; ``distances``
            does it by exact Euclidean distances; ``given`` takes the trimap of the data set, in which what
            alpha contradicts becomes unknown.
        erode: range of the kernels' sizes in pixels (ends included), or of the distances in pixels.
        dilate: the same for the growth of alpha > 0; it is drawn independently.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(self, kind: str, erode: Sequence[float], dilate: Sequence[float]) -> None:
        if kind not in KINDS:
            raise InputError(f"composition.trimap={kind}: choose one of {', '.join(KINDS)}")
        self.kind = kind
        self.erode, self.dilate = self._range("erode", erode), self._range("dilate", dilate)

    def _range(self, key: str, ends: Sequence[float]) -> tuple[float, float]:
        least = 0 if self.kind == "distances" else 1
        if len(ends) != 2 or not least <= ends[0] <= ends[1]:
            what = "distance" if self.kind == "distances" else "kernel size"
            raise InputError(
                f"composition.{key}={list(ends)}: give the smallest and the largest {what}, at least {least}"
            )
        if self.kind != "distances" and any(end != int(end) for end in ends):
            raise InputError(
                f"composition.{key}={list(ends)}: kernels have whole sizes; "
                "composition.trimap=distances has others"
            )
        return (float(ends[0]), float(ends[1])) if self.kind == "distances" else (int(ends[0]), int(ends[1]))

    def middle(self) -> TrimapRecipe:
        """Return the recipe of the middle of both ranges, which draws nothing.

        Kernels are odd, so that zones grow alike on all sides.

        >>> TrimapRecipe("kernels", (1, 15), (1, 29)).middle().options()
        {'erode': (9, 9), 'dilate': (15, 15)}
        """
        if self.kind == "distances":
            return TrimapRecipe(self.kind, *([sum(ends) / 2] * 2 for ends in (self.erode, self.dilate)))
        return TrimapRecipe(self.kind, *([int(sum(ends)) // 2 | 1] * 2 for ends in (self.erode, self.dilate)))

    def widened(self, factor: float) -> TrimapRecipe:
        """Return the recipe with both ranges times ``factor``, rounded.

        >>> TrimapRecipe("kernels", (1, 15), (1, 29)).widened(2).options()
        {'erode': (2, 30), 'dilate': (2, 58)}
        """
        if factor == 1:
            return self
        least = 0 if self.kind == "distances" else 1
        ends = ([max(least, round(end * factor)) for end in ends] for ends in (self.erode, self.dilate))
        return TrimapRecipe(self.kind, *ends)

    def __call__(
        self, alpha: np.ndarray, given: np.ndarray | None, rng: np.random.Generator, name: str
    ) -> np.ndarray:
        """Return the trimap (H, W), uint8 0 / 128 / 255, of a matte (H, W); ``given`` has the same size.

        Raises:
            InputError: a given trimap is wanted, but there is none.
        """
        if self.kind == "kernels":
            return random_trimap(alpha, self.erode, self.dilate, rng)  # type: ignore[arg-type]
        if self.kind == "distances":
            return trimap_from_distances(
                alpha, *(float(rng.uniform(*ends)) for ends in (self.erode, self.dilate))
            )
        if given is None:
            raise InputError(
                f"{name}: has no trimap of its own, as composition.trimap=given wants; "
                "choose kernels or distances"
            )
        wrong = ((given == BACKGROUND) & (alpha > 0)) | ((given == FOREGROUND) & (alpha < full_scale(alpha)))
        return np.where(wrong, np.uint8(UNKNOWN), given)

    def options(self) -> dict[str, object]:
        """Return what identifies the trimaps of validation and test, for digests."""
        ends: dict[str, object] = {"erode": self.erode, "dilate": self.dilate}
        return ends if self.kind == "kernels" else {"trimap": self.kind, **ends}


GIVEN = TrimapRecipe("given", (1, 1), (1, 1))
"""Takes trimaps as they are, but for what alpha contradicts."""
