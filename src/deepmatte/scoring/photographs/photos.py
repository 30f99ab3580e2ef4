"""Photographs on disk with what guides their mattes, and where outputs may be written. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmatte.data.sources.files import OnError, check_files, find_pictures, refuse
from deepmatte.data.sources.images import read_image, read_trimap
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.scoring.photographs.hints import Hint, partners_of, sound


@dataclass(frozen=True)
class Photo:
    """A photograph, its guide, and the name with which its outputs begin.

    ``key`` is the guide's in a batch (`deepmatte.scoring.photographs.predictors.GUIDES`).
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


def find_photos(photos: Sequence[Path], trimap: Path | Hint, on_error: OnError = refuse) -> list[Photo]:
    """Match photographs, files or folders, with ``trimap``, a file or a folder of files of the same names.

    All sizes are compared and all trimaps read here, so that a bad file is known before the work. Of a hint,
    trimaps are made later.

    Args:
        photos: files, or folders of them.
        trimap: the file, or the folder; or what trimaps are made of.
        on_error: gets what is wrong with a photograph that has no trimap or one of another size, or with a
            file that is damaged or no trimap; such photographs are left out. Raising is the default.

    Raises:
        InputError: two photographs have one name, there are none, or one trimap is given for several.
    """
    files = named_photos(photos)
    if isinstance(trimap, Hint):
        hints = trimap.files(files, on_error)
        return [Photo(name, files[name], file, hint=trimap) for name, file in hints.items()]
    partners = partners_of(files, trimap, "trimap", on_error)

    def check(pair: tuple[Path, Path]) -> None:
        check_files(pair)
        read_trimap(pair[1])

    pairs = {name: (files[name], partner) for name, partner in partners.items()}
    return [Photo(name, *pairs[name]) for name in sound(pairs, check, on_error)]


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
