"""Glob patterns: the files that they mean, and the names that their wildcards spell.

Two pictures belong together when the wildcards of their patterns stand for the same texts:
``people/*_photo.jpg`` and ``mattes/**/*_alpha.png`` match ``people/anna_photo.jpg`` with
``mattes/anna_alpha.png``, both named ``anna``.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from deepmatte.data.sources.decoding import SUFFIXES
from deepmatte.errors import InputError
from deepmatte.files import printable

_WILDCARD = re.compile(r"\*|\?|\[!?\]?[^\]]*\]")
_SUFFIX = re.compile(r"[A-Za-z*?\[\]]+")


def split_pattern(place: Path) -> tuple[Path, list[str]]:
    """Return the folder before the first wildcard, and the parts after it.

    Brackets in names that exist are no wildcards.
    """
    base = Path(place.anchor)
    parts = place.parts[1:] if place.anchor else place.parts
    for i, part in enumerate(parts):
        if _WILDCARD.search(part) and not (base / part).exists():
            return base, list(parts[i:])
        base = base / part
    return base, []


def pictures(base: Path, parts: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) of the pictures below ``base`` that match a pattern, also those behind links.

    The name is what the wildcards stand for, joined by slashes, without the suffix, as text in one Unicode
    form (NFC). Hidden files, and files that are no pictures by their suffix, are passed over; a link that
    leads nowhere is yielded as it is.
    """
    *folders, last = parts if parts and parts[-1] != "**" else [*parts, "*"]
    stem, _, suffix = last.rpartition(".")
    if not stem or not _SUFFIX.fullmatch(suffix):
        stem, suffix = last, "*"
    seen: set[str] = set()
    for folder, captured in _folders(base, folders, ()):
        for entry in _entries(folder):
            own = Path(entry.name).suffix
            if (
                own.lower() not in SUFFIXES
                or not fnmatchcase(own[1:].lower(), suffix.lower())
                or entry.path in seen
            ):
                continue
            match = _expression(stem).fullmatch(entry.name.removesuffix(own))
            dangling = entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110
            if match and (_answers_yes(entry.is_file) or dangling):
                seen.add(entry.path)
                name = "/".join(
                    text for text in (*captured, *match.groups()) if text
                ) or entry.name.removesuffix(own)
                # Bytes that are no text in UTF-8 are escaped, for names go into tables and records.
                text = name.encode(errors="backslashreplace").decode()
                yield unicodedata.normalize("NFC", text), Path(entry.path)


def _folders(
    folder: Path, parts: list[str], captured: tuple[str, ...]
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    if not parts:
        yield folder, captured
        return
    head, rest = parts[0], parts[1:]
    if not _WILDCARD.search(head):
        if (folder / head).is_dir():
            yield from _folders(folder / head, rest, captured)
        return
    if head == "**":
        yield from _folders(folder, rest, captured)
    for entry in _entries(folder):
        if not _answers_yes(entry.is_dir) or (
            entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())
        ):
            continue  # a link to one of its own parents would be followed for ever
        if head == "**":
            yield from _folders(Path(entry.path), parts, (*captured, entry.name))
        else:
            match = _expression(head).fullmatch(entry.name)
            if match:
                yield from _folders(Path(entry.path), rest, (*captured, *match.groups()))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
            )
    except OSError as error:
        raise InputError(
            f"{printable(folder)}: this folder can't be listed ({error.strerror}); "
            "change its permissions or remove it"
        ) from None


def _answers_yes(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link to itself
        return False


@cache
def _expression(part: str) -> re.Pattern[str]:
    """Return the regular expression of one part of a pattern, a group for each wildcard.

    >>> _expression("clip_*").fullmatch("clip_07").groups()
    ('07',)
    """
    text, end = "", 0
    for wildcard in _WILDCARD.finditer(part):
        text += re.escape(part[end : wildcard.start()])
        word, end = wildcard.group(), wildcard.end()
        text += {"*": "(.*)", "?": "(.)"}.get(word) or f"({_character_set(word[1:-1])})"
    try:
        return re.compile(text + re.escape(part[end:]), re.DOTALL)
    except re.error as error:
        raise InputError(
            f"{part}: is no pattern of file names ({error}); write *, ?, ** or a set such as [0-9]"
        ) from None


def _character_set(characters: str) -> str:
    inverse, characters = ("^", characters[1:]) if characters.startswith("!") else ("", characters)
    escaped = characters.replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
    return f"[{inverse}{escaped}]"
