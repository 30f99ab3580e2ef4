"""Picture files on disk: finding them, matching them by name, and what is known without decoding them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from deepmatte.data.sources.decoding import SUFFIXES, Header, check_complete, read_header
from deepmatte.data.sources.patterns import pictures, split_pattern
from deepmatte.data.sources.protocols import Origin
from deepmatte.errors import InputError
from deepmatte.files import PathLike, printable

Files = Mapping[str, tuple[Path, ...]]
"""The files of each item of a set, by its name."""

OnError = Callable[[InputError], None]

Links = Literal["inside", "follow"]


def refuse(error: Exception) -> None:
    """Raise what is wrong with a file; the other way, to collect it, is that of ``data.on_error=skip``."""
    raise error


def find_pictures(
    root: PathLike | None, pattern: str, key: str, links: Links = "follow", on_error: OnError = refuse
) -> dict[str, Path]:
    """Return the picture files of a folder or glob pattern, sorted by name.

    The name of a file is what the wildcards of the pattern stand for (`deepmatte.data.sources.patterns`); in
    a folder it is the file's name without the suffix.

    Args:
        root: the folder that ``pattern`` is relative to; an absolute pattern ignores it.
        pattern: a folder, whose own pictures are taken, or a glob pattern such as ``people/**/*.png``.
        key: the configuration key that a message should name.
        links: ``inside`` refuses symbolic links that lead out of the root; ``follow`` goes wherever they
            lead.
        on_error: what is done with a file that can't be used; raising is the default.

    Raises:
        InputError: there is no root or no such folder, it holds no pictures, or two of them have one name.
    """
    if root is None:
        raise InputError("data.root: needs the folder that holds the data (data.root=DIR)")
    place = Path(root).expanduser() / Path(pattern).expanduser()
    base, parts = (place, ["*"]) if place.is_dir() else split_pattern(place)
    if not parts or not base.is_dir():
        raise InputError(
            f"{printable(base)}: there is no such folder; "
            f"set {key} to a folder or pattern below the root, or to a full path"
        )
    top = base if Path(pattern).expanduser().is_absolute() else Path(root).expanduser()
    outside = _Outside(top) if links == "inside" else None
    found: dict[str, Path] = {}
    twice: set[str] = set()
    for name, file in pictures(base, parts):
        if not file.exists():
            on_error(InputError(f"{printable(file)}: is a link that leads nowhere; remove or correct it"))
        elif outside is not None and outside(file):
            target = printable(file.resolve())
            text = f"is a link out of the data's folder, to {target}"
            on_error(InputError(f"{printable(file)}: {text}; give full paths, or set links: follow"))
        elif name in found:
            text = f"has the same name as {printable(found[name].name)}; keep one of the two"
            on_error(InputError(f"{printable(file)}: {text}"))
            twice.add(name)
        else:
            found[name] = file
    for name in twice:  # which of the two belongs to the others of that name is unknown
        del found[name]
    if not found:
        deeper = parts == ["*"] and any(pictures(base, ["**", "*"]))
        where = (
            f"{printable(Path(pattern, '**', '*'))}, to take those of its folders"
            if deeper
            else "a place that holds some"
        )
        raise InputError(
            f"{printable(place)}: no pictures there ({', '.join(sorted(SUFFIXES))}); set {key} to {where}"
        )
    return dict(sorted(found.items()))


class _Outside:
    """Whether a file is outside a folder, links followed; each parent is followed once."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve()
        self._parents: dict[Path, Path] = {}

    def __call__(self, file: Path) -> bool:
        if file.parent not in self._parents:
            self._parents[file.parent] = file.parent.resolve()
        target = file.resolve() if file.is_symlink() else self._parents[file.parent]
        return not target.is_relative_to(self._root)


def check_names(
    first: Mapping[str, Path], second: Mapping[str, Path], what: str, other: str, on_error: OnError = refuse
) -> None:
    """Refuse two folders whose names don't match one to one; ``what`` and ``other`` say what they hold.

    Raises:
        InputError: it names the first file that is alone.
    """
    for one, two, missing in ((first, second, other), (second, first, what)):
        for name, file in one.items():
            if name not in two:
                on_error(
                    InputError(
                        f"{printable(file)}: there is no {missing} of the same name; "
                        "add it or remove this file"
                    )
                )


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
            sizes = (
                f"{other.width}x{other.height} pixels, "
                f"but {printable(first)} has {header.width}x{header.height}"
            )
            raise InputError(f"{printable(file)}: has {sizes}; they have to be the same")
    return header


def _checked_header(file: Path) -> Header:
    header = read_header(file)
    check_complete(file)
    return header


class FileSet:
    """Items that consist of one or several files each, in the order of their names.

    ``reading`` says how, if not as usual.
    """

    def __init__(self, files: Files, reading: str = "") -> None:
        self.reading = reading
        self.names = list(files)
        self.files = list(files.values())
        self._lengths = [[_length(file) for file in group] for group in self.files]

    def __len__(self) -> int:
        return len(self.names)

    def origin(self, index: int) -> Origin:
        """Return what an item is decoded from."""
        return Origin(self.files[index], self.reading)

    def digest(self) -> str:
        """Return a SHA-256 over the names, lengths and reading of the files; no path, no time."""
        lines = [repr(item) for item in zip(self.names, self._lengths, strict=True)] + [self.reading] * bool(
            self.reading
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        raise InputError(f"{printable(file)}: there is no such file") from None
