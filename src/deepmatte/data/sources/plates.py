"""Plates of backgrounds beside photographs: how much of the two agrees, and which plate can't belong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.files import printable

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


def check_plate(
    image: np.ndarray, plate: np.ndarray, file: Path, plate_file: Path, alpha: np.ndarray | None = None
) -> list[str]:
    """Compare a photograph with its plate, both uint8 (H, W, 3); return a warning if they hardly agree.

    With the true matte, ``alpha`` (H, W), only the background is compared.

    Raises:
        InputError: the sizes differ, or the plate clearly shows another background.
    """
    if image.shape != plate.shape:
        sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (plate, image)]
        raise InputError(
            f"{printable(plate_file)}: has {sizes[0]} pixels, but {printable(file)} {sizes[1]}; "
            "photograph both with one camera from one place"
        )
    share = agreement(image, plate, None if alpha is None else alpha == 0)
    if share >= DOUBTFUL:
        return []
    part, cure = "the picture", "photograph the one behind the subject"
    if alpha is not None:
        part, cure = "its background", "put the plate of that picture there, or leave the picture out"
    text = f"{printable(plate_file)}: agrees with {printable(file)} in {100 * share:.1f} % of {part}"
    if share < REFUSED:
        raise InputError(f"{text}, so it shows another background; {cure}")
    return [f"{text}; if it shows another background, or the camera has moved, the matte is wrong"]


def agreement(image: np.ndarray, plate: np.ndarray, where: np.ndarray | None = None) -> float:
    """Return the share of the picture in which the plate, at its best exposure, has the image's colours.

    Compared at a small size; pixels count only together with all of their neighbours, since single pixels
    agree by chance. With ``where``, bool (H, W), it is the share of those pixels, and 1 if there are none.

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
    counted = np.ones(one.shape[:2], bool)
    if where is not None:
        counted = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        if not counted.any():
            return 1.0
    agreeing = [(np.abs(one - np.clip(gain * two, 0, 1)).max(-1) < TOLERANCE) for gain in GAINS]
    window = np.ones((3, 3), np.uint8)
    return max(float(cv2.erode(mask.astype(np.uint8), window)[counted].mean()) for mask in agreeing)
