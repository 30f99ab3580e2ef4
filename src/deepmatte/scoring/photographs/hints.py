"""Trimaps for people who have none: made of a box, a mask or strokes, photograph by photograph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from deepmatte.classical.band import Width, trimap_of_mask
from deepmatte.classical.segmentation import Box, segment, strokes_of_box
from deepmatte.data.sources.decoding import decoded, read_header
from deepmatte.data.sources.files import OnError, check_files, find_pictures, refuse
from deepmatte.data.sources.images import alpha_of_pixels, colours_of_pixels, read_alpha, to_8_bit
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, full_scale

THREADS = 4
"""That read files: more of them wait for one another."""


@dataclass(frozen=True)
class Hint:
    """Where a person says that the foreground is, in every photograph of a call.

    Args:
        width: of the unknown band, see `deepmatte.classical.band.trimap_of_mask`.
    """

    width: Width

    def files(self, photos: Mapping[str, Path], on_error: OnError = refuse) -> dict[str, Path | None]:
        """Return each photograph's file of this hint, checked and read.

        What is missing or doesn't fit goes to ``on_error``, and its photograph is left out.
        """
        raise NotImplementedError

    def mask(self, image: np.ndarray, file: Path | None) -> np.ndarray:
        """Return the foreground's mask, bool (H, W), of an image (H, W, 3) in [0, 1].

        Raises:
            InputError: no foreground is found.
        """
        raise NotImplementedError

    def trimap(self, image: np.ndarray, photo: Path, file: Path | None) -> np.ndarray:
        """Return the trimap (H, W), uint8 0 / 128 / 255, of an image, uint8 (H, W, 3).

        Raises:
            InputError: no foreground is found; it names the photograph.
        """
        colours = image / 255
        with _naming(photo):
            return trimap_of_mask(colours, self.mask(colours, file), self.width)


@dataclass(frozen=True)
class BoxHint(Hint):
    """A box around the foreground, the same in each photograph."""

    box: Box

    def files(self, photos: Mapping[str, Path], on_error: OnError = refuse) -> dict[str, Path | None]:
        """Return no files, of the photographs that the box fits."""

        def check(file: Path) -> None:
            header = read_header(file)
            with _naming(file):
                self.box.check(header.height, header.width)

        return dict.fromkeys(sound(photos, check, on_error))

    def mask(self, image: np.ndarray, file: Path | None) -> np.ndarray:
        """Return what GrabCut finds in the box."""
        return segment(image, strokes_of_box(self.box, *image.shape[:2]))


@dataclass(frozen=True)
class DrawnHint(Hint):
    """A picture that somebody has drawn: a file, or a folder of files with the photographs' names."""

    what: ClassVar[str]
    place: Path = field(repr=False)

    def read(self, file: Path) -> np.ndarray:
        """Return what a file holds, (H, W)."""
        raise NotImplementedError

    def files(self, photos: Mapping[str, Path], on_error: OnError = refuse) -> dict[str, Path | None]:
        """Return each photograph's file."""
        partners = partners_of(photos, self.place, self.what, on_error)

        def check(pair: tuple[Path, Path]) -> None:
            check_files(pair)
            self.read(pair[1])

        pairs = {name: (photos[name], partner) for name, partner in partners.items()}
        return {name: partners[name] for name in sound(pairs, check, on_error)}

    def mask(self, image: np.ndarray, file: Path | None) -> np.ndarray:
        """Return the mask that a file is, or leads to."""
        assert file is not None
        return self.mask_of(image, self.read(file))

    def mask_of(self, image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return the mask of what was read."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaskHint(DrawnHint):
    """Masks, whose light half is foreground."""

    what: ClassVar[str] = "mask"

    def read(self, file: Path) -> np.ndarray:
        """Return the mask, bool (H, W)."""
        return mask_of_alpha(read_alpha(file), printable(file))

    def mask_of(self, image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return the mask as it is."""
        return drawn


@dataclass(frozen=True)
class ScribblesHint(DrawnHint):
    """White strokes on the foreground and black ones beside it (`strokes_of_pixels`)."""

    what: ClassVar[str] = "scribbles"

    def read(self, file: Path) -> np.ndarray:
        """Return the strokes, uint8 (H, W)."""
        return strokes_of_pixels(decoded(file), printable(file))

    def mask_of(self, image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return what GrabCut makes of the strokes."""
        return segment(image, drawn)


@contextmanager
def _naming(photo: Path) -> Iterator[None]:
    """Begin the message of an error by the photograph's name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{printable(photo)}: {error}") from None


Item = TypeVar("Item")


def sound(items: Mapping[str, Item], check: Callable[[Item], object], on_error: OnError) -> list[str]:
    """Return the names of the items that ``check`` does not refuse; it reads several files at a time.

    What it refuses goes to ``on_error``, in the order of the items.
    """

    def fault(item: Item) -> InputError | None:
        try:
            check(item)
        except InputError as error:
            return error
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        faults = dict(zip(items, pool.map(fault, items.values()), strict=True))
    for error in filter(None, faults.values()):
        on_error(error)
    return [name for name, error in faults.items() if error is None]


def partners_of(
    photos: Mapping[str, Path], place: Path, what: str, on_error: OnError = refuse
) -> dict[str, Path]:
    """Return the file of each photograph: ``place``, or that of its name where ``place`` is a folder.

    In a folder ``NAME_trimap.png`` is the trimap of NAME, too, as `deepmatte trimap` writes it.

    Raises:
        InputError: one file is not enough. A photograph without its own goes to ``on_error``.
    """
    if not place.is_dir():
        if len(photos) == 1:
            return dict.fromkeys(photos, place)
        raise InputError(
            f"{printable(place)}: is not a folder, but there are {len(photos)} photographs; "
            f"give a folder with the {what} of each, under its name"
        )
    option = "--captured" if what == "plate" else f"--{what}"
    found = {file.stem: file for file in find_pictures(".", str(place), option).values()}
    partners = {}
    for name, file in photos.items():
        partner = found.get(name) or found.get(f"{name}_{what}")
        if partner is not None:
            partners[name] = partner
            continue
        on_error(
            InputError(
                f"{printable(file)}: there is no {what} of the same name in {printable(place)}; "
                "add it, or leave out this photograph"
            )
        )
    return partners


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
