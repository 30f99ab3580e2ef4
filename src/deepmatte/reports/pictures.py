"""The test pictures that runs keep: the same few images in every run, as input, truth and matte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepmatte.errors import InputError

PARTS = ("image", "alpha", "matte")


def picture_names(runs: Sequence[Path]) -> list[str]:
    """Return the names of the test pictures of which every run has all parts, sorted."""
    shared = []
    for run in runs:
        files = {
            part: {file.name.removesuffix(f"_{part}.png") for file in folder(run).glob(f"*_{part}.png")}
            for part in PARTS
        }
        shared.append(set.intersection(*files.values()))
    return sorted(set.intersection(*shared)) if shared else []


def folder(run: Path) -> Path:
    """Return where a run keeps its test pictures."""
    return run / "pictures" / "test"


def read_picture(run: Path, name: str, part: str) -> NDArray[np.uint8]:
    """Return one part of a test picture as OpenCV has it, (H, W) or (H, W, 3) in BGR; InputError where it is no picture."""
    file = folder(run) / f"{name}_{part}.png"
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR if part == "image" else cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(f"{file}: not readable as a picture; delete it, or score the run again")
    return picture
