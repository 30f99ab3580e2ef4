"""What all classical methods share: how they are called, what they refuse, and how they survive a hopeless picture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import ClassVar

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from deepmatte.errors import InputError
from deepmatte.ops.regions import BACKGROUND, FOREGROUND, UNKNOWN
from deepmatte.ops.trimap import trivial_matte

ROUNDING = 1e-4
"""By so much a colour may leave [0, 1], as composites of floats do."""

ALIKE = 0.95
"""Zones that have this share of their colours in common can't be told apart by colour."""

_STEPS = 32


class MattingWarning(UserWarning):
    """A method could not do its own work on a picture; the result is defined all the same, and the message says which it is."""


@dataclass(frozen=True)
class ClassicalMethod:
    """A method without a network: called with a picture and its trimap, it returns a matte.

    Subclasses are frozen dataclasses whose fields are the method's options, and implement `solve`. The result
    of a call is a function of the arguments and options alone; it starts no threads, so that pictures can be
    dealt out to processes.
    """

    name: ClassVar[str]
    max_megapixels: ClassVar[float] = float("inf")

    @property
    def sees_trimap(self) -> bool:
        """Whether the method is given the trimap; one that is not has to find the foreground by itself."""
        return True

    def prepare(self) -> None:
        """Import what the method needs: once, before processes are forked that would each do it."""

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W) for an image of legal size; what is written into the known zones does not matter."""
        raise NotImplementedError

    def __call__(self, image: np.ndarray, trimap: np.ndarray | None = None) -> np.ndarray:
        """Return alpha (H, W), float64 in [0, 1].

        Pictures of more than ``max_megapixels`` are solved at a smaller size, and their matte is enlarged.
        That, and every other way out, is told by a `MattingWarning`.

        Args:
            image: colours (H, W, 3), float in [0, 1].
            trimap: uint8 (H, W) with the values 0, 128 and 255; methods that do not see a trimap do without.

        Raises:
            InputError: the shapes or values are none of these, or the method needs the trimap that is
                missing.
        """
        _check_image(self.name, image)
        trimap = _checked_trimap(self.name, image, trimap) if self.sees_trimap else None
        if trimap is not None and not (trimap == UNKNOWN).any():
            return trivial_matte(trimap).astype(np.float64)
        height, width = image.shape[:2]
        shrink = min(1.0, (self.max_megapixels * 1e6 / (height * width)) ** 0.5)
        with threadpool_limits(1):
            if shrink == 1:
                return _legal(self.solve(image, trimap))
            size = max(1, int(width * shrink)), max(1, int(height * shrink))
            warn(
                f"{height * width / 1e6:.1f} megapixels are more than {self.name} solves; done at {size[0]}x{size[1]} and enlarged"
            )
            small = self.solve(*shrunk(image, trimap, size))
        return _legal(
            cv2.resize(np.asarray(small, np.float64), (width, height), interpolation=cv2.INTER_LINEAR)
        )

    @property
    def label(self) -> str:
        """The name, the options that are not the defaults, and ``trimap-free`` where that is so; it can be a file's name.

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
    """Warn of a result that was come by in another way."""
    warnings.warn(message, MattingWarning, stacklevel=2)


def warn_of_alike_zones(name: str, image: np.ndarray, trimap: np.ndarray) -> None:
    """Warn where the trimap calls the same colours foreground and background, as it does in a picture of one colour."""
    if common_colours(image, trimap) > ALIKE:
        warn(
            f"known foreground and background have the same colours, by which {name} can't tell them apart; the place alone decides"
        )


def common_colours(image: np.ndarray, trimap: np.ndarray) -> float:
    """Return the share of colours, to a 32nd a channel, that both known zones have in common; 0 where one of the zones is missing.

    >>> common_colours(np.array([[[0.1] * 3, [0.9] * 3, [0.1] * 3]]), np.array([[0, 0, 255]], np.uint8))
    0.5
    """
    bins = np.clip(image * _STEPS, 0, _STEPS - 1).astype(np.int64) @ np.array([_STEPS**2, _STEPS, 1])
    counts = [np.bincount(bins[trimap == zone], minlength=_STEPS**3) for zone in (FOREGROUND, BACKGROUND)]
    if not all(count.any() for count in counts):
        return 0.0
    foreground, background = (count / count.sum() for count in counts)
    return float(np.minimum(foreground, background).sum())


def check_option(method: str, key: str, value: object, fits: bool, wanted: str) -> None:
    """Refuse an option's value in one line.

    Raises:
        InputError: it does not fit.
    """
    if not fits:
        raise InputError(f"method={method}: method.{key}={value} can't be; give {wanted}")


def nothing_known(image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Return the matte of those who know no better: the trimap's zones, and 0.5 for the rest."""
    return trivial_matte(np.full(image.shape[:2], UNKNOWN, np.uint8) if trimap is None else trimap)


def shrunk(
    image: np.ndarray, trimap: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return image and trimap at ``size`` (width, height); what is known of only a part of a new pixel is unknown."""
    image = cv2.resize(np.asarray(image, np.float64), size, interpolation=cv2.INTER_AREA)
    if trimap is None:
        return image, None
    foreground, background = (
        cv2.resize((trimap == value).astype(np.float64), size, interpolation=cv2.INTER_AREA)
        for value in (FOREGROUND, BACKGROUND)
    )
    small = np.full(foreground.shape, UNKNOWN, np.uint8)
    small[foreground > 1 - 1e-6] = FOREGROUND
    small[background > 1 - 1e-6] = BACKGROUND
    return image, small


def _check_image(method: str, image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            f"method={method}: a picture has the shape (height, width, 3), this one {image.shape}"
        )
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(
            f"method={method}: a picture has floats in [0, 1], this one {image.dtype}; divide 8 bit by 255"
        )
    least, most = float(image.min()), float(image.max())
    if not (least >= -ROUNDING and most <= 1 + ROUNDING):  # NaN is neither
        raise InputError(
            f"method={method}: a picture has colours in [0, 1], this one from {least:.4g} to {most:.4g}; scale or repair it"
        )


def _checked_trimap(method: str, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    if trimap is None:
        raise InputError(f"method={method}: needs a trimap; give one, or take a method that does without")
    if trimap.shape != image.shape[:2]:
        if trimap.ndim != 2:
            raise InputError(
                f"method={method}: a trimap has the shape (height, width), this one {trimap.shape}"
            )
        sizes = f"{trimap.shape[1]}x{trimap.shape[0]} for a picture of {image.shape[1]}x{image.shape[0]}"
        raise InputError(f"method={method}: a trimap has the size of its picture, this one {sizes}")
    if not np.isin(trimap, (BACKGROUND, UNKNOWN, FOREGROUND)).all():
        raise InputError(f"method={method}: a trimap has the values 0, 128 and 255, this one others too")
    return trimap


def _legal(alpha: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(alpha, np.float64), 0, 1)
