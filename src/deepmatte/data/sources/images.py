"""Reading and writing picture files: colour images, alpha mattes and trimaps, in all the ways in which people store them.

Pillow decodes, because it reports truncated files instead of filling them with grey; OpenCV takes over for
16-bit PNG, of which Pillow keeps only the high bytes of colours. EXIF rotation is always applied.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from deepmatte.errors import InputError
from deepmatte.files import PathLike, atomic, printable
from deepmatte.ops.trimap import normalise_trimap

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Lower-case suffixes of the files that count as pictures."""

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16B", "I;16L"})
MAX_PIXELS = 170_000_000
"""Larger pictures are refused before they are decoded: a file of a few bytes can unpack to more than the memory holds."""

AlphaFrom = Literal["auto", "grey", "red", "alpha"]
"""Which channel of a file is the matte."""

_ORIENTATION = 0x0112
_TAIL = 4096  # bytes; some cameras and editors append data of their own behind the end marker
_log = logging.getLogger(__name__)
_reported_greys: set[int] = set()


@dataclass(frozen=True)
class Header:
    """What a file says about its picture before any pixel is decoded; sizes are those after EXIF rotation."""

    height: int
    width: int
    has_alpha: bool


def read_header(path: PathLike, least_side: int | None = None) -> Header:
    """Return size and kind of a picture without decoding it (about 0.1 ms); with ``least_side``, the size that `read_image` gives it.

    Raises:
        InputError: the file is missing, empty, no picture, or in a colour space that has to be converted
            first.
    """
    with _opened(path, least_side=least_side) as picture:
        # Pillow would decode a whole PNG to look for EXIF data behind the pixels, and gives the rotated size
        # of a TIFF by itself.
        if picture.format == "TIFF" or (picture.format == "PNG" and "exif" not in picture.info):
            turned = False
        else:
            turned = picture.getexif().get(_ORIENTATION, 1) >= 5
        width, height = picture.size[::-1] if turned else picture.size
        return Header(height, width, picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info)


def check_complete(path: PathLike) -> None:
    """Refuse a PNG or JPEG that was cut off. Only files without an end marker are decoded, so that whole ones take no time.

    Raises:
        InputError: the file can't be decoded to its end.
    """
    try:
        with open(path, "rb") as file:
            marker = {b"\x89P": b"IEND", b"\xff\xd8": b"\xff\xd9"}.get(file.read(2), b"")
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            whole = marker in file.read()
    except OSError:
        whole = False  # decoding tells why
    if not whole:
        _decoded(path)


def read_image(path: PathLike, least_side: int | None = None) -> np.ndarray:
    """Return the colours of a picture as uint8 RGB (H, W, 3); an alpha channel is dropped, grey is repeated, 16 bit rounded to 8.

    With ``least_side``, JPEG files are decoded at a half, a quarter or an eighth of their size, the smallest
    at which no side is shorter than that: most of the work of decoding is left out.

    Raises:
        InputError: the file is missing, empty, truncated, no picture, or in a colour space that has to be
            converted first.
    """
    return _colours(_decoded(path, least_side))


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
    pixels = _decoded(path)
    opacity = pixels[..., -1] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else None
    if channel == "alpha" and opacity is None:
        raise InputError(
            f"{printable(path)}: has no alpha channel; set alpha_from: auto, or give files with one"
        )
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
            f"{printable(path)}: this is a colour picture, not an alpha matte; a matte is grey, or the alpha channel of its file"
        )
    return grey


def read_cutout(path: PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Return colours, uint8 (H, W, 3), and alpha, uint8 or uint16 (H, W), of a cut-out that carries its matte as alpha channel.

    Raises:
        InputError: the file can't be read or has no alpha channel.
    """
    pixels = _decoded(path)
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        raise InputError(
            f"{printable(path)}: this cut-out has no alpha channel; use RGBA pictures or name the folder of their mattes"
        )
    return _colours(pixels), np.ascontiguousarray(pixels[..., -1])


def read_trimap(path: PathLike) -> np.ndarray:
    """Return a trimap (H, W) as uint8 with the values 0, 128 and 255; grey, palette, RGB and RGBA files are understood.

    Files that mark the unknown zone by another grey (102, 127, …) are accepted, and a warning says so once
    for each grey.

    Raises:
        InputError: the file can't be read, is no trimap, or has no unknown pixels.
    """
    grey = _to_8_bit(read_alpha(path))
    try:
        trimap = normalise_trimap(grey)
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from None
    unknown = grey[trimap == 128]
    if not unknown.size:
        raise InputError(
            f"{printable(path)}: this trimap has no unknown pixels (value 128), so there is nothing to estimate in this picture"
        )
    value = int(unknown[0])
    if value != 128 and value not in _reported_greys:
        _reported_greys.add(value)
        _log.warning(
            "%s: grey %d is read as unknown (128), here and in every other trimap", printable(path), value
        )
    return trimap


def read_as_stored(path: PathLike, mode: Literal["RGB", "L"]) -> Image.Image:
    """Return a picture as Pillow alone converts it to ``mode``, for programs that repeat what others have done with it.

    EXIF rotation is not applied, and colour spaces that the functions above refuse are converted.

    Raises:
        InputError: the file can't be read.
    """
    with _opened(path, any_mode=True) as picture:
        return picture.convert(mode)


def flat_matte(path: PathLike) -> InputError:
    """Return the error that says that the matte of a file is the same everywhere."""
    return InputError(
        f"{printable(path)}: this matte is the same everywhere, there is no edge to learn from or to score; remove it"
    )


def write_png(path: PathLike, pixels: np.ndarray, *, parents: bool = True, cure: str | None = None) -> None:
    """Write a PNG of uint8 or uint16 pixels, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, as `deepmatte.files.atomic` does.

    Raises:
        InputError: the file can't be written.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a PNG holds uint8 or uint16 pixels, not {pixels.dtype}")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"pixels of shape {pixels.shape} can't be written as PNG")
    with atomic(path, parents=parents, sync=False, cure=cure) as file:
        file.write(encoded.tobytes())


def _colours(pixels: np.ndarray) -> np.ndarray:
    pixels = _to_8_bit(pixels)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _decoded(path: PathLike, least_side: int | None = None) -> np.ndarray:
    """Return the upright pixels of a file as uint8 or uint16, (H, W) or (H, W, C) with C = 2 (grey and alpha), 3 or 4."""
    with _opened(path, least_side=least_side) as picture:
        deep = any(";16" in str(tile[3]) for tile in picture.tile)
        if deep and picture.format != "PNG":
            raise InputError(
                f"{printable(path)}: 16 bits are read from PNG files only, not from {picture.format}; save it as PNG"
            )
        picture.load()
        pixels = _deep_pixels(path) if deep else np.array(_expanded(picture))
        return _upright(pixels, picture.getexif().get(_ORIENTATION, 1))


@contextmanager
def _opened(
    path: PathLike, any_mode: bool = False, least_side: int | None = None
) -> Iterator[ImageFile.ImageFile]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
        with picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if picture.mode not in _MODES and not any_mode:
                raise InputError(
                    f"{printable(path)}: pixels of type {picture.mode} are not read; convert the file to 8-bit RGB or grey"
                )
            if least_side is not None:
                picture.draft(
                    picture.mode, (least_side, least_side)
                )  # does nothing to formats that have no smaller scales
            yield picture
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{printable(path)}: there is no such file") from None
    except PermissionError:
        raise InputError(
            f"{printable(path)}: you may not read this file; change its permissions or remove it"
        ) from None
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 10**6
        raise InputError(
            f"{printable(path)}: unpacks to too many pixels, more than {limit} million; shrink or remove it"
        ) from None
    except UnidentifiedImageError:
        state = "is empty" if _is_empty(path) else "is no picture that can be read"
        raise InputError(f"{printable(path)}: the file {state}; replace or remove it") from None
    except Exception as error:  # decoders answer to damaged files with exceptions of every kind
        reason = " ".join((str(error) or type(error).__name__).replace(os.fspath(path), "it").split())
        raise InputError(
            f"{printable(path)}: can't be read, the file may be damaged ({reason}); replace or remove it"
        ) from None


def _is_empty(path: PathLike) -> bool:
    try:
        return Path(path).stat().st_size == 0
    except OSError:
        return False


def _expanded(picture: Image.Image) -> Image.Image:
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("P", "PA"):
        return picture.convert("RGBA" if picture.mode == "PA" or "transparency" in picture.info else "RGB")
    return picture


def _deep_pixels(path: PathLike) -> np.ndarray:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the rotation and mirroring that an EXIF orientation (1 to 8) describes."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
