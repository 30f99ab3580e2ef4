"""Mattes, cut-outs and new composites of photographs, from a trained run or a classical method."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from deepmatte.data.sources.files import check_files, find_pictures
from deepmatte.data.sources.images import read_image, read_trimap, write_png
from deepmatte.errors import InputError, RunError
from deepmatte.files import printable
from deepmatte.ops.compositing import composite
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.scoring.predictors import Prediction, Predictor


@dataclass(frozen=True)
class Photo:
    """A photograph, its guide (`GUIDES`), and the name with which its outputs begin."""

    name: str
    file: Path
    guide: Path
    key: str = "trimap"

    def read_guide(self) -> np.ndarray:
        """Return the trimap, or the colours of the plate."""
        return read_trimap(self.guide) if self.key == "trimap" else read_image(self.guide)


def find_photos(photos: Sequence[Path], trimap: Path) -> list[Photo]:
    """Match photographs, files or folders, with ``trimap``, a file or a folder of files of the same names.

    All sizes are compared and all trimaps read here, so that a bad file does not stop the work half-way.

    Raises:
        InputError: names the first photograph that has no trimap, a trimap of another size, or the name of
            another photograph, or the first file that is missing, truncated or not a trimap.
    """
    files = named_photos(photos)
    if trimap.is_dir():
        partners = {file.stem: file for file in find_pictures(".", str(trimap), "--trimap").values()}
    elif len(files) == 1:
        partners = dict.fromkeys(files, trimap)
    else:
        raise InputError(
            f"{printable(trimap)}: is not a folder, but there are {len(files)} photographs; "
            "give the folder of their trimaps"
        )
    for name, file in files.items():
        if name not in partners:
            raise InputError(
                f"{printable(file)}: there is no trimap of the same name in {printable(trimap)}; "
                "add it, or leave out this photograph"
            )
        check_files((file, partners[name]))
        read_trimap(partners[name])
    return [Photo(name, file, partners[name]) for name, file in files.items()]


def named_photos(photos: Sequence[Path]) -> dict[str, Path]:
    """Return photographs, files or those in folders, by the names with which their outputs begin.

    Raises:
        InputError: two have the same name, or a folder has none.
    """
    files: dict[str, Path] = {}
    for place in photos:
        found = find_pictures(".", str(place), "PHOTO").values() if place.is_dir() else [place]
        for file in found:
            if file.stem in files:
                raise InputError(
                    f"{printable(file)}: has the same name as {printable(files[file.stem])}; "
                    "matte them in separate calls"
                )
            files[file.stem] = file
    return files


@dataclass(frozen=True)
class Output:
    """What is written for each photograph, and where.

    Args:
        folder: created if it is missing.
        bits: of matte and cut-out, 8 or 16.
        background: image behind the new composite, or None for no composite.
    """

    folder: Path
    bits: int = 8
    background: Path | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of files that are written."""
        return ("alpha", "cutout") if self.background is None else ("alpha", "cutout", "composite")

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
        parent = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        if not parent.is_dir():
            raise InputError(f"{printable(parent)}: is a file, not a folder; give --out a folder")
        read = {file.resolve() for photo in photos for file in (photo.file, photo.guide)}
        if self.background is not None:
            read.add(self.background.resolve())
        for photo in photos:
            for file in self.files(photo).values():
                if file.resolve() in read:
                    raise InputError(
                        f"{printable(file)}: would be overwritten, but is an input; give --out another folder"
                    )

    def write(self, photo: Photo, pictures: dict[str, np.ndarray]) -> None:
        """Write the outputs of a photograph, each file atomically."""
        for kind, file in self.files(photo).items():
            bits = 8 if kind == "composite" else self.bits
            write_png(file, quantise(pictures[kind], bits), cure="make room or give another --out")


def predict(photos: Sequence[Photo], predictor: Predictor, output: Output) -> Iterator[Photo]:
    """Matte one photograph after the other and write its files; each is yielded once they are written.

    Raises:
        InputError: a file can't be decoded or written.
        RunError: out of memory.
    """
    background = None if output.background is None else read_image(output.background)
    for photo in photos:
        image, guide = read_image(photo.file), photo.read_guide()
        with enough_memory(photo.file, image.shape):
            pictures = matted(image, predictor(image, guide), background)
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


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """Return values in [0, 1] as the nearest unsigned integers of 8 or 16 bits; halves round to even.

    >>> quantise(np.array([0, 0.5, 1]), 8).tolist(), quantise(np.array([0.5]), 16).tolist()
    ([0, 128, 255], [32768])
    """
    full = 2**bits - 1
    return np.rint(np.clip(values, 0, 1) * np.float64(full)).astype(np.uint8 if bits == 8 else np.uint16)
