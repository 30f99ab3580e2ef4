"""Photographs on disk with what guides their mattes, and where outputs may be written. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmatte.data.sources.files import check_files, find_pictures
from deepmatte.data.sources.images import read_image, read_trimap
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.scoring.hints import Hint, partners_of


@dataclass(frozen=True)
class Photo:
    """A photograph, its guide, and the name with which its outputs begin.

    ``key`` is the guide's in a batch (`deepmatte.scoring.predictors.GUIDES`).
    With a hint the trimap is made of it; ``guide`` is then the hint's file, if it has one.
    """

    name: str
    file: Path
    guide: Path | None
    key: str = "trimap"
    hint: Hint | None = None

    def read_guide(self, image: np.ndarray) -> np.ndarray:
        """Return the trimap, or the colours of the plate, of the image, uint8 (H, W, 3)."""
        if self.hint is not None:
            return self.hint.trimap(image, self.file, self.guide)
        assert self.guide is not None
        return read_trimap(self.guide) if self.key == "trimap" else read_image(self.guide)


def find_photos(photos: Sequence[Path], trimap: Path | Hint) -> list[Photo]:
    """Match photographs, files or folders, with ``trimap``, a file or a folder of files of the same names.

    All sizes are compared and all trimaps read here, so that a bad file does not stop the work half-way. Of a
    hint, trimaps are made later.

    Raises:
        InputError: names the first photograph that has no trimap, a trimap of another size, or the name of
            another photograph, or the first file that is missing, truncated or not a trimap.
    """
    files = named_photos(photos)
    if isinstance(trimap, Hint):
        hints = trimap.files(files)
        return [Photo(name, file, hints[name], hint=trimap) for name, file in files.items()]
    partners = partners_of(files, trimap, "trimap")
    for name, file in files.items():
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


def inputs_of(photos: Sequence[Photo]) -> list[Path]:
    """Return the files that are read of photographs."""
    return [file for photo in photos for file in (photo.file, photo.guide) if file is not None]


def check_outputs(folder: Path, outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check where files are to be written, before anything is computed.

    Raises:
        InputError: the folder can't be one, or an output would overwrite an input.
    """
    parent = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not parent.is_dir():
        raise InputError(f"{printable(parent)}: is a file, not a folder; give --out a folder")
    read = {file.resolve() for file in inputs}
    for file in outputs:
        if file.resolve() in read:
            raise InputError(
                f"{printable(file)}: would be overwritten, but is an input; give --out another folder"
            )
