"""Photographs beside plates of their backgrounds: matched, and refused where they can't belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deepmatte.data.sources.files import OnError, check_files, refuse
from deepmatte.data.sources.images import read_image
from deepmatte.data.sources.plates import check_plate
from deepmatte.errors import InputError
from deepmatte.scoring.photographs.hints import partners_of
from deepmatte.scoring.photographs.photos import Photo, named_photos


def find_captures(
    photos: Sequence[Path], plate: Path, on_error: OnError = refuse
) -> tuple[list[Photo], list[str]]:
    """Match photographs, files or folders, with one plate for all, or a folder of plates of their names.

    Sizes are compared here, and the content of each plate with the first photograph that it belongs to.

    Args:
        photos: files, or folders of them.
        plate: the file, or the folder.
        on_error: gets what is wrong with a photograph that has no plate, one of another size or of another
            background, or with a file that can't be read; such photographs are left out. Raising is the
            default.

    Returns:
        the photographs, and warnings about plates that may show another background.

    Raises:
        InputError: two photographs have one name, or there are none.
    """
    files = named_photos(photos)
    plates = partners_of(files, plate, "plate", on_error) if plate.is_dir() else dict.fromkeys(files, plate)
    warnings, compared = [], set()
    found = []
    for name, file in plates.items():
        try:
            check_files((files[name], file))
            if file not in compared:
                warnings += check_plate(read_image(files[name]), read_image(file), files[name], file)
                compared.add(file)
        except InputError as error:
            on_error(error)
        else:
            found.append(Photo(name, files[name], file, "captured_background"))
    return found, warnings
