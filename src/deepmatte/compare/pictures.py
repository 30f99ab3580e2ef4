"""The test pictures that runs keep: the same few images in every run, as input, trimap, truth and matte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepmatte.errors import InputError

PARTS = ("image", "trimap", "alpha", "matte")


def picture_names(runs: Sequence[Path]) -> list[str]:
    """Return the names of the test pictures of which every run has all parts, sorted."""
    shared = []
    for run in runs:
        files = {part: {file.name.removesuffix(f"_{part}.png") for file in folder(run).glob(f"*_{part}.png")} for part in PARTS}
        shared.append(set.intersection(*files.values()))
    return sorted(set.intersection(*shared)) if shared else []


def folder(run: Path) -> Path:
    """Return where a run keeps its test pictures."""
    return run / "pictures" / "test"


def open_picture(run: Path, name: str, part: str) -> Image.Image:
    """Open one part of a test picture; InputError where the file is no readable picture."""
    file = folder(run) / f"{name}_{part}.png"
    try:
        with Image.open(file) as picture:
            picture.load()
            return picture.convert("RGB" if part == "image" else "L")
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as a picture ({error}); delete it, or score the run again") from error


def read_picture(run: Path, name: str, part: str) -> NDArray[np.uint8]:
    """Return one part as (H, W) or (H, W, 3) uint8."""
    return np.asarray(open_picture(run, name, part))
