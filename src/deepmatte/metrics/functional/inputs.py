"""From what the user has (arrays or tensors, 8-bit or float) to what a protocol compares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Union

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.protocols import Protocol, get_protocol
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, impose_trimap

if TYPE_CHECKING:
    from torch import Tensor

Image = Union[np.ndarray, "Tensor"]
"""One image (H, W), also with leading axes of size 1: float in [0, 1], uint8, uint16 or bool at full scale; tensors on any device."""


@dataclass(frozen=True)
class Pair:
    """A prediction beside its truth as ``protocol`` sees them: both (H, W), both uint8 or both float64 in [0, 1]."""

    prediction: np.ndarray
    alpha: np.ndarray
    trimap: np.ndarray | None
    protocol: Protocol

    @property
    def peak(self) -> int:
        """The value of full opacity: 255 or 1."""
        return 255 if self.prediction.dtype == np.uint8 else 1

    @cached_property
    def unknown(self) -> np.ndarray:
        """(H, W) uint8: 1 where the trimap is unknown; everywhere without a trimap."""
        if self.trimap is None:
            return np.ones(self.alpha.shape, np.uint8)
        return (self.trimap == UNKNOWN).view(np.uint8)

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) uint8: 1 for the pixels of the protocol's region."""
        return self.unknown if self.protocol.region == "unknown" else np.ones(self.alpha.shape, np.uint8)

    @cached_property
    def num_pixels(self) -> int:
        """Number of pixels of the protocol's region."""
        return int(np.count_nonzero(self.mask))


def prepare(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> Pair:
    """Check the three images and bring them into the form in which ``protocol`` compares them.

    Tensors are rounded on their own device, so that one byte a pixel travels to the host; the metrics run
    there, because labelling components has no GPU counterpart and exact integer sums give everybody the same
    digits. Nothing given is changed.

    Args:
        prediction: the predicted matte.
        alpha: the true matte.
        trimap: uint8 of 0, 128 and 255; may be None under a protocol that reads none.
        protocol: name or object.

    Raises:
        InputError: sizes differ, values are outside their range or not finite, the trimap has other values or
            is missing.
    """
    protocol = get_protocol(protocol)
    needs_trimap = protocol.masked or "unknown" in (protocol.region, protocol.error_region)
    if trimap is None and needs_trimap:
        raise InputError(
            f"trimap is missing: protocol {protocol.name} needs one; give a trimap or use protocol whole"
        )
    trimap = None if trimap is None else checked_trimap(trimap)
    exact = protocol.rounding == "none"
    predicted = (
        _unit_float(prediction, "prediction")
        if exact
        else quantise(prediction, "prediction", protocol.rounding)
    )
    truth = _unit_float(alpha, "alpha") if exact else quantise(alpha, "alpha")
    for name, image in (("alpha", truth), ("trimap", trimap)):
        if image is not None and image.shape != predicted.shape:
            raise InputError(
                f"{name} is {_size(image)} but the prediction is {_size(predicted)} pixels: they must be of one size"
            )
    if protocol.masked and trimap is not None:
        predicted = impose_trimap(predicted, trimap)
    return Pair(predicted, truth, trimap, protocol)


def quantise(image: Image, name: str = "image", rounding: str = "nearest") -> np.ndarray:
    """Return (H, W) uint8 in 0..255 of an image in [0, 1]; halves go to the even neighbour, ``truncate`` rounds down.

    >>> quantise(np.array([[0.0, 0.5, 1.0]])).tolist()
    [[0, 128, 255]]
    """
    image = _plane(image, name)
    if not _is_float(image):
        return _levels(image, name)
    _check_range(image, name)
    if not isinstance(image, np.ndarray):
        scaled = 255 * (image if image.itemsize == 8 else image.float())
        return (scaled.floor() if rounding == "truncate" else scaled.round()).byte().cpu().numpy()
    if image.dtype != np.float64:
        image = image.astype(np.float32, copy=False)
    if rounding == "truncate":
        return (image * image.dtype.type(255)).astype(np.uint8)
    if image.dtype == np.float64:
        return np.rint(255 * image).astype(np.uint8)
    return cv2.convertScaleAbs(
        image, alpha=255
    )  # multiplies and rounds (halves to even) in one pass, in single precision


def checked_trimap(trimap: Image) -> np.ndarray:
    """Return the trimap as (H, W) uint8 on the host, or raise ``InputError`` if it has other values than 0, 128 and 255."""
    trimap = _plane(trimap, "trimap")
    array = trimap if isinstance(trimap, np.ndarray) else trimap.cpu().numpy()
    if array.dtype != np.uint8:
        raise InputError(
            f"trimap has values of type {array.dtype}: give uint8 with 0 (background), 128 (unknown), 255 (foreground)"
        )
    if sum(np.count_nonzero(array == value) for value in (BACKGROUND, UNKNOWN, FOREGROUND)) != array.size:
        other = next(
            value for value in np.unique(array).tolist() if value not in (BACKGROUND, UNKNOWN, FOREGROUND)
        )
        raise InputError(
            f"trimap has the value {other}: only 0 (background), 128 (unknown) and 255 (foreground) are known"
        )
    return array


def _unit_float(image: Image, name: str) -> np.ndarray:
    """Return (H, W) float64 in [0, 1] on the host."""
    image = _plane(image, name)
    if not _is_float(image):
        return _levels(image, name) / 255
    _check_range(image, name)
    return np.asarray(image, np.float64) if isinstance(image, np.ndarray) else image.double().cpu().numpy()


def _plane(image: Image, name: str) -> Image:
    """Return the image as (H, W): an array, or a detached tensor if it lies on another device than the CPU."""
    if not isinstance(image, np.ndarray):
        image = image.detach()
        if image.device.type == "cpu":  # numpy knows no bfloat16
            image = (image.float() if image.is_floating_point() and image.itemsize < 4 else image).numpy()
    if isinstance(image, np.ndarray) and image.dtype == np.uint16:  # as PNG files may hold them
        image = image / 65535
    shape = tuple(image.shape)
    if len(shape) < 2 or any(side != 1 for side in shape[:-2]) or 0 in shape:
        raise InputError(
            f"{name} has the shape {shape}: give one image (H, W), such as one sample of a batch"
        )
    return image.reshape(shape[-2:])


def _is_float(image: Image) -> bool:
    return image.dtype.kind == "f" if isinstance(image, np.ndarray) else image.is_floating_point()


def _levels(image: Image, name: str) -> np.ndarray:
    """Return an image that is 8-bit (or boolean) already as (H, W) uint8."""
    array = image if isinstance(image, np.ndarray) else image.cpu().numpy()
    if array.dtype == np.bool_:
        return array.view(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8:
        raise InputError(f"{name} has values of type {array.dtype}: give uint8 in 0..255 or float in [0, 1]")
    return array


def _check_range(image: Image, name: str) -> None:
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} has values that are not finite (NaN or infinity)")
    if low < 0 or high > 1:
        raise InputError(
            f"{name} has values from {low:.6g} to {high:.6g}: give float in [0, 1] or uint8 in 0..255"
        )


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
