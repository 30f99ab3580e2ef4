"""Fingerprints of mattes: by which one matte is known again in another file, at another size or mirrored.

A fingerprint is an exact digest of the pixels and a thumbnail. They are kept on disk by the path, length and
time of change of the file that holds the matte, so that a data set is read once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from deepmatte.data.cache.arrays import default_folder
from deepmatte.data.parallel import shared, spread
from deepmatte.data.sources.protocols import alpha_of, origin_of
from deepmatte.errors import InputError
from deepmatte.files import printable, write_text
from deepmatte.ops.trimap import full_scale
from deepmatte.plain import read_json

FORMAT = 1
SIDE = 12
"""Rows and columns of a thumbnail."""

LEAST_SIDE = 32
"""Mattes with a shorter side have no thumbnail: one of its cells would be about two pixels."""

LEAST_DEVIATION = 15.0
"""Thumbnails with a smaller standard deviation are of nearly constant mattes, which all look alike."""

LEAST_SOFT = 8
"""Thumbnails with fewer cells that are neither empty nor full say too little of an outline."""

MOST_DIFFERENCE = (0.02, 0.6)
"""Two thumbnails of one matte differ by less: root mean square, relative or absolute.

Between 0.37 and 2 times the size, by any usual filter, and JPEG at quality 75 stay below that (and below 0.01
or 0.5) on the 35 real mattes that were tried; the most alike of two different ones, among 35 real and 200
drawn mattes, differ by a share of 0.17.
"""

FEW = 16
"""Up to this number, mattes are read by this process alone."""


@dataclass(frozen=True)
class Fingerprint:
    """What one matte is known by.

    ``exact`` are hexadecimal digits of all pixels at 8 bits, empty where the matte is constant;
    ``thumbnail`` are SIDE x SIDE means of alpha in row order, empty where they would say too little.
    """

    name: str
    height: int
    width: int
    exact: str
    thumbnail: bytes
    file: str = ""

    @property
    def called(self) -> str:
        """The file, or the name where there is none, as messages print it."""
        return printable(self.file or self.name)


def fingerprint(alpha: np.ndarray, name: str = "", file: str = "") -> Fingerprint:
    """Return the fingerprint of a matte, uint8 or uint16 (H, W); both of the same values have the same one.

    >>> ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    >>> deep, mirrored = ramp.astype(np.uint16) * 257, ramp[:, ::-1]
    >>> fingerprint(ramp).exact == fingerprint(deep).exact != fingerprint(mirrored).exact
    True
    """
    if full_scale(alpha) != 255:
        alpha = ((alpha.astype(np.uint32) + 128) // 257).astype(np.uint8)
    alpha = np.ascontiguousarray(alpha)
    height, width = alpha.shape
    if not alpha.size or (alpha == alpha.flat[0]).all():
        return Fingerprint(name, height, width, "", b"", file)
    exact = hashlib.blake2b(f"{height}x{width}\n".encode() + alpha.tobytes(), digest_size=16).hexdigest()
    thumbnail = b""
    if min(height, width) >= LEAST_SIDE:
        cells = cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        if cells.std() >= LEAST_DEVIATION and np.count_nonzero((cells > 8) & (cells < 247)) >= LEAST_SOFT:
            thumbnail = cells.tobytes()
    return Fingerprint(name, height, width, exact, thumbnail, file)


def fingerprints(
    items: Any, description: str, skip: bool = False, processes: int | None = None
) -> list[Fingerprint]:
    """Return the fingerprints of a set of foregrounds or images, one for each name.

    Items that come from no file have none.

    Those that were taken before are read from the user's cache folder, the others are computed by several
    processes behind a progress bar, and kept. ``skip`` leaves out the mattes that can't be read.

    Raises:
        InputError: a matte can't be read.
    """
    indices = [index for index in distinct(items) if origin_of(items, index) is not None]
    if not indices:
        return []
    keys = {index: _key(items, index) for index in indices}
    kept = _Kept(keys.values())
    todo: dict[tuple[str, ...], int] = {}
    for index, key in keys.items():
        if kept.find(key) is None:
            todo.setdefault(key, index)  # composites of one foreground share its matte
    jobs = list(todo.values())
    processes = 1 if len(jobs) <= FEW else processes
    for key, result in zip(todo, spread(_compute, jobs, processes, description, common=items), strict=True):
        if isinstance(result, Fingerprint):
            kept.put(key, result)
        elif not skip:
            raise InputError(result)
    kept.write()
    found = []
    for index, key in keys.items():
        known = kept.find(key)
        if known is not None:
            found.append(Fingerprint(items.names[index], *known, file=key[0]))
    return found


def distinct(items: Any) -> list[int]:
    """Return one index of each name: a mixture repeats foregrounds as often as its weights ask for.

    >>> from types import SimpleNamespace
    >>> distinct(SimpleNamespace(names=["a", "b", "a"]))
    [0, 1]
    """
    first: dict[str, int] = {}
    for index, name in enumerate(items.names):
        first.setdefault(name, index)
    return list(first.values())


def as_record(prints: Iterable[Fingerprint]) -> list[list[Any]]:
    """Return fingerprints as plain data: name, height, width, digest, thumbnail in hexadecimal digits."""
    return [[one.name, one.height, one.width, one.exact, one.thumbnail.hex()] for one in prints]


def from_record(record: Any) -> list[Fingerprint]:
    """Return the fingerprints of `as_record`.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(record, list):
        raise ValueError("no list")
    return [Fingerprint(_text(entry[0]), *_known(entry[1:])) for entry in record]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"no name: {value!r}")
    return value


def _known(entry: Any) -> tuple[int, int, str, bytes]:
    height, width, exact, thumbnail = entry
    pixels = bytes.fromhex(_text(thumbnail))
    sizes_are_whole = type(height) is int and type(width) is int and min(height, width) >= 0
    if not sizes_are_whole or len(pixels) not in (0, SIDE * SIDE):
        raise ValueError(f"no fingerprint: {entry!r}")
    return height, width, _text(exact), pixels


def _key(items: Any, index: int) -> tuple[str, ...]:
    """Return what a fingerprint depends on: the matte's file, how it is read, and its state.

    Raises:
        InputError: the file is not there.
    """
    origin = origin_of(items, index)
    assert origin is not None
    kind = "cut-out" if len(origin.files) == 1 else "matte"
    try:
        status = origin.matte.stat()
    except OSError:
        raise InputError(f"{printable(origin.matte)}: there is no such file") from None
    return (
        os.fspath(origin.matte.absolute()),
        f"{kind} {origin.reading}",
        f"{status.st_size} {status.st_mtime_ns}",
    )


def _compute(index: int) -> Fingerprint | str:
    """Return the fingerprint of an item, or why its matte can't be read."""
    items = shared()
    try:
        return fingerprint(alpha_of(items, index))
    except InputError as error:
        return str(error)


class _Kept:
    """The fingerprints of the files below one folder, in one JSON file of the user's cache folder.

    Who writes last wins: what another process has added in the meantime is computed once more.
    """

    def __init__(self, keys: Iterable[tuple[str, ...]]) -> None:
        folder = os.path.commonpath([os.path.dirname(key[0]) for key in keys])  # noqa: PTH120
        digits = hashlib.sha256(folder.encode(errors="surrogateescape")).hexdigest()[:24]
        self.file = default_folder("fingerprints") / f"{digits}.json"
        self._known = self._read()
        self._changed = False

    def find(self, key: Sequence[str]) -> tuple[int, int, str, bytes] | None:
        """Return height, width, exact digest and thumbnail.

        None where the file was not read since it changed.
        """
        entry = self._known.get(f"{key[0]}\n{key[1]}")
        if not isinstance(entry, list) or not entry or entry[0] != key[2]:
            return None
        try:
            return _known(entry[1:])
        except (ValueError, TypeError):
            return None

    def put(self, key: Sequence[str], found: Fingerprint) -> None:
        """Note what was computed."""
        self._known[f"{key[0]}\n{key[1]}"] = [
            key[2],
            found.height,
            found.width,
            found.exact,
            found.thumbnail.hex(),
        ]
        self._changed = True

    def write(self) -> None:
        """Write what is new, without files that are gone.

        A folder that can't be written to costs time only.
        """
        if not self._changed:
            return
        known = {
            key: entry
            for key, entry in {**self._read(), **self._known}.items()
            if os.path.exists(key.split("\n")[0])  # noqa: PTH110
        }
        with contextlib.suppress(InputError):
            write_text(self.file, json.dumps({"format": FORMAT, "mattes": known}))

    def _read(self) -> dict[str, Any]:
        try:
            content = read_json(self.file)
        except (OSError, ValueError):
            return {}
        fits = (
            isinstance(content, Mapping)
            and content.get("format") == FORMAT
            and isinstance(content.get("mattes"), dict)
        )
        return content["mattes"] if fits else {}
