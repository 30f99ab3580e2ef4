"""Photographs beside plates of their backgrounds: matched, compared, and refused where they can't belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deepmatte.data.sources.files import OnError, check_files, refuse
from deepmatte.data.sources.images import read_image
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.scoring.photographs.hints import partners_of
from deepmatte.scoring.photographs.photos import Photo, named_photos

LOOK = 128
"""Longest side at which image and plate are compared, so that a small shift of the camera does not matter."""

TOLERANCE = 0.06
"""Largest difference of colours that agree, after the plate's exposure is brought to the image's."""

GAINS = tuple(np.geomspace(0.6, 1.6, 9))
"""Exposures that are tried."""

REFUSED, DOUBTFUL = 0.005, 0.05
"""Shares of agreeing pixels below which a plate is refused, or a warning given.

Of 1,122 pairs of different photographs 60 % have less than the first share and 95 % less than the second;
where the subject covers 85 % of the picture, all of 24 pairs of the same background had more than the first
one.
"""


def find_captures(
    photos: Sequence[Path], plate: Path, on_error: OnError = refuse
) -> tuple[list[Photo], list[str]]:
    """Match photographs, files or folders, with one plate for all, or a folder of plates of their names.

    Sizes are compared here, and the content of each plate with the first photograph that it belongs to.

    Args:
        photos: files, or folders of them.
        plate: the file, or the folder.
        on_error: gets what is wrong with a photograph that has no plate, one of another size or of another
            background, or with a file that can't be read; such photographs are left out. Raising is the
            default.

    Returns:
        the photographs, and warnings about plates that may show another background.

    Raises:
        InputError: two photographs have one name, or there are none.
    """
    files = named_photos(photos)
    plates = partners_of(files, plate, "plate", on_error) if plate.is_dir() else dict.fromkeys(files, plate)
    warnings, compared = [], set()
    found = []
    for name, file in plates.items():
        try:
            check_files((files[name], file))
            if file not in compared:
                warnings += check_plate(read_image(files[name]), read_image(file), files[name], file)
                compared.add(file)
        except InputError as error:
            on_error(error)
        else:
            found.append(Photo(name, files[name], file, "captured_background"))
    return found, warnings


def check_plate(image: np.ndarray, plate: np.ndarray, file: Path, plate_file: Path) -> list[str]:
    """Compare a photograph with its plate, both uint8 (H, W, 3); return a warning if they hardly agree.

    Raises:
        InputError: the sizes differ, or the plate clearly shows another background.
    """
    if image.shape != plate.shape:
        sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (plate, image)]
        raise InputError(
            f"{printable(plate_file)}: has {sizes[0]} pixels, but {printable(file)} {sizes[1]}; "
            "photograph both with one camera from one place"
        )
    share = agreement(image, plate)
    if share >= DOUBTFUL:
        return []
    text = f"{printable(plate_file)}: agrees with {printable(file)} in {100 * share:.1f} % of the picture"
    if share < REFUSED:
        raise InputError(f"{text}, so it shows another background; photograph the one behind the subject")
    return [f"{text}; if it shows another background, or the camera has moved, the matte is wrong"]


def agreement(image: np.ndarray, plate: np.ndarray) -> float:
    """Return the share of the picture in which the plate, at its best exposure, has the image's colours.

    Compared at a small size; pixels count only together with all of their neighbours, since single pixels
    agree by chance.

    >>> grey = np.full((8, 8, 3), 100, np.uint8)
    >>> agreement(grey, grey + 20), agreement(grey, 0 * grey)
    (1.0, 0.0)
    """
    height, width = image.shape[:2]
    scale = min(1.0, LOOK / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    one, two = (
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) / np.float32(255) for pixels in (image, plate)
    )
    agreeing = [(np.abs(one - np.clip(gain * two, 0, 1)).max(-1) < TOLERANCE) for gain in GAINS]
    window = np.ones((3, 3), np.uint8)
    return max(float(cv2.erode(mask.astype(np.uint8), window).mean()) for mask in agreeing)
