"""Picture files on disk: finding them, matching them by name, and what can be told without decoding them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from deepmatte.data.images import SUFFIXES, Header, PathLike, check_complete, named, read_header
from deepmatte.data.sources import Split
from deepmatte.errors import InputError

Files = Mapping[str, tuple[Path, ...]]
"""The files of each item of a set, by its name."""

_WILDCARDS = frozenset("*?[")


def split_of(name: str, val_fraction: float, test_fraction: float) -> Split:
    """Return the split that a name belongs to, by its hash alone: files that are added or removed never move the others.

    >>> [split_of(name, 0.25, 0.25) for name in ("cat", "dog", "fern", "glass")]
    ['val', 'train', 'train', 'test']
    """
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test_fraction:
        return "test"
    return "val" if place < test_fraction + val_fraction else "train"


def find_pictures(root: PathLike | None, pattern: str, key: str) -> dict[str, Path]:
    """Return the picture files of a folder or glob pattern, sorted by name.

    The name of a file is its path below the folder (below the part of a pattern that has no wildcards) without the suffix.

    Args:
        root: the folder that ``pattern`` is relative to; an absolute pattern ignores it.
        pattern: a folder, whose own pictures are taken, or a glob pattern such as ``people/**/*.png``.
        key: the configuration key that a message should name.

    Raises:
        InputError: there is no root or no such folder, it holds no pictures, or two of them have one name.
    """
    if root is None:
        raise InputError("data.root: needs the folder that holds the data (data.root=DIR)")
    place = Path(root).expanduser() / Path(pattern).expanduser()
    if place.is_dir():
        base, files = place, sorted(place.iterdir())
    else:
        base, wildcards = _split_pattern(place)
        if not wildcards or not base.is_dir():
            raise InputError(f"{named(base)}: there is no such folder; set {key} to a folder or pattern below the root, or to a full path")
        files = sorted(base.glob(wildcards))
    found: dict[str, Path] = {}
    for file in files:
        if file.suffix.lower() not in SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        name = file.relative_to(base).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{named(file)}: has the same name as {named(found[name].name)}; keep one of the two")
        found[name] = file
    if not found:
        raise InputError(f"{named(place)}: no pictures there ({', '.join(sorted(SUFFIXES))}); set {key} to a place that holds some")
    return dict(sorted(found.items()))


def _split_pattern(place: Path) -> tuple[Path, str]:
    """Return the folder before the first wildcard, and the rest; brackets in names of folders that exist are no wildcards."""
    base = Path(place.anchor)
    parts = place.parts[1:] if place.anchor else place.parts
    for i, part in enumerate(parts):
        if _WILDCARDS & set(part) and not (base / part).exists():
            return base, "/".join(parts[i:])
        base = base / part
    return base, ""


def check_names(first: Mapping[str, Path], second: Mapping[str, Path], what: str, other: str) -> None:
    """Refuse two folders whose names don't match one to one; ``what`` and ``other`` say what they hold.

    Raises:
        InputError: it names the first file that is alone.
    """
    for one, two, missing in ((first, second, other), (second, first, what)):
        alone = next((file for name, file in one.items() if name not in two), None)
        if alone is not None:
            raise InputError(f"{named(alone)}: there is no {missing} of the same name; add it or remove this file")


def check_files(files: Iterable[Path]) -> Header:
    """Return the first file's header, once none is cut off and all have the same size after EXIF rotation.

    Raises:
        InputError: it names the file that differs or can't be read.
    """
    first, *others = files
    header = _checked_header(first)
    for file in others:
        other = _checked_header(file)
        if (other.height, other.width) != (header.height, header.width):
            sizes = f"{other.width}x{other.height} pixels, but {named(first)} has {header.width}x{header.height}"
            raise InputError(f"{named(file)}: has {sizes}; they have to be the same")
    return header


def _checked_header(file: Path) -> Header:
    header = read_header(file)
    check_complete(file)
    return header


class FileSet:
    """Items that consist of one or several files each, in the order of their names."""

    def __init__(self, files: Files) -> None:
        self.names = list(files)
        self.files = list(files.values())

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> str:
        """Return a SHA-256 over the names and the lengths in bytes of their files: no path, no time, no content."""
        lines = [repr((name, [file.stat().st_size for file in group])) for name, group in zip(self.names, self.files, strict=True)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
