"""Decoding picture files: what a file says before it is decoded, and its upright pixels.

Pillow decodes, because it reports truncated files instead of filling them with grey; OpenCV takes over for
16-bit PNG, of which Pillow keeps only the high bytes of colours. EXIF rotation is always applied.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from deepmatte.errors import InputError, visible
from deepmatte.files import PathLike, printable

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Lower-case suffixes of the files that count as pictures."""
MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16B", "I;16L"})
"""Pillow's kinds of pixels that are read; others, such as CMYK, have no colours without a profile."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
"""What is read, whatever a file's suffix says: Pillow hands some of its other formats to programs."""

LIMIT = "DEEPMATTE_MAX_PIXELS"
"""Environment variable: pictures of more pixels are refused before they are decoded."""

MAX_PIXELS = 170_000_000
"""The limit where the variable is not set: a file of a few bytes can unpack to more than the memory."""
_ORIENTATION = 0x0112
_TAIL = 4096  # bytes; some cameras and editors append data of their own behind the end marker


@dataclass(frozen=True)
class Encoded:
    """A picture file in memory; ``name`` is what messages call it."""

    name: str
    content: bytes


Source = PathLike | Encoded
"""Where a picture's bytes are: in a file, or in memory."""


class TooManyPixelsError(InputError):
    """The header of a picture promises more pixels than `max_pixels`."""


@dataclass(frozen=True)
class Header:
    """What a file says about its picture before any pixel is decoded; sizes are those after EXIF rotation."""

    height: int
    width: int
    has_alpha: bool


def read_header(path: PathLike, least_side: int | None = None) -> Header:
    """Return size and kind of a picture without decoding it (about 0.1 ms).

    With ``least_side``, the size that `read_image` gives it.

    Raises:
        InputError: the file is missing, empty, no picture, or in a colour space that has to be converted
            first.
    """
    with opened(path, least_side=least_side) as picture:
        # Pillow would decode a whole PNG to look for EXIF data behind the pixels, and gives the rotated size
        # of a TIFF anyway.
        if picture.format == "TIFF" or (picture.format == "PNG" and "exif" not in picture.info):
            turned = False
        else:
            turned = picture.getexif().get(_ORIENTATION, 1) >= 5
        width, height = picture.size[::-1] if turned else picture.size
        return Header(height, width, picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info)


def check_complete(path: PathLike) -> None:
    """Refuse a PNG or JPEG that was cut off; only files without an end marker are decoded.

    Raises:
        InputError: the file can't be decoded to its end.
    """
    try:
        with open(path, "rb") as file:
            marker = {b"\x89P": b"IEND", b"\xff\xd8": b"\xff\xd9"}.get(file.read(2), b"")
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            whole = marker in file.read()
    except OSError:
        whole = False  # decoding says why
    if not whole:
        decoded(path)


def decoded(path: Source, least_side: int | None = None) -> np.ndarray:
    """Return the upright pixels of a file, uint8 or uint16, (H, W) or (H, W, 2 … 4); 2 is grey and alpha."""
    with opened(path, least_side=least_side) as picture:
        deep = any(";16" in str(tile[3]) for tile in picture.tile)
        if deep and picture.format != "PNG":
            raise InputError(
                f"{_name(path)}: 16 bits are read from PNG files only, "
                f"not from {picture.format}; save it as PNG"
            )
        picture.load()
        pixels = _deep_pixels(path) if deep else np.array(expanded(picture))
        return _upright(pixels, picture.getexif().get(_ORIENTATION, 1))


@contextmanager
def opened(
    path: Source, any_mode: bool = False, least_side: int | None = None
) -> Iterator[ImageFile.ImageFile]:
    """Yield the picture that Pillow opens.

    Whatever is wrong with the file is an `InputError` that names it.
    """
    limit = max_pixels()
    Image.MAX_IMAGE_PIXELS = limit  # Pillow's own limit would refuse what ours allows
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(
                io.BytesIO(path.content) if isinstance(path, Encoded) else path, formats=FORMATS
            )
        with picture:
            if picture.width * picture.height > limit:
                raise Image.DecompressionBombError
            if picture.mode not in MODES and not any_mode:
                raise InputError(
                    f"{_name(path)}: pixels of type {picture.mode} are not read; "
                    "convert the file to 8-bit RGB or grey"
                )
            if least_side is not None:
                picture.draft(
                    picture.mode, (least_side, least_side)
                )  # does nothing to formats that have no smaller scales
            yield picture
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{_name(path)}: there is no such file") from None
    except PermissionError:
        raise InputError(
            f"{_name(path)}: you may not read this file; change its permissions or remove it"
        ) from None
    except Image.DecompressionBombError:
        advice = f"shrink or remove it, or set {LIMIT} if the memory allows"
        raise TooManyPixelsError(
            f"{_name(path)}: unpacks to too many pixels, more than {limit / 1e6:.4g} million; {advice}"
        ) from None
    except UnidentifiedImageError:
        state = "is empty" if _is_empty(path) else "is no picture that can be read"
        raise InputError(f"{_name(path)}: the file {state}; replace or remove it") from None
    except Exception as error:  # decoders answer to damaged files with exceptions of every kind
        reason = str(error) or type(error).__name__
        reason = visible(reason if isinstance(path, Encoded) else reason.replace(os.fspath(path), "it"))
        raise InputError(
            f"{_name(path)}: can't be read, the file may be damaged ({reason}); replace or remove it"
        ) from None


def max_pixels() -> int:
    """Return how many pixels a picture may have.

    Raises:
        InputError: the environment variable holds no whole number above 0.
    """
    text = os.environ.get(LIMIT, str(MAX_PIXELS))
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{LIMIT}={visible(text)}: give a number of pixels, such as {MAX_PIXELS}")
    return int(text)


def _name(source: Source) -> str:
    return visible(source.name) if isinstance(source, Encoded) else printable(source)


def _is_empty(source: Source) -> bool:
    if isinstance(source, Encoded):
        return not source.content
    try:
        return Path(source).stat().st_size == 0
    except OSError:
        return False


def expanded(picture: Image.Image) -> Image.Image:
    """Return a picture of one of `MODES` with a palette's colours, and with bits as 0 and 255."""
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("P", "PA"):
        return picture.convert("RGBA" if picture.mode == "PA" or "transparency" in picture.info else "RGB")
    return picture


def _deep_pixels(source: Source) -> np.ndarray:
    content = (
        np.frombuffer(source.content, np.uint8)
        if isinstance(source, Encoded)
        else np.fromfile(source, np.uint8)
    )
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
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
