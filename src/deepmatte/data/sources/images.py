"""Reading and writing pictures: colour images, alpha mattes and trimaps, however they are stored."""

from __future__ import annotations

import logging
import struct
import zlib
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from deepmatte.data.sources.decoding import decoded, opened
from deepmatte.errors import InputError
from deepmatte.files import PathLike, atomic, printable
from deepmatte.ops.trimap import normalise_trimap

AlphaFrom = Literal["auto", "grey", "red", "alpha"]
"""Which channel of a file is the matte."""
_MARK = "deepmatte"  # the keyword of the mark in a PNG
_HEADER = 33  # bytes of a PNG before the place of its text: signature, and the header's chunk
_log = logging.getLogger(__name__)
_reported_greys: set[int] = set()


def read_image(path: PathLike, least_side: int | None = None) -> np.ndarray:
    """Return the colours of a picture as uint8 RGB (H, W, 3).

    An alpha channel is dropped, grey is repeated, 16 bit rounded to 8.

    With ``least_side``, JPEG files are decoded at a half, a quarter or an eighth of their size, the smallest
    at which no side is shorter than that: most of the work of decoding is left out.

    Raises:
        InputError: the file is missing, empty, truncated, no picture, or in a colour space that has to be
            converted first.
    """
    return to_8_bit(colours_of_pixels(decoded(path, least_side)))


def read_alpha(path: PathLike, channel: AlphaFrom = "auto") -> np.ndarray:
    """Return an alpha matte (H, W) as uint8 or uint16; full scale (255 or 65535) means 1.

    Args:
        path: the file: grey, palette, RGB or with an alpha channel.
        channel: ``alpha`` is the alpha channel, ``red`` the first channel of a colour picture (mattes that
            JPEG has tinted), ``grey`` wants equal channels and ignores an alpha channel. ``auto`` is the
            alpha channel unless it is opaque everywhere, since many programs add one to grey pictures, and
            else ``grey``.

    Raises:
        InputError: the file can't be read, is a colour picture, or has no alpha channel where one is asked
            for.
    """
    return alpha_of_pixels(decoded(path), printable(path), channel)


def alpha_of_pixels(pixels: np.ndarray, place: str, channel: AlphaFrom = "auto") -> np.ndarray:
    """Return the matte in decoded pixels, as `read_alpha`; ``place`` begins the message of an error."""
    opacity = pixels[..., -1] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else None
    if channel == "alpha" and opacity is None:
        raise InputError(f"{place}: has no alpha channel; set alpha_from: auto, or give files with one")
    if opacity is not None and (
        channel == "alpha" or (channel == "auto" and (opacity != np.iinfo(pixels.dtype).max).any())
    ):
        return np.ascontiguousarray(opacity)
    if pixels.ndim == 2:
        return pixels
    pixels = pixels[..., :1] if channel == "red" else pixels if opacity is None else pixels[..., :-1]
    grey = np.ascontiguousarray(pixels[..., 0])
    if any((pixels[..., channel] != grey).any() for channel in range(1, pixels.shape[2])):
        raise InputError(
            f"{place}: this is a colour picture, not an alpha matte; "
            "a matte is grey, or the alpha channel of its file"
        )
    return grey


def read_cutout(path: PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Return colours, uint8 (H, W, 3), and alpha, uint8 or uint16 (H, W), of a picture with alpha channel.

    Raises:
        InputError: the file can't be read or has no alpha channel.
    """
    pixels = decoded(path)
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        raise InputError(
            f"{printable(path)}: this cut-out has no alpha channel; "
            "use RGBA pictures or name the folder of their mattes"
        )
    return to_8_bit(colours_of_pixels(pixels)), np.ascontiguousarray(pixels[..., -1])


def read_trimap(path: PathLike) -> np.ndarray:
    """Return a trimap (H, W) as uint8 with the values 0, 128 and 255.

    Grey, palette, RGB and RGBA files are understood.

    Files that mark the unknown zone by another grey (102, 127, …) are accepted, and a warning says so once
    for each grey.

    Raises:
        InputError: the file can't be read, is no trimap, or has no unknown pixels.
    """
    return trimap_of_pixels(decoded(path), printable(path))


def trimap_of_pixels(pixels: np.ndarray, place: str) -> np.ndarray:
    """Return the trimap in decoded pixels, as `read_trimap`; ``place`` begins the message of an error."""
    grey = to_8_bit(alpha_of_pixels(pixels, place))
    try:
        trimap = normalise_trimap(grey)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    unknown = grey[trimap == 128]
    if not unknown.size:
        raise InputError(
            f"{place}: this trimap has no unknown pixels (value 128), "
            "so there is nothing to estimate in this picture"
        )
    value = int(unknown[0])
    if value != 128 and value not in _reported_greys:
        _reported_greys.add(value)
        _log.warning("%s: grey %d is read as unknown (128), here and in every other trimap", place, value)
    return trimap


def read_as_stored(path: PathLike, mode: Literal["RGB", "L"]) -> Image.Image:
    """Return a picture as Pillow converts it to ``mode``, to repeat other programs' results.

    EXIF rotation is not applied, and colour spaces that the functions above refuse are converted.

    Raises:
        InputError: the file can't be read.
    """
    with opened(path, any_mode=True) as picture:
        return picture.convert(mode)


def flat_matte(path: PathLike) -> InputError:
    """Return the error that says that the matte of a file is constant."""
    return InputError(
        f"{printable(path)}: this matte is constant, there is no edge to learn from or to score; remove it"
    )


def write_png(
    path: PathLike, pixels: np.ndarray, *, parents: bool = True, cure: str | None = None, mark: str = ""
) -> None:
    """Write a PNG, uint8 or uint16, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, atomically.

    ``mark`` is a word that the file keeps beside its pixels (`mark_of`).

    Raises:
        InputError: the file can't be written.
    """
    content = png_of(pixels, mark)
    with atomic(path, parents=parents, sync=False, cure=cure) as file:
        file.write(content)


def png_of(pixels: np.ndarray, mark: str = "") -> bytes:
    """Return the PNG file of pixels, as `write_png` takes them."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a PNG holds uint8 or uint16 pixels, not {pixels.dtype}")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"pixels of shape {pixels.shape} can't be written as PNG")
    content = encoded.tobytes()
    if mark:
        chunk = b"tEXt" + f"{_MARK}\0{mark}".encode("latin-1")
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        content = content[:_HEADER] + chunk + content[_HEADER:]
    return content


def mark_of(path: PathLike) -> str:
    """Return the mark that `write_png` gave to a file; nothing where there is none, or no such file."""
    try:
        with opened(path) as picture:
            return str(picture.info.get(_MARK, ""))
    except InputError:
        return ""


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """Return values in [0, 1] as the nearest unsigned integers of 8 or 16 bits; halves round to even.

    >>> quantise(np.array([0, 0.5, 1]), 8).tolist(), quantise(np.array([0.5]), 16).tolist()
    ([0, 128, 255], [32768])
    """
    full = 2**bits - 1
    return np.rint(np.clip(values, 0, 1) * np.float64(full)).astype(np.uint8 if bits == 8 else np.uint16)


def colours_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the colours in decoded pixels, as `read_image`, but 16 bit stay 16 bit."""
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 or uint16 pixels as uint8, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
