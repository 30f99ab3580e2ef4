"""The test pictures that runs keep: the same few images in every run, as input, truth and matte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepmatte.data.sources.decoding import read_header
from deepmatte.errors import InputError

ENDINGS = ("_image.png", "_alpha.png", "_matte.png")


def picture_names(runs: Sequence[Path]) -> list[str]:
    """Return the names of the test pictures of which every run has all parts, sorted.

    A picture in a subfolder has the folder in its name: ``glass/vase``.
    """
    shared: set[str] | None = None
    for run in runs:
        home = folder(run)
        files = [file.relative_to(home).as_posix() for file in home.rglob("*.png")]
        names = set.intersection(
            *({file.removesuffix(end) for file in files if file.endswith(end)} for end in ENDINGS)
        )
        shared = names if shared is None else shared & names
    return sorted(shared or ())


def folder(run: Path) -> Path:
    """Return where a run keeps its test pictures."""
    return run / "pictures" / "test"


def read_picture(run: Path, name: str, part: str) -> NDArray[np.uint8]:
    """Return one part of a test picture in OpenCV's layout, (H, W) or (H, W, 3) in BGR.

    InputError where it can't be read, or is larger than any picture that is read.
    """
    file = folder(run) / f"{name}_{part}.png"
    read_header(file)
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR if part == "image" else cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(f"{file}: not readable as a picture; delete it, or score the run again")
    return np.asarray(picture, np.uint8)
