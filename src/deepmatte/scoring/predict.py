"""Mattes, cut-outs and new composites of photographs, from a trained run or a classical method."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from deepmatte.data.sources.files import check_files
from deepmatte.data.sources.images import quantise, read_image, write_png
from deepmatte.errors import RunError
from deepmatte.files import printable
from deepmatte.ops.compositing import composite
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.scoring.photos import Photo, check_outputs, inputs_of
from deepmatte.scoring.predictors import Prediction, Predictor


@dataclass(frozen=True)
class Output:
    """What is written for each photograph, and where.

    Args:
        folder: created if it is missing.
        bits: of matte and cut-out, 8 or 16.
        background: image behind the new composite, or None for no composite.
        trimap: write the trimap, too: where it was made of a hint, so that it can be corrected.
    """

    folder: Path
    bits: int = 8
    background: Path | None = None
    trimap: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of files that are written."""
        more = {"composite": self.background is not None, "trimap": self.trimap}
        return ("alpha", "cutout", *(kind for kind, wanted in more.items() if wanted))

    def files(self, photo: Photo) -> dict[str, Path]:
        """Return the files of a photograph by their kind."""
        return {kind: self.folder / f"{photo.name}_{kind}.png" for kind in self.kinds}

    def check(self, photos: Sequence[Photo]) -> None:
        """Check the background and the files to be written, before anything is computed.

        Raises:
            InputError: the background can't be read, or an output can't or must not be written.
        """
        if self.background is not None:
            check_files([self.background])
        outputs = [file for photo in photos for file in self.files(photo).values()]
        check_outputs(self.folder, outputs, [*inputs_of(photos), *filter(None, [self.background])])

    def write(self, photo: Photo, pictures: dict[str, np.ndarray]) -> None:
        """Write the outputs of a photograph, each file atomically."""
        for kind, file in self.files(photo).items():
            bits = self.bits if kind in ("alpha", "cutout") else 8
            write_png(file, quantise(pictures[kind], bits), cure="make room or give another --out")


def predict(photos: Sequence[Photo], predictor: Predictor, output: Output) -> Iterator[Photo]:
    """Matte one photograph after the other and write its files; each is yielded once they are written.

    Raises:
        InputError: a file can't be decoded or written.
        RunError: out of memory.
    """
    background = None if output.background is None else read_image(output.background)
    for photo in photos:
        image = read_image(photo.file)
        with enough_memory(photo.file, image.shape):
            guide = photo.read_guide(image)
            pictures = matted(image, predictor(image, guide), background)
        if output.trimap:
            pictures["trimap"] = guide / 255
        output.write(photo, pictures)
        yield photo


@contextlib.contextmanager
def enough_memory(file: Path, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn a lack of memory into a `RunError` that names the picture and its size (H, W, …)."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        lacks = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not lacks:
            raise
        raise RunError(
            f"{printable(file)}: not enough memory for {shape[1]}x{shape[0]} pixels; "
            "give --tile, or a smaller one"
        ) from error


def matted(
    image: np.ndarray, prediction: Prediction, background: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return the outputs for an image, uint8 (H, W, 3), and what was predicted; all are float in [0, 1].

    ``alpha`` is the matte, ``cutout`` (H, W, 4) has the predicted colours of the foreground, or estimated
    ones where none were predicted, and ``composite`` (H, W, 3) is the foreground over ``background``, which
    is scaled to cover the image and cropped at the centre.
    """
    alpha, foreground = prediction
    if foreground is None:
        foreground = estimate_foreground(image.astype(np.float32) / 255, alpha)
    pictures = {"alpha": alpha, "cutout": np.dstack([foreground, alpha])}
    if background is not None:
        height, width = alpha.shape
        behind = (
            np.asarray(ImageOps.fit(Image.fromarray(background), (width, height), Image.Resampling.BICUBIC))
            / 255.0
        )
        pictures["composite"] = composite(foreground, behind, alpha[..., None])
    return pictures
