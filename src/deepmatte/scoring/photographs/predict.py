"""Mattes, cut-outs and new composites of photographs, from a trained run or a classical method."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from deepmatte.data.sources.files import check_files, refuse
from deepmatte.data.sources.images import mark_of, quantise, read_image, write_png
from deepmatte.errors import InputError, RunError
from deepmatte.files import printable
from deepmatte.ops.compositing import composite
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.scoring.photographs.photos import Photo, check_outputs, inputs_of
from deepmatte.scoring.photographs.prediction import Prediction, Predictor

AHEAD = 2
"""Photographs that are read, or whose files are written, while another one is matted."""


@dataclass(frozen=True)
class Output:
    """What is written for each photograph, and where.

    Args:
        folder: created if it is missing.
        bits: of matte and cut-out, 8 or 16.
        background: image behind the new composite, or None for no composite.
        trimap: write the trimap, too: where it was made of a hint, so that it can be corrected.
        solver: what mattes, weights included, as a digest; the files are marked by it and by all that they
            are made of, so that `is_done` knows them again. Empty for no marks.
    """

    folder: Path
    bits: int = 8
    background: Path | None = None
    trimap: bool = False
    solver: str = ""

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

    def mark(self, photo: Photo) -> str:
        """Return the digest of all that the files of a photograph are made of; empty without a solver."""
        if not self.solver:
            return ""
        made_of = (photo.file, photo.guide, photo.hint, self.background)
        return digest_of(self.solver, self.bits, *self.kinds, *made_of)

    def is_done(self, photo: Photo) -> bool:
        """Return whether all files of a photograph are there, made of the same inputs by the same solver."""
        marks = {mark_of(file) for file in self.files(photo).values()}
        return len(marks) == 1 and "" not in marks and marks == {self.mark(photo)}

    def pixels(self, pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the pixels of the files of pictures in [0, 1], by their kind."""
        bits = {"alpha": self.bits, "cutout": self.bits}
        return {kind: quantise(pictures[kind], bits.get(kind, 8)) for kind in self.kinds}

    def write(self, photo: Photo, pixels: dict[str, np.ndarray], mark: str = "") -> None:
        """Write the files of a photograph, each atomically and with the `mark`."""
        for kind, file in self.files(photo).items():
            write_png(file, pixels[kind], cure="make room or give another --out", mark=mark)


def digest_of(*parts: object) -> str:
    """Return 32 hex digits of the content of files (paths), and of the words of anything else."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        else:
            total.update(hashlib.sha256(repr(part).encode()).digest())
    return total.hexdigest()[:32]


def predict(
    photos: Sequence[Photo],
    predictor: Predictor,
    output: Output,
    on_error: Callable[[InputError | RunError], None] = refuse,
) -> Iterator[Photo]:
    """Matte one photograph after the other and write its files; each is yielded once they are written.

    The next ones are read and the last ones written meanwhile, by threads.

    Args:
        photos: with their guides.
        predictor: the network or the method.
        output: what is written.
        on_error: gets what is wrong with a photograph that can't be decoded, matted or held in memory; it is
            left out. Raising is the default.

    Raises:
        InputError: a file can't be written.
    """
    background = None if output.background is None else read_image(output.background)
    with ThreadPoolExecutor(AHEAD) as readers, ThreadPoolExecutor(AHEAD) as writers:
        reading = deque((photo, readers.submit(_read, photo, output)) for photo in photos[:AHEAD])
        writing: deque[tuple[Photo, Future[None]]] = deque()
        for number in range(len(photos)):
            photo, read = reading.popleft()
            if number + AHEAD < len(photos):
                later = photos[number + AHEAD]
                reading.append((later, readers.submit(_read, later, output)))
            try:
                image, guide, mark = read.result()
                pixels = _pixels(photo, image, guide, predictor, output, background)
            except (InputError, RunError) as error:
                on_error(error)
                continue
            writing.append((photo, writers.submit(output.write, photo, pixels, mark)))
            while writing and (len(writing) > AHEAD or writing[0][1].done()):
                yield _written(*writing.popleft())
        while writing:
            yield _written(*writing.popleft())


def _read(photo: Photo, output: Output) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return image, guide and mark; of a hint no guide, since making trimaps is not for several threads."""
    image = read_image(photo.file)
    return image, None if photo.hint is not None else photo.read_guide(image), output.mark(photo)


def _pixels(
    photo: Photo,
    image: np.ndarray,
    guide: np.ndarray | None,
    predictor: Predictor,
    output: Output,
    background: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Return the pixels of the files of a photograph."""
    with enough_memory(photo.file, image.shape):
        guide = photo.read_guide(image) if guide is None else guide
        pictures = matted(image, predictor(image, guide), background)
        return output.pixels({**pictures, "trimap": guide / 255} if output.trimap else pictures)


def _written(photo: Photo, writing: Future[None]) -> Photo:
    writing.result()
    return photo


@contextlib.contextmanager
def enough_memory(file: Path, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn a lack of memory into a `RunError` that names the picture and its size (H, W, …)."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = ("allocate memory", "out of memory")  # of a CPU, of a GPU
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in words):
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
