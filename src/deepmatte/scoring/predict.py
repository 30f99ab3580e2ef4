"""Mattes, cut-outs and new composites of photographs, by a trained run or a classical method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.classical import METHODS
from deepmatte.data.sources.files import check_files, find_pictures
from deepmatte.data.sources.images import read_image, read_trimap, write_png
from deepmatte.errors import InputError, RunError
from deepmatte.files import printable
from deepmatte.models import MattingModel
from deepmatte.ops.compositing import composite
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.ops.tiling import tiled
from deepmatte.ops.zones import UNKNOWN, impose_trimap, trivial_matte
from deepmatte.runs.directory import RunDir
from deepmatte.training import assembly as build
from deepmatte.training.module import load_weights
from deepmatte.training.score import model_of_run

Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Image, uint8 (H, W, 3), and trimap, uint8 0 / 128 / 255 (H, W), to alpha, float (H, W) in [0, 1]."""


@dataclass(frozen=True)
class Photo:
    """A photograph, its trimap, and the name that the pictures made of it begin with."""

    name: str
    file: Path
    trimap: Path


def find_photos(photos: Sequence[Path], trimap: Path) -> list[Photo]:
    """Match photographs, files or folders of them, with ``trimap``, a file or a folder of files of the same names.

    Sizes are compared, no file may be cut off, and every trimap is read: one that was smoothed shall not stop
    the work half-way.

    Raises:
        InputError: it names the first photograph without trimap, of another size, or with the name of another
            one, or the first file that is missing or can't be used.
    """
    files: dict[str, Path] = {}
    for place in photos:
        found = find_pictures(".", str(place), "PHOTO").values() if place.is_dir() else [place]
        for file in found:
            if file.stem in files:
                raise InputError(
                    f"{printable(file)}: has the same name as {printable(files[file.stem])}; matte one of them at a time"
                )
            files[file.stem] = file
    if trimap.is_dir():
        partners = {file.stem: file for file in find_pictures(".", str(trimap), "--trimap").values()}
    elif len(files) == 1:
        partners = dict.fromkeys(files, trimap)
    else:
        raise InputError(
            f"{printable(trimap)}: is no folder, but there are {len(files)} photographs; give the folder of their trimaps"
        )
    for name, file in files.items():
        if name not in partners:
            raise InputError(
                f"{printable(file)}: there is no trimap of the same name in {printable(trimap)}; add it or leave out this photograph"
            )
        check_files((file, partners[name]))
        read_trimap(partners[name])
    return [Photo(name, file, partners[name]) for name, file in files.items()]


def predictor_of_method(method: str) -> Predictor:
    """Return a classical method of `deepmatte.classical.METHODS`, its known zones imposed."""
    if method not in METHODS:
        raise InputError(f"--method {method}: there is none of that name; choose one of {', '.join(METHODS)}")
    solve = METHODS[method]
    return lambda image, trimap: impose_trimap(np.asarray(solve(image / 255.0, trimap)), trimap)


def predictor_of_run(run: Path, checkpoint: str = "best", tile: int = 0) -> Predictor:
    """Return the network of a run with the weights of ``checkpoint`` (best, last or a path), under the run's settings.

    It runs on the first GPU where there is one. ``tile`` is explained at `network_predictor`.

    Raises:
        InputError: ``run`` is no run directory, its checkpoint is missing or broken, or its model needs more
            than a trimap.
    """
    build.quieten()
    directory = RunDir(run)
    settings = directory.config("model")
    model, weights, source = model_of_run(directory, settings, checkpoint)
    more = sorted(set(model.reads) - {"image", "trimap"})
    if more:
        raise InputError(
            f"{run}: its model reads {', '.join(more)} too, which predict has not got; give a run of a model that needs a trimap"
        )
    load_weights(model, weights, source)
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    impose = bool(settings.get("impose_trimap", True))
    return network_predictor(model, refine=bool(weights["deepmatte"]["refine"]), impose=impose, tile=tile)


def network_predictor(model: MattingModel, refine: bool, impose: bool, tile: int = 0) -> Predictor:
    """Return the function that mattes one picture by ``model``, on the device that it is on.

    A ``tile`` of 0 takes the picture as a whole; else it is a multiple of 128, and the network sees squares
    of so many pixels across, of which neighbours share a quarter. It loses the surroundings of each: take a
    tile as large as the memory allows. Where the trimap is imposed, squares without unknown pixels cost
    nothing.
    """

    def alpha_of(image: Tensor, trimap: Tensor) -> Tensor:
        if impose and not (trimap == UNKNOWN).any():
            return trivial_matte(trimap)
        alpha = model(Batch(image=image, trimap=trimap), refine=refine).alpha.float()
        return impose_trimap(alpha, trimap) if impose else alpha

    @torch.inference_mode()
    def predict(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        device = next(model.parameters()).device
        colours = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
        zones = torch.from_numpy(trimap).to(device)[None, None]
        alpha = (
            tiled(alpha_of, colours, zones, tile=tile, overlap=tile // 4)
            if tile
            else alpha_of(colours, zones)
        )
        return alpha[0, 0].cpu().numpy()

    return predict


@dataclass(frozen=True)
class Output:
    """What is written of each photograph, and where.

    Args:
        folder: it is made if it is missing.
        bits: 8 or 16, of matte and cut-out.
        background: the picture behind the new composite, or None for no composite.
    """

    folder: Path
    bits: int = 8
    background: Path | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the files hold."""
        return ("alpha", "cutout") if self.background is None else ("alpha", "cutout", "composite")

    def files(self, photo: Photo) -> dict[str, Path]:
        """Return the files of a photograph by what they hold."""
        return {kind: self.folder / f"{photo.name}_{kind}.png" for kind in self.kinds}

    def check(self, photos: Sequence[Photo]) -> None:
        """Refuse, before anything is computed, a background that can't be read and files that can't or must not be written.

        Raises:
            InputError: it names the file.
        """
        if self.background is not None:
            check_files([self.background])
        parent = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        if not parent.is_dir():
            raise InputError(
                f"{printable(parent)}: is a file, so no pictures can be written there; give --out a folder"
            )
        read = {file.resolve() for photo in photos for file in (photo.file, photo.trimap)}
        if self.background is not None:
            read.add(self.background.resolve())
        for photo in photos:
            for file in self.files(photo).values():
                if file.resolve() in read:
                    raise InputError(
                        f"{printable(file)}: would be overwritten, but is read too; give --out another folder"
                    )

    def write(self, photo: Photo, pictures: dict[str, np.ndarray]) -> None:
        """Write what `pictures` made of a photograph, each file in one piece."""
        for kind, file in self.files(photo).items():
            bits = 8 if kind == "composite" else self.bits
            write_png(file, quantise(pictures[kind], bits), cure="make room or give another --out")


def predict(photos: Sequence[Photo], predictor: Predictor, output: Output) -> Iterator[Photo]:
    """Matte one photograph after the other and write its files; each is yielded when they are there.

    Raises:
        InputError: a file can't be decoded or written.
        RunError: the memory does not suffice.
    """
    background = None if output.background is None else read_image(output.background)
    for photo in photos:
        image, trimap = read_image(photo.file), read_trimap(photo.trimap)
        try:
            pictures = matted(image, predictor(image, trimap), background)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(
                error
            ):
                raise
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise RunError(
                f"{printable(photo.file)}: the memory does not suffice for {size} pixels; give a --tile, or a smaller one"
            ) from error
        output.write(photo, pictures)
        yield photo


def matted(
    image: np.ndarray, alpha: np.ndarray, background: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return what is made of an image, uint8 (H, W, 3), and its matte (H, W), all float in [0, 1].

    ``alpha`` is the matte itself, ``cutout`` (H, W, 4) has estimated colours of the foreground, and
    ``composite`` (H, W, 3) is the foreground before ``background``, which is scaled until it covers the image
    and then cut on both sides alike.
    """
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
    """Return values in [0, 1] as the nearest unsigned integers of 8 or 16 bits; half goes to the even one.

    >>> quantise(np.array([0, 0.5, 1]), 8).tolist(), quantise(np.array([0.5]), 16).tolist()
    ([0, 128, 255], [32768])
    """
    full = 2**bits - 1
    return np.rint(np.clip(values, 0, 1) * np.float64(full)).astype(np.uint8 if bits == 8 else np.uint16)
