"""Which split a foreground belongs to: by the hash of its name or by a list, never to two of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from deepmatte.data.sources.decoding import SUFFIXES
from deepmatte.data.sources.protocols import Split
from deepmatte.errors import InputError
from deepmatte.files import printable

Item = TypeVar("Item")


def split_of(name: str, val_fraction: float, test_fraction: float) -> Split:
    """Return the split of a name, by its hash alone: files that are added or removed never move others.

    >>> [split_of(name, 0.25, 0.25) for name in ("cat", "dog", "fern", "glass")]
    ['val', 'train', 'train', 'test']
    """
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test_fraction:
        return "test"
    return "val" if place < test_fraction + val_fraction else "train"


def shown_elsewhere(
    pool: Mapping[str, tuple[Path, ...]],
    others: Mapping[str, tuple[Path, ...]],
    shown: Callable[[str], str],
    one_place: bool,
) -> dict[str, tuple[str, Path]]:
    """Return the items of ``pool`` that ``others`` show, too: why, and the first file of the other one.

    Two items show the same if they have a picture or matte file in common, or are of one foreground by
    ``shown``. Foregrounds of equal names in two places are the same only where one of their files is copied,
    unless ``one_place`` says that both sets are named by the same pattern. Whatever else shows the foreground
    of such an item shows the same, too.
    """
    by_file: dict[tuple[int, Path], Path] = {}
    twins: dict[str, list[tuple[str, tuple[Path, ...]]]] = {}
    for name, files in others.items():
        for place, file in enumerate(_picture_and_matte(files)):
            by_file.setdefault((place, file), files[0])
        twins.setdefault(shown(name), []).append((name, files))
    found: dict[str, tuple[str, Path]] = {}
    same: dict[str, Path] = {}
    for name, files in pool.items():
        pictures = _picture_and_matte(files)
        places = [place for place, file in enumerate(pictures) if (place, file) in by_file]
        if places:
            found[name] = ("same file", "same matte")[places[0]], by_file[places[0], pictures[places[0]]]
        else:
            for other, theirs in twins.get(shown(name), []):
                if one_place or any(map(_same_content, pictures, _picture_and_matte(theirs))):
                    found[name] = "same name" if name == other else "same foreground", theirs[0]
                    break
        if name in found:
            same.setdefault(shown(name), found[name][1])
    for name in pool:
        if name not in found and shown(name) in same:
            found[name] = "same foreground", same[shown(name)]
    return found


def _picture_and_matte(files: tuple[Path, ...]) -> tuple[Path, Path]:
    """Return picture and matte of an item, one file for backgrounds and foregrounds with alpha channel."""
    return files[0], files[min(1, len(files) - 1)]


def _same_content(one: Path, other: Path) -> bool:
    if one == other:
        return True
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def identity_rule(pattern: str | None) -> Callable[[str], str]:
    """Return the function from a picture's name to the foreground that it shows.

    ``pattern`` is a regular expression whose first group is the foreground; names that it does not match, and
    all names where it is None, stand for themselves.

    Raises:
        InputError: it is no regular expression with a group.

    >>> clip = identity_rule("(.+)/[^/]+")
    >>> clip("0012/00345"), clip("cat")
    ('0012', 'cat')
    """
    if pattern is None:
        return str
    try:
        expression = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise InputError(f"data.source.identity={pattern}: is no regular expression ({error})") from None
    if not expression.groups:
        raise InputError(
            f"data.source.identity={pattern}: needs a group in parentheses, which names the foreground"
        )
    return partial(_first_group, expression)


def _first_group(expression: re.Pattern[str], name: str) -> str:
    match = expression.fullmatch(name)
    return name if match is None else match.group(1) or name


def read_lines(path: Path, key: str) -> list[str]:
    """Return the lines of a list of names, as they are but for the space around them and empty ones.

    Raises:
        InputError: the file is missing, empty or no UTF-8 text; ``key`` says who asked for it.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError:
        raise InputError(
            f"{printable(path)}: there is no such list of names; "
            f"set {key} to a text file with one name a line"
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            f"{printable(path)}: is no text in UTF-8; {key} is a file with one name a line"
        ) from None
    if not any(lines):
        raise InputError(f"{printable(path)}: holds no names; {key} is a file with one name a line")
    return [line for line in lines if line]


def read_names(path: Path, key: str) -> list[str]:
    """Return the names of a list (`read_lines`) without folders and suffixes, in the list's order."""
    return [stem_of(line) for line in read_lines(path, key)]


def stem_of(name: str) -> str:
    """Return a name without folders and without the suffix of a picture; other dots belong to it.

    >>> stem_of("Other/fg/cat.2.jpg"), stem_of("cat.2.JPG"), stem_of("x.y.z_0")
    ('cat.2', 'cat.2', 'x.y.z_0')
    """
    return _without_suffix(name.replace("\\", "/").rpartition("/")[2])


def _without_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def listed(items: Mapping[str, Item], lines: Iterable[str], path: Path) -> dict[str, Item]:
    """Return the items that the lines of a list name, in full or, without folders, by the last part.

    Raises:
        InputError: a line has no item, or two of them.
    """
    by_stem: dict[str, list[str]] = {}
    for name in items:
        by_stem.setdefault(name.rpartition("/")[2], []).append(name)
    chosen = set()
    for line in lines:
        text = unicodedata.normalize("NFC", line.replace("\\", "/"))
        whole = [name for name in dict.fromkeys((text, _without_suffix(text))) if name in items]
        # A list may be of files with a suffix that is none of a picture.
        stems = (stem_of(text), text.rpartition("/")[2], PurePosixPath(text).stem)
        found = whole[:1] or next((by_stem[stem] for stem in stems if stem in by_stem), [])
        if len(found) != 1:
            state = (
                "no picture has that name" if not found else f"{found[0]} and {found[1]} both have that name"
            )
            raise InputError(
                f"{printable(path)}: names {printable(stem_of(text))}, but {state}; "
                "correct the list or the folder"
            )
        chosen.add(found[0])
    return {name: item for name, item in items.items() if name in chosen}
