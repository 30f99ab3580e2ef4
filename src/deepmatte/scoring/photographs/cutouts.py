"""Cut-outs with clean colours of anybody's mattes, in the formats that image editors and compositors read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepmatte.data.sources.decoding import decoded
from deepmatte.data.sources.files import check_files
from deepmatte.data.sources.images import colours_of_pixels, png_of, quantise, read_alpha
from deepmatte.errors import InputError
from deepmatte.files import atomic
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.ops.srgb import linear_light
from deepmatte.ops.zones import full_scale
from deepmatte.scoring.photographs.hints import partners_of
from deepmatte.scoring.photographs.photos import Photo, named_photos


@dataclass(frozen=True)
class CutoutFormat:
    """How a cut-out is stored.

    Args:
        name: of the format, one of `ENCODERS`.
        bits: of a channel; 32 are floats.
        premultiplied: colours are multiplied by alpha, as compositors want them, or not (straight), as image
            editors do. TIFF files say which; PNG is always taken for straight, EXR for premultiplied.
        linear: colours are linear light instead of sRGB.
    """

    name: str = "png"
    bits: int = 8
    premultiplied: bool = False
    linear: bool = False

    def check(self) -> None:
        """Refuse what a format does not have, and one that can't be written here.

        Raises:
            InputError: it names the options.
        """
        there = ENCODERS[self.name].bits
        if self.bits not in there:
            fitting = [name for name, encoder in ENCODERS.items() if self.bits in encoder.bits]
            raise InputError(
                f"--format {self.name} --bits {self.bits}: {self.name} has {_listed(there)} bits; "
                f"give --format {_listed(fitting)} for {self.bits}"
            )
        if self.linear and self.bits == 8:
            raise InputError(
                "--linear: 8 bits show steps in the shadows of linear light; give --bits 16 or 32"
            )
        self.encoded(np.zeros((1, 1, 4)))

    def encoded(self, cutout: np.ndarray) -> bytes:
        """Return the file of straight sRGB colours and alpha, (H, W, 4) in [0, 1].

        Raises:
            InputError: the OpenCV that is installed can't write EXR.
        """
        colours, alpha = cutout[..., :3], cutout[..., 3:]
        if self.linear:
            colours = linear_light(colours)
        if self.premultiplied:
            colours = colours * alpha
        values = np.dstack([colours, alpha])
        pixels = values.astype(np.float32) if self.bits == 32 else quantise(values, self.bits)
        return ENCODERS[self.name].encode(pixels, self.premultiplied)


def find_mattes(photos: Sequence[Path], alpha: Path) -> list[Photo]:
    """Match photographs, files or folders, with their mattes, a file or a folder of files of the same names.

    Raises:
        InputError: names the first photograph without a matte, or a file that is missing, damaged, of another
            size or no matte.
    """
    files = named_photos(photos)
    partners = partners_of(files, alpha, "alpha")
    for name, file in files.items():
        check_files((file, partners[name]))
        read_alpha(partners[name])
    return [Photo(name, file, partners[name], "alpha") for name, file in files.items()]


def write_cutout(photo: Photo, file: Path, stored: CutoutFormat) -> None:
    """Estimate the foreground's colours of a photograph by its matte, and write the cut-out.

    16 bits of photograph and matte are kept.

    Raises:
        InputError: a file can't be decoded or written.
    """
    assert photo.guide is not None
    pixels, alpha = colours_of_pixels(decoded(photo.file)), read_alpha(photo.guide)
    image, opacity = pixels / full_scale(pixels), alpha / full_scale(alpha)
    content = stored.encoded(np.dstack([estimate_foreground(image, opacity), opacity]))
    with atomic(file, sync=False, cure="make room or give another --out") as stream:
        stream.write(content)


def _png(pixels: np.ndarray, premultiplied: bool) -> bytes:
    return png_of(pixels)


def _tiff(pixels: np.ndarray, premultiplied: bool) -> bytes:
    import tifffile

    buffer = BytesIO()
    kind = "assocalpha" if premultiplied else "unassalpha"
    tifffile.imwrite(
        buffer, pixels, photometric="rgb", extrasamples=[kind], compression="zlib", metadata=None
    )
    return buffer.getvalue()


def _exr(pixels: np.ndarray, premultiplied: bool) -> bytes:
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # off by default, since its reader had faults
    try:
        done, encoded = cv2.imencode(".exr", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    except cv2.error:
        done = False
    if not done:
        cure = "give --format tiff --bits 32"
        raise InputError(f"--format exr: the OpenCV that is installed can't write it; {cure}")
    return encoded.tobytes()


class Encoder(NamedTuple):
    """A format: the bits of a channel that it has, the usual first, and what makes a file of RGBA pixels.

    32 bits are floats. The function is told whether colours are multiplied by alpha.
    """

    bits: tuple[int, ...]
    encode: Callable[[np.ndarray, bool], bytes]


ENCODERS = {"png": Encoder((8, 16), _png), "tiff": Encoder((8, 16, 32), _tiff), "exr": Encoder((32,), _exr)}
"""The formats, by their names, which are the files' suffixes."""


def _listed(values: Sequence[object]) -> str:
    """Return ``a``, ``a or b``, ``a, b or c``.

    >>> _listed([8, 16, 32])
    '8, 16 or 32'
    """
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}" if first else last
