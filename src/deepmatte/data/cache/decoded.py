"""Decoded pictures on disk, mapped into memory: decoded once, shared by workers, processes and runs, read by the rows that a crop needs.

A picture's file is named after the paths of what it was decoded from, their lengths and times of change: a
changed picture has another name, so nothing stale is ever read, and what is left of the old one is removed
when the new one is written.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from deepmatte.data.cache.memory import Arrays
from deepmatte.data.sources.images import named
from deepmatte.errors import InputError
from deepmatte.files import atomic

FORMAT = 1
_ALIGNMENT = 4096
_SUFFIX = ".decoded"


class Origin(NamedTuple):
    """What an item is decoded from: its files, and how they are read where that is not as usual."""

    files: tuple[Path, ...]
    reading: str = ""

    @property
    def matte(self) -> Path:
        """The file that holds the matte of a foreground: the second, or the only one."""
        return self.files[min(1, len(self.files) - 1)]


@runtime_checkable
class KnowsOrigin(Protocol):
    """A set whose items are decoded from files."""

    def origin(self, index: int) -> Origin | None:
        """Return what an item is decoded from; None if it is not decoded from files."""


def origin_of(items: object, index: int) -> Origin | None:
    """Return what an item of any set is decoded from; None if the set does not know, or it is not decoded from files."""
    return items.origin(index) if isinstance(items, KnowsOrigin) else None


class DecodedFolder:
    """A folder of decoded pictures; several processes may read, write and remove in it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, origin: Origin) -> str:
        """Return the name of the item's file: 24 digits of its paths, 16 of their present state.

        Raises:
            InputError: one of the files is not there.
        """
        identity = repr((FORMAT, origin.reading, [os.fspath(file.absolute()) for file in origin.files]))
        place = hashlib.sha256(identity.encode(errors="surrogateescape"))
        try:
            states = [(status.st_size, status.st_mtime_ns) for status in map(os.stat, origin.files)]
        except OSError as error:
            raise InputError(f"{named(error.filename)}: there is no such file") from None
        return f"{place.hexdigest()[:24]}-{hashlib.sha256(repr(states).encode()).hexdigest()[:16]}"

    def path(self, key: str) -> Path:
        """Return the file of an item."""
        return self.folder / f"{key}{_SUFFIX}"

    def size(self, key: str) -> int:
        """Return the length of the item's file in bytes, 0 if there is none."""
        try:
            return self.path(key).stat().st_size
        except OSError:
            return 0

    def read(self, key: str) -> Arrays | None:
        """Return the item's arrays, mapped and read-only; None if they are not there or the file is not whole."""
        try:
            with self.path(key).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        try:
            header = json.loads(mapped[:_ALIGNMENT].rstrip(b"\0 "))
            if header["format"] != FORMAT or header["bytes"] != len(mapped):
                return None
            return tuple(
                np.frombuffer(mapped, dtype, count=int(np.prod(shape)), offset=offset).reshape(shape)
                for dtype, shape, offset in header["arrays"]
            )
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, key: str, arrays: Sequence[np.ndarray]) -> None:
        """Keep the arrays; never leaves half a file behind.

        Raises:
            InputError: the folder can't be written to, or the disk is full.
        """
        offset, places = _ALIGNMENT, []
        for array in arrays:
            places.append((array.dtype.str, array.shape, offset))
            offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        header = json.dumps({"format": FORMAT, "bytes": offset, "arrays": places}).encode()
        cure = "make room there or make it writable, or set data.cache.dir or data.cache.max_gb=0"
        with atomic(
            self.path(key), sync=False, cure=cure
        ) as file:  # the header tells what a power failure has left
            file.write(header.ljust(_ALIGNMENT))
            for array, (_, _, start) in zip(arrays, places, strict=True):
                file.seek(start)
                file.write(np.ascontiguousarray(array).data)
            file.truncate(offset)
        self._remove_older(key)

    def remove(self, key: str) -> None:
        """Remove an item; who has mapped it can go on reading."""
        self.path(key).unlink(missing_ok=True)

    def _remove_older(self, key: str) -> None:
        for file in self.folder.glob(f"{key.split('-')[0]}-*{_SUFFIX}"):
            if file.name != f"{key}{_SUFFIX}":
                file.unlink(missing_ok=True)
