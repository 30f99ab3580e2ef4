"""Which images are composed of which files, by the names in the lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepmatte.data.sources.files import find_pictures
from deepmatte.data.sources.splits import read_lines, read_names
from deepmatte.errors import InputError
from deepmatte.files import printable

_COCO_PREFIX = "COCO_train2014_"


@dataclass(frozen=True)
class Inputs:
    """The files of which images are composed, by their names.

    Backgrounds are a folder, which may hold many more.
    """

    foregrounds: Mapping[str, Path]
    alphas: Mapping[str, Path]
    backgrounds: Path

    def background(self, name: str) -> Path:
        """Return the file of a background; COCO of 2017 has the pictures of 2014 without their prefix.

        Raises:
            InputError: there is none.
        """
        for candidate in (name, name.removeprefix(_COCO_PREFIX)):
            if (self.backgrounds / candidate).is_file():
                return self.backgrounds / candidate
        raise InputError(
            f"{printable(self.backgrounds / name)}: there is no such background; "
            "--background is the folder that holds it"
        )


@dataclass(frozen=True)
class Composite:
    """One image to compose: its file's name, its foreground's name and the name of its background's file."""

    image: str
    foreground: str
    background: str


def find_inputs(root: Path, foreground: str, alpha: str, background: Path) -> Inputs:
    """Return the inputs below ``root``; names are those of the files, whichever folder they are in.

    Raises:
        InputError: a place is missing or empty, or two files have one name.
    """
    found = []
    for pattern, key in ((foreground, "--foreground"), (alpha, "--alpha")):
        by_stem: dict[str, Path] = {}
        for file in find_pictures(root, pattern, key).values():
            if file.stem in by_stem:
                raise InputError(
                    f"{printable(file)}: "
                    f"has the same name as {printable(by_stem[file.stem])}; keep one of the two"
                )
            by_stem[file.stem] = file
        found.append(by_stem)
    if not background.is_dir():
        raise InputError(
            f"{printable(background)}: there is no such folder; set --background to the folder of backgrounds"
        )
    return Inputs(found[0], found[1], background)


def plan(
    inputs: Inputs, foregrounds: Path, backgrounds: Path, per_foreground: int, name: str
) -> list[Composite]:
    """Return the images in the order of the lists: foreground i takes backgrounds i * K … i * K + K - 1.

    Args:
        inputs: where the files are.
        foregrounds: text file with the names of the foregrounds.
        backgrounds: text file with the names of the backgrounds' files.
        per_foreground: K.
        name: name of an image, with ``{foreground}``, ``{k}`` (0 to K - 1) and ``{n}`` (0 to their number -
            1).

    Raises:
        InputError: the lists don't fit each other, or name what is not there.
    """
    stems = read_names(foregrounds, "--foreground-names")
    files = read_lines(backgrounds, "--background-names")
    if len(files) < len(stems) * per_foreground:
        need = f"{len(stems)} foregrounds x {per_foreground}"
        raise InputError(
            f"{printable(backgrounds)}: names {len(files)} backgrounds, {need} are needed; "
            "set --background-names, --per-foreground"
        )
    for stem in stems:
        for kind, known in (("foreground", inputs.foregrounds), ("alpha matte", inputs.alphas)):
            if stem not in known:
                raise InputError(
                    f"{printable(foregrounds)}: names {printable(stem)}, "
                    f"but there is no {kind} of that name; add it or correct the list"
                )
    images = []
    for n, file in enumerate(files[: len(stems) * per_foreground]):
        stem = stems[n // per_foreground]
        image = name.format(foreground=stem, k=n % per_foreground, n=n)
        images.append(Composite(f"{image}.png", stem, file))
    if any(
        Path(composite.image).is_absolute() or ".." in Path(composite.image).parts for composite in images
    ):
        raise InputError(f"--name {name}: leads out of --out; give names of files, or of folders in it")
    if len({composite.image for composite in images}) < len(images):
        raise InputError(
            f"--name {name}: gives two images the same name; use {{foreground}} with {{k}}, or {{n}}"
        )
    return images
