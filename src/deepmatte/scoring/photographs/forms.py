"""The forms of a picture in memory: arrays, PIL images, tensors or files, into arrays and back again.

Nothing here imports torch; whoever has a tensor has imported it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, Union

import numpy as np
from PIL import Image

from deepmatte.data.sources.decoding import MODES, decoded, expanded
from deepmatte.data.sources.images import alpha_of_pixels, colours_of_pixels, quantise, trimap_of_pixels
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.scoring.photographs.hints import strokes_of_pixels

if TYPE_CHECKING:
    from torch import Tensor

Picture = Union[np.ndarray, Image.Image, "Tensor", str, os.PathLike[str]]
"""A picture: an array (H, W, channels) or (H, W), a PIL image, a tensor (channels, H, W) or a batch
(N, channels, H, W), or the path of a file. Whole numbers are at full scale, floats in [0, 1]."""

FULL = {"uint8": 255, "uint16": 65535}
"""The value of 1 in the types of whole numbers that hold pictures."""


def colours(picture: Picture, name: str = "image") -> list[np.ndarray]:
    """Return the colours (H, W, 3) of a picture, of each picture of a batch; uint8, or float64 in [0, 1].

    Grey is repeated, an alpha channel dropped.

    Raises:
        InputError: it is no picture; ``name`` begins the message.

    >>> [values.shape for values in colours(np.zeros((2, 5), np.uint8))]
    [(2, 5, 3)]
    """
    found = [colours_of_pixels(pixels) for pixels in _pixels(picture, name)]
    return [pixels / 65535 if pixels.dtype == np.uint16 else pixels for pixels in found]


def zones(picture: Picture, name: str = "trimap") -> list[np.ndarray]:
    """Return a trimap, or those of a batch, as uint8 (H, W) of 0, 128 and 255.

    Floats are 0, 0.5 and 1; other greys in the middle are unknown, as in files.

    Raises:
        InputError: it is no trimap, or has no unknown pixels.

    >>> zones(np.array([[0, 0.5, 1]]))[0].tolist()
    [[0, 128, 255]]
    """
    planes = (_whole(pixels) for pixels in _pixels(picture, name))
    return [trimap_of_pixels(pixels, name) for pixels in planes]


def mattes(picture: Picture, name: str = "alpha") -> list[np.ndarray]:
    """Return a matte, or those of a batch, as float64 (H, W) in [0, 1].

    Raises:
        InputError: it is no matte.

    >>> mattes(np.array([[0, 51, 255]], np.uint8))[0].tolist()
    [[0.0, 0.2, 1.0]]
    """
    found = []
    for pixels in _pixels(picture, name):
        if pixels.dtype == np.float64:
            if pixels.ndim == 3 and pixels.shape[2] != 1:
                raise InputError(f"{name} has shape {pixels.shape}: give one channel, (height, width)")
            found.append(pixels.reshape(pixels.shape[:2]))
        else:
            plane = alpha_of_pixels(pixels, name)
            found.append(plane / FULL[plane.dtype.name])
    return found


def given_back(planes: Sequence[np.ndarray], like: Picture, dtype: str | None = None) -> Any:
    """Return results, float in [0, 1], (H, W) or (H, W, channels), in the form of the picture ``like``.

    Args:
        planes: one a picture.
        like: what they were made of. A PIL image gives one of 8 bits, a file an array.
        dtype: of an array or tensor; None is that of ``like``. Whole numbers are at full scale.
    """
    if isinstance(like, Image.Image):
        return Image.fromarray(_stored(planes[0], "uint8"))
    if _is_tensor(like):
        import torch

        own = str(like.dtype).removeprefix("torch.")
        stacked = np.stack([plane[None] if plane.ndim == 2 else plane.transpose(2, 0, 1) for plane in planes])
        values = torch.from_numpy(_stored(stacked, dtype or own)).to(like.device)
        values = values.to(like.dtype) if dtype is None and like.is_floating_point() else values
        return values if like.ndim == 4 else values[0]
    return _stored(planes[0], dtype or (like.dtype.name if isinstance(like, np.ndarray) else "float32"))


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return values in [0, 1] in that type, at full scale; as they are where it holds no colours."""
    if dtype in FULL:
        return quantise(values, 8 * np.dtype(dtype).itemsize)
    return values.astype(dtype if dtype in ("float16", "float32") else np.float64)


def _whole(pixels: np.ndarray) -> np.ndarray:
    return quantise(pixels, 8) if pixels.dtype == np.float64 else pixels


def _is_tensor(picture: object) -> TypeGuard[Tensor]:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(picture, torch.Tensor)


def _pixels(picture: Picture, name: str) -> list[np.ndarray]:
    """Return pixels (H, W) or (H, W, 2 … 4), uint8, uint16 or float64 in [0, 1]; several of a batch."""
    if isinstance(picture, str | os.PathLike):
        return [decoded(Path(picture))]
    if isinstance(picture, Image.Image):
        if picture.mode not in MODES:
            raise InputError(f"{name} has pixels of type {picture.mode}: convert it to RGB or grey (L)")
        return [np.asarray(expanded(picture))]
    if _is_tensor(picture):
        values = picture.detach().cpu()
        batch = values if values.ndim == 4 else values[None]
        array = (batch.double() if batch.is_floating_point() else batch).numpy()
        # A trimap may come without its axis of channels: (H, W).
        array = array[:, None] if array.ndim == 3 and values.ndim == 2 else array
        return [_checked(image, name, "(channels, height, width)", axis=0) for image in array]
    if isinstance(picture, np.ndarray):
        return [_checked(picture, name, "(height, width, channels)", axis=2)]
    kinds = "an array, a PIL image, a tensor or a path"
    raise InputError(f"{name} is a {type(picture).__name__}: give {kinds}")


def _checked(pixels: np.ndarray, name: str, layout: str, axis: int) -> np.ndarray:
    """Return pixels with their channels last, once shape, type and range are those of a picture."""
    if pixels.size == 0 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[axis] > 4):
        raise InputError(f"{name} has shape {pixels.shape}: give {layout}, with 1 to 4 channels")
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):  # also where they are not numbers
            cure = "give floats in [0, 1], or uint8 (divide values up to 255 by 255)"
            raise InputError(f"{name} has values from {low:.6g} to {high:.6g}: {cure}")
        pixels = pixels.astype(np.float64)
    elif pixels.dtype.name not in FULL:
        raise InputError(f"{name} has values of type {pixels.dtype}: give uint8, uint16 or floats in [0, 1]")
    if pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0) if axis == 0 else pixels
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return np.ascontiguousarray(pixels)


def strokes(picture: Picture, name: str = "scribbles") -> list[np.ndarray]:
    """Return scribbles, or those of a batch, as uint8 (H, W); see `deepmatte.scoring.photographs.hints`."""
    return [strokes_of_pixels(_whole(pixels), name) for pixels in _pixels(picture, name)]


def same_size(named: Sequence[tuple[str, Sequence[np.ndarray]]]) -> None:
    """Refuse pictures of different sizes, or batches of different lengths.

    Raises:
        InputError: it names both.
    """
    (first, ours), *others = named
    for name, theirs in others:
        if len(ours) != len(theirs):
            raise InputError(f"{name} has {len(theirs)} pictures, but {first} {len(ours)}: give as many")
        for one, two in zip(ours, theirs, strict=True):
            if one.shape[:2] != two.shape[:2]:
                sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (two, one)]
                raise InputError(f"{name} has {sizes[0]} pixels, but {first} {sizes[1]}: give one size")


def shown(picture: Picture, name: str) -> str:
    """Return how a message names a picture: by its file, or by its role."""
    return printable(picture) if isinstance(picture, str | os.PathLike) else name
