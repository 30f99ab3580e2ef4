"""What all classical methods share: the call, input checks, and fallbacks for degenerate images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import ClassVar

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from deepmatte.errors import InputError
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, trivial_matte

ROUNDING = 1e-4
"""How far colours may lie outside [0, 1]: composites computed in floating point overshoot a little."""

MAX_OVERLAP = 0.95
"""Zones whose colour histograms overlap by more than this share can't be told apart by colour."""

_BINS = 32


class MattingWarning(UserWarning):
    """A method could not be applied to an image as configured; the message names the fallback."""


@dataclass(frozen=True)
class ClassicalMethod:
    """A method without a network: called with an image and its trimap, it returns a matte.

    Subclasses are frozen dataclasses whose fields are the method's options, and implement `solve`. The result
    is a pure function of arguments and options. A call starts no threads, so that images can be distributed
    over processes.
    """

    name: ClassVar[str]
    max_megapixels: ClassVar[float] = float("inf")

    @property
    def sees_trimap(self) -> bool:
        """Whether the method uses the trimap; without one it has to locate the foreground itself."""
        return True

    def prepare(self) -> None:
        """Import what the method needs, up to 3 s: called once before forking, for all workers."""

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W) for an image, float64, within the size limit; known zones are ignored."""
        raise NotImplementedError

    def __call__(self, image: np.ndarray, trimap: np.ndarray | None = None) -> np.ndarray:
        """Return alpha (H, W), float64 in [0, 1].

        Images above ``max_megapixels`` are solved at a smaller size and their matte is enlarged. This and
        every other fallback issues a `MattingWarning`.

        Args:
            image: colours (H, W, 3), float in [0, 1].
            trimap: uint8 (H, W) with the values 0, 128 and 255; not needed by trimap-free methods.

        Raises:
            InputError: a shape, type or value is invalid, or a required trimap is missing.
        """
        _check_image(self.name, image)
        trimap = _checked_trimap(self.name, image, trimap) if self.sees_trimap else None
        if trimap is not None and not (trimap == UNKNOWN).any():
            return trivial_matte(trimap).astype(np.float64)
        height, width = image.shape[:2]
        scale = self.scale((height, width), trimap)
        with threadpool_limits(1):
            if scale == 1:
                return _clipped(self.solve(np.asarray(image, np.float64), trimap))
            size = max(1, int(width * scale)), max(1, int(height * scale))
            if height * width > self.max_megapixels * 1e6:
                limit = f"{height * width / 1e6:.1f} megapixels exceed the limit of {self.name}"
                warn(f"{limit}; solved at {size[0]}x{size[1]} and enlarged")
            small, zones = downscale(image, trimap, size)
            return _clipped(self.enlarge(self.solve(small, zones), small, zones, image))

    def scale(self, shape: tuple[int, int], trimap: np.ndarray | None) -> float:
        """Return at which part of its sides, up to 1, a picture (height, width) is solved."""
        return min(1.0, (self.max_megapixels * 1e6 / (shape[0] * shape[1])) ** 0.5)

    def enlarge(
        self, alpha: np.ndarray, small: np.ndarray, zones: np.ndarray | None, image: np.ndarray
    ) -> np.ndarray:
        """Return the matte (h, w) of a ``small`` image at the size of ``image``."""
        return cv2.resize(np.asarray(alpha, np.float64), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)

    @property
    def label(self) -> str:
        """The name, the options changed from their defaults, and ``trimap-free``; valid as a file name.

        >>> from deepmatte.classical import KMeans
        >>> KMeans().label, KMeans(clusters=3, trimap=False).label
        ('kmeans', 'kmeans clusters=3 trimap-free')
        """
        changed = [f"{key}={value}" for key, value in self.changed_options().items() if key != "trimap"]
        return " ".join([self.name, *changed, *([] if self.sees_trimap else ["trimap-free"])])

    def changed_options(self) -> dict[str, object]:
        """Return the options that differ from their defaults."""
        return {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }


def warn(message: str) -> None:
    """Issue a `MattingWarning`."""
    warnings.warn(message, MattingWarning, stacklevel=2)


def warn_if_colours_overlap(name: str, image: np.ndarray, trimap: np.ndarray) -> None:
    """Warn if known foreground and background have the same colours, as in an image of a single colour."""
    if colour_overlap(image, trimap) > MAX_OVERLAP:
        warn(
            f"known foreground and background have the same colours, so {name} can't distinguish them "
            f"by colour; position alone decides"
        )


def colour_overlap(image: np.ndarray, trimap: np.ndarray) -> float:
    """Return the overlap, in [0, 1], of the known zones' colour histograms (32 bins a channel).

    Returns 0 if one of the zones is missing.

    >>> colour_overlap(np.array([[[0.1] * 3, [0.9] * 3, [0.1] * 3]]), np.array([[0, 0, 255]], np.uint8))
    0.5
    """
    bins = np.clip(image * _BINS, 0, _BINS - 1).astype(np.int64) @ np.array([_BINS**2, _BINS, 1])
    counts = [np.bincount(bins[trimap == zone], minlength=_BINS**3) for zone in (FOREGROUND, BACKGROUND)]
    if not all(count.any() for count in counts):
        return 0.0
    foreground, background = (count / count.sum() for count in counts)
    return float(np.minimum(foreground, background).sum())


def check_option(method: str, key: str, value: object, valid: bool, expected: str) -> None:
    """Check the value of one option.

    Raises:
        InputError: the value is not ``valid``.
    """
    if not valid:
        raise InputError(f"method={method}: method.{key}={value} is invalid; expected {expected}")


def fallback_matte(image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Return the matte used where a method fails: the trimap's known zones, and 0.5 elsewhere."""
    return trivial_matte(np.full(image.shape[:2], UNKNOWN, np.uint8) if trimap is None else trimap)


def downscale(
    image: np.ndarray, trimap: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return image and trimap at ``size`` (width, height); partly known pixels become unknown."""
    image = cv2.resize(np.asarray(image, np.float64), size, interpolation=cv2.INTER_AREA)
    return image, None if trimap is None else downscale_trimap(trimap, size)


def downscale_trimap(trimap: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a trimap at ``size`` (width, height); partly known pixels become unknown."""
    foreground, background = (
        cv2.resize((trimap == value).astype(np.float64), size, interpolation=cv2.INTER_AREA)
        for value in (FOREGROUND, BACKGROUND)
    )
    small = np.full(foreground.shape, UNKNOWN, np.uint8)
    small[foreground > 1 - 1e-6] = FOREGROUND
    small[background > 1 - 1e-6] = BACKGROUND
    return small


def _check_image(method: str, image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"method={method}: the image has shape {image.shape}; expected (height, width, 3)")
    if not np.issubdtype(image.dtype, np.floating):
        found = f"the image is {image.dtype}"
        raise InputError(f"method={method}: {found}; expected floats in [0, 1]: divide 8-bit values by 255")
    lowest, highest = float(image.min()), float(image.max())
    if not (lowest >= -ROUNDING and highest <= 1 + ROUNDING):  # also catches NaN
        found = f"the image has colours from {lowest:.4g} to {highest:.4g}"
        raise InputError(f"method={method}: {found}; expected [0, 1]: rescale or repair it")


def _checked_trimap(method: str, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    if trimap is None:
        raise InputError(f"method={method}: needs a trimap; provide one, or choose a trimap-free method")
    if trimap.shape != image.shape[:2]:
        if trimap.ndim != 2:
            raise InputError(
                f"method={method}: the trimap has shape {trimap.shape}; expected (height, width)"
            )
        sizes = f"{trimap.shape[1]}x{trimap.shape[0]}, its image {image.shape[1]}x{image.shape[0]}"
        raise InputError(f"method={method}: the trimap is {sizes}; expected the same size")
    if not np.isin(trimap, (BACKGROUND, UNKNOWN, FOREGROUND)).all():
        raise InputError(f"method={method}: the trimap has values other than 0, 128 and 255; convert it")
    return trimap


def _clipped(alpha: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(alpha, np.float64), 0, 1)
