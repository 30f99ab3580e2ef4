"""Mattes, cut-outs and new composites of photographs, from a trained run or a classical method."""

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
from deepmatte.models.weights import load_weights
from deepmatte.ops.compositing import composite
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.ops.tiling import tiled
from deepmatte.ops.zones import UNKNOWN, impose_trimap, trivial_matte
from deepmatte.runs.directory import RunDir
from deepmatte.training import from_config
from deepmatte.training.score import model_of_run

Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Image, uint8 (H, W, 3), and trimap, uint8 0 / 128 / 255 (H, W), to alpha, float (H, W) in [0, 1]."""


@dataclass(frozen=True)
class Photo:
    """A photograph, its trimap, and the name with which its outputs begin."""

    name: str
    file: Path
    trimap: Path


def find_photos(photos: Sequence[Path], trimap: Path) -> list[Photo]:
    """Match photographs, files or folders, with ``trimap``, a file or a folder of files of the same names.

    All sizes are compared and all trimaps read here, so that a bad file does not stop the work half-way.

    Raises:
        InputError: names the first photograph that has no trimap, a trimap of another size, or the name of
            another photograph, or the first file that is missing, truncated or not a trimap.
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


def predictor_of_method(method: str) -> Predictor:
    """Return a classical method of `deepmatte.classical.METHODS`, with the trimap's known zones imposed."""
    if method not in METHODS:
        raise InputError(f"--method {method}: there is no such method; choose one of {', '.join(METHODS)}")
    solve = METHODS[method]
    return lambda image, trimap: impose_trimap(np.asarray(solve(image / 255.0, trimap)), trimap)


def predictor_of_run(run: Path, checkpoint: str = "best", tile: int = 0) -> Predictor:
    """Return the network of a run, under the run's settings.

    It runs on the first GPU, if there is one.

    Args:
        run: a run directory.
        checkpoint: best, last, or the path of a checkpoint.
        tile: see `network_predictor`.

    Raises:
        InputError: ``run`` is not a run directory, its checkpoint is missing or damaged, or its model reads
            more than image and trimap.
    """
    from_config.quieten()
    directory = RunDir(run)
    settings = directory.config("model")
    model, weights, source = model_of_run(directory, settings, checkpoint)
    more = sorted(set(model.reads) - {"image", "trimap"})
    if more:
        raise InputError(
            f"{run}: its model also reads {', '.join(more)}, which predict can't provide; "
            "give a run of a model that reads only image and trimap"
        )
    load_weights(model, weights, source)
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    impose = bool(settings.get("impose_trimap", True))
    return network_predictor(model, refine=bool(weights["deepmatte"]["refine"]), impose=impose, tile=tile)


def network_predictor(model: MattingModel, refine: bool, impose: bool, tile: int = 0) -> Predictor:
    """Return the function that mattes one image by ``model``, on the model's device.

    Args:
        model: reads image and trimap.
        refine: whether its refinement stage is used.
        impose: whether known zones of the trimap are imposed; tiles without unknown pixels then cost nothing.
        tile: 0 for the whole image at once, or the side of square tiles, a multiple of 128 pixels, that
            overlap by a quarter. A tile hides its surroundings from the network: make it as large as the
            memory allows.
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
        read = {file.resolve() for photo in photos for file in (photo.file, photo.trimap)}
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
                f"{printable(photo.file)}: not enough memory for {size} pixels; give --tile, or a smaller one"
            ) from error
        output.write(photo, pictures)
        yield photo


def matted(
    image: np.ndarray, alpha: np.ndarray, background: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return the outputs for an image, uint8 (H, W, 3), and its matte (H, W); all are float in [0, 1].

    ``alpha`` is the matte, ``cutout`` (H, W, 4) has estimated foreground colours, and ``composite`` (H, W, 3)
    is the foreground over ``background``, which is scaled to cover the image and cropped at the centre.
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
    """Return values in [0, 1] as the nearest unsigned integers of 8 or 16 bits; halves round to even.

    >>> quantise(np.array([0, 0.5, 1]), 8).tolist(), quantise(np.array([0.5]), 16).tolist()
    ([0, 128, 255], [32768])
    """
    full = 2**bits - 1
    return np.rint(np.clip(values, 0, 1) * np.float64(full)).astype(np.uint8 if bits == 8 else np.uint16)
