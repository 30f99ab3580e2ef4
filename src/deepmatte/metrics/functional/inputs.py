"""From a user's arrays or tensors, 8-bit or float, to the pair that a protocol compares."""

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

VALUES = "give uint8 with 0 (background), 128 (unknown) and 255 (foreground)"

Image = Union[np.ndarray, "Tensor"]
"""One image (H, W), with any leading axes of size 1: float in [0, 1]; uint8, uint16 or bool at full scale."""


@dataclass(frozen=True)
class Pair:
    """Prediction and truth as ``protocol`` compares them: (H, W), both uint8 or both float64 in [0, 1]."""

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
    """Check the three images and convert them to the form that ``protocol`` compares.

    Tensors are rounded on their device, so that one byte per pixel is copied to the host. The metrics run
    there: labelling components has no GPU counterpart, and exact integer sums give the same digits
    everywhere. The inputs are not changed.

    Args:
        prediction: the predicted matte.
        alpha: the true matte.
        trimap: uint8 of 0, 128 and 255; may be None under a protocol that needs none.
        protocol: name or object.

    Raises:
        InputError: sizes differ, values are outside their range or not finite, the trimap has other values or
            is missing.
    """
    protocol = get_protocol(protocol)
    needs_trimap = protocol.masked or "unknown" in (protocol.region, protocol.error_region)
    if trimap is None and needs_trimap:
        raise InputError(
            f"trimap is missing: protocol {protocol.name} needs one; give one or use protocol whole"
        )
    trimap = None if trimap is None else checked_trimap(trimap)
    exact = protocol.rounding == "none"
    if exact:
        predicted, truth = _unit_float(prediction, "prediction"), _unit_float(alpha, "alpha")
    else:
        predicted, truth = quantise(prediction, "prediction", protocol.rounding), quantise(alpha, "alpha")
    for name, image in (("alpha", truth), ("trimap", trimap)):
        if image is not None and image.shape != predicted.shape:
            sizes = f"{name} is {_size(image)}, the prediction {_size(predicted)} pixels"
            raise InputError(f"{sizes}: give images of one size")
    if protocol.masked and trimap is not None:
        predicted = impose_trimap(predicted, trimap)
    return Pair(predicted, truth, trimap, protocol)


def quantise(image: Image, name: str = "image", rounding: str = "nearest") -> np.ndarray:
    """Return an image in [0, 1] as (H, W) uint8; halves are rounded to even, ``truncate`` rounds down.

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
    # It multiplies and rounds (halves to even) in one pass, in single precision.
    return cv2.convertScaleAbs(image, alpha=255)


def checked_trimap(trimap: Image) -> np.ndarray:
    """Return the trimap as (H, W) uint8 on the host; other values than 0, 128 and 255 are an InputError."""
    trimap = _plane(trimap, "trimap")
    array = trimap if isinstance(trimap, np.ndarray) else trimap.cpu().numpy()
    if array.dtype != np.uint8:
        raise InputError(f"trimap has values of type {array.dtype}: {VALUES}")
    zones = (BACKGROUND, UNKNOWN, FOREGROUND)
    if sum(np.count_nonzero(array == value) for value in zones) != array.size:
        other = next(value for value in np.unique(array).tolist() if value not in zones)
        raise InputError(f"trimap has the value {other}: {VALUES}")
    return array


def _unit_float(image: Image, name: str) -> np.ndarray:
    """Return (H, W) float64 in [0, 1] on the host."""
    image = _plane(image, name)
    if not _is_float(image):
        return _levels(image, name) / 255
    _check_range(image, name)
    return np.asarray(image, np.float64) if isinstance(image, np.ndarray) else image.double().cpu().numpy()


def _plane(image: Image, name: str) -> Image:
    """Return the image as (H, W): an array, or a detached tensor if it is not on the CPU."""
    if not isinstance(image, np.ndarray):
        image = image.detach()
        if image.device.type == "cpu":  # numpy has no bfloat16
            image = (image.float() if image.is_floating_point() and image.itemsize < 4 else image).numpy()
    if isinstance(image, np.ndarray) and image.dtype == np.uint16:  # as in 16-bit PNG files
        image = image / 65535
    shape = tuple(image.shape)
    if len(shape) < 2 or any(side != 1 for side in shape[:-2]) or 0 in shape:
        raise InputError(f"{name} has shape {shape}: give one image (H, W), such as one sample of a batch")
    return image.reshape(shape[-2:])


def _is_float(image: Image) -> bool:
    return image.dtype.kind == "f" if isinstance(image, np.ndarray) else image.is_floating_point()


def _levels(image: Image, name: str) -> np.ndarray:
    """Return an 8-bit or boolean image (H, W) as uint8."""
    array = image if isinstance(image, np.ndarray) else image.cpu().numpy()
    if array.dtype == np.bool_:
        return array.view(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8:
        raise InputError(f"{name} has values of type {array.dtype}: give uint8 in 0..255 or float in [0, 1]")
    return array


def _check_range(image: Image, name: str) -> None:
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} has NaN or infinite values")
    if low < 0 or high > 1:
        span = f"from {low:.6g} to {high:.6g}"
        raise InputError(f"{name} has values {span}: give float in [0, 1] or uint8 in 0..255")


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
