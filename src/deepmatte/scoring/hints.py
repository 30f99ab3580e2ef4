"""Trimaps for people who have none: made of a box, a mask or strokes, photograph by photograph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from deepmatte.classical.band import Width, trimap_of_mask
from deepmatte.classical.segmentation import Box, segment, strokes_of_box
from deepmatte.data.sources.decoding import decoded, read_header
from deepmatte.data.sources.files import check_files, find_pictures
from deepmatte.data.sources.images import alpha_of_pixels, colours_of_pixels, read_alpha, to_8_bit
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, full_scale

Kind = Literal["box", "mask", "scribbles"]


@dataclass(frozen=True)
class Hint:
    """Where a person says that the foreground is.

    Args:
        kind: of what was given.
        box: around the foreground, the same in each photograph.
        place: a file, or a folder of files with the photographs' names: masks, whose light half is
            foreground, or scribbles (`strokes_of_pixels`).
        width: of the unknown band, see `deepmatte.classical.band.trimap_of_mask`.
    """

    kind: Kind
    box: Box | None = None
    place: Path | None = None
    width: Width = "auto"

    def files(self, photos: Mapping[str, Path]) -> dict[str, Path | None]:
        """Return each photograph's file of this hint, checked and read, so that none stops the work half-way.

        Raises:
            InputError: names the first photograph without one, or a file that is missing, damaged, of another
                size, or holds no hint; or the box, where it doesn't fit.
        """
        if self.place is None:
            for file in photos.values():
                header = read_header(file)
                with _naming(file):
                    self._box.check(header.height, header.width)
            return dict.fromkeys(photos)
        partners = partners_of(photos, self.place, self.kind)
        for name, file in photos.items():
            check_files((file, partners[name]))
            self._read(partners[name])
        return dict(partners)

    def trimap(self, image: np.ndarray, photo: Path, file: Path | None) -> np.ndarray:
        """Return the trimap (H, W), uint8 0 / 128 / 255, of an image, uint8 (H, W, 3).

        Raises:
            InputError: no foreground is found; it names the photograph.
        """
        colours = image / 255
        with _naming(photo):
            drawn = strokes_of_box(self._box, *image.shape[:2]) if file is None else self._read(file)
            mask = drawn if self.kind == "mask" else segment(colours, drawn)
            return trimap_of_mask(colours, mask, self.width)

    @property
    def _box(self) -> Box:
        assert self.box is not None
        return self.box

    def _read(self, file: Path) -> np.ndarray:
        """Return a mask, bool (H, W), or strokes."""
        if self.kind == "scribbles":
            return strokes_of_pixels(decoded(file), printable(file))
        return mask_of_alpha(read_alpha(file), printable(file))


@contextmanager
def _naming(photo: Path) -> Iterator[None]:
    """Begin the message of an error by the photograph's name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{printable(photo)}: {error}") from None


def partners_of(photos: Mapping[str, Path], place: Path, what: str) -> dict[str, Path]:
    """Return the file of each photograph: ``place``, or that of its name where ``place`` is a folder.

    Raises:
        InputError: it names the first photograph without one.
    """
    if not place.is_dir():
        if len(photos) == 1:
            return dict.fromkeys(photos, place)
        raise InputError(
            f"{printable(place)}: is not a folder, but there are {len(photos)} photographs; "
            f"give a folder with the {what} of each, under its name"
        )
    found = {file.stem: file for file in find_pictures(".", str(place), f"--{what}").values()}
    for name, file in photos.items():
        if name not in found:
            raise InputError(
                f"{printable(file)}: there is no {what} of the same name in {printable(place)}; "
                "add it, or leave out this photograph"
            )
    return {name: found[name] for name in photos}


def mask_of_alpha(alpha: np.ndarray, place: str) -> np.ndarray:
    """Return the light half of a grey picture as a mask, bool (H, W).

    Raises:
        InputError: it has but one half.

    >>> mask_of_alpha(np.array([[0, 127, 128, 255]], np.uint8), "mask").tolist()
    [[False, False, True, True]]
    """
    mask = alpha >= full_scale(alpha) / 2
    if mask.all() or not mask.any():
        found = "light" if mask.all() else "dark"
        raise InputError(
            f"{place}: this mask is {found} everywhere; it has to be white on the foreground alone"
        )
    return mask


def strokes_of_pixels(pixels: np.ndarray, place: str) -> np.ndarray:
    """Return scribbles as uint8 (H, W): 255 under white strokes, 0 under black ones, 128 elsewhere.

    Elsewhere is transparent, or grey: any between a quarter and three quarters.

    Raises:
        InputError: there are no white or no black strokes, or colours.

    >>> strokes_of_pixels(np.array([[0, 100, 128, 255]], np.uint8), "strokes").tolist()
    [[0, 128, 128, 255]]
    """
    pixels = to_8_bit(pixels)
    ink = np.ones(pixels.shape[:2], bool)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        ink = pixels[..., -1] >= 128
        pixels = np.where(ink[..., None], colours_of_pixels(pixels), UNKNOWN)
    grey = alpha_of_pixels(pixels.astype(np.uint8), place)
    strokes = np.select([ink & (grey < 64), ink & (grey > 191)], [BACKGROUND, FOREGROUND], UNKNOWN)
    for value, what in (
        (FOREGROUND, "white strokes on the foreground"),
        (BACKGROUND, "black ones beside it"),
    ):
        if not (strokes == value).any():
            raise InputError(f"{place}: has no {what}; draw both, on grey (128) or on a transparent layer")
    return strokes.astype(np.uint8)
