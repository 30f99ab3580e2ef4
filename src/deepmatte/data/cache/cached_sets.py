"""Sets whose pictures are decoded once: read from the cache on disk where it has them."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Generic, TypeVar

import numpy as np

from deepmatte.data.cache.arrays import ArrayFolder, Arrays
from deepmatte.data.cache.memory import ArrayCache
from deepmatte.data.composing.edges import edge_index
from deepmatte.data.sources.decoding import read_header
from deepmatte.data.sources.images import flat_matte
from deepmatte.data.sources.protocols import (
    BackgroundSet,
    ForegroundSet,
    HasTrimaps,
    KnowsForegrounds,
    KnowsSizes,
    Layers,
    Origin,
    alpha_of,
    load_layers,
)
from deepmatte.errors import InputError
from deepmatte.files import printable

FORMAT = 2
"""Counted up when the files of older versions can't be used any more."""

Set = TypeVar("Set", bound=Any)


def picture_key(origin: Origin) -> str:
    """Return the name of an item in the cache: 24 digits of its paths, 16 of the state of its files.

    The state is their lengths and times of change: a changed picture has another name, so nothing outdated
    is ever read.

    Raises:
        InputError: one of the files is not there.
    """
    identity = repr((FORMAT, origin.reading, [os.fspath(file.absolute()) for file in origin.files]))
    place = hashlib.sha256(identity.encode(errors="surrogateescape"))
    try:
        states = [(status.st_size, status.st_mtime_ns) for status in map(os.stat, origin.files)]
    except OSError as error:
        raise InputError(f"{printable(error.filename)}: there is no such file") from None
    return f"{place.hexdigest()[:24]}-{hashlib.sha256(repr(states).encode()).hexdigest()[:16]}"


class CachedSet(Generic[Set]):
    """A set whose items are read from the cache; what is not there is decoded.

    A file's state is looked at once in a process, so that a file that changes or vanishes while a run trains
    changes nothing.

    Args:
        items: the set.
        folder: the cache on disk.
        mapped: what this process keeps mapped of it.
    """

    def __init__(self, items: Set, folder: ArrayFolder, mapped: ArrayCache) -> None:
        self.items, self.folder, self.mapped = items, folder, mapped
        self._keys: dict[int, str | None] = {}

    @property
    def names(self) -> list[str]:
        """One name for each item."""
        return self.items.names

    def __len__(self) -> int:
        return len(self.items)

    def digest(self) -> str:
        """Return the set's own digest."""
        return self.items.digest()

    def origin(self, index: int) -> Origin | None:
        """Return what an item is decoded from."""
        return self.items.origin(index)

    def key(self, index: int) -> str | None:
        """Return the name of an item in the cache, or None if it is not decoded from files."""
        if index not in self._keys:
            origin = self.origin(index)
            self._keys[index] = None if origin is None else picture_key(origin)
        return self._keys[index]

    def cached(self, index: int) -> Arrays | None:
        """Return the item's arrays from the cache, mapped; None where it does not have them."""
        key = self.key(index)
        return None if key is None else self.folder.read(key)

    def arrays(self, index: int) -> Arrays:
        """Return the item's arrays, mapped where the cache has them."""
        key = self.key(index)
        found = None if key is None else self.mapped.find(key)
        if found is None:
            found = self.cached(index)
            if found is None:
                return self.decode(index)
            self.mapped.put(key, found)
        return found

    def build(self, index: int) -> None:
        """Decode an item into the cache, unless another process has done so.

        Older states of its files are removed.
        """
        key = self.key(index)
        if key is None or self.cached(index) is not None:
            return
        self.folder.write(key, self.decode(index))
        for file in self.folder.folder.glob(f"{key.split('-')[0]}-*{self.folder.suffix}"):
            if file != self.folder.path(key):
                file.unlink(missing_ok=True)

    def decode(self, index: int) -> Arrays:
        """Return the item's arrays, decoded."""
        raise NotImplementedError

    def num_bytes(self, index: int) -> int:
        """Return about how many bytes the item takes."""
        raise NotImplementedError


class CachedForegrounds(CachedSet[ForegroundSet]):
    """Foregrounds with the index of their edges."""

    def load(self, index: int) -> Layers:
        """Return foreground and alpha, read-only."""
        arrays = self.arrays(index)
        return Layers(arrays["foreground"], arrays["alpha"])

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha alone, uint8 or uint16 (H, W), from the cache where it has it."""
        cached = self.cached(index)
        if cached is not None:
            return cached["alpha"]
        return alpha_of(self.items, index)

    def edges(self, index: int) -> np.ndarray:
        """Return the matte's `edge_index`."""
        return self.arrays(index)["edges"]

    def trimap(self, index: int) -> np.ndarray | None:
        """Return the trimap that the data set gives, or None; it is not cached."""
        return self.items.trimap(index) if isinstance(self.items, HasTrimaps) else None

    def foreground(self, index: int) -> str:
        """Return what a picture shows, as its set has it."""
        return self.items.foreground(index) if isinstance(self.items, KnowsForegrounds) else self.names[index]

    def category(self, index: int) -> str:
        """Return the kind of a foreground."""
        return self.items.category(index)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), without decoding where the set knows it."""
        if isinstance(self.items, KnowsSizes):
            return self.items.size(index)
        height, width = self.load(index).alpha.shape
        return height, width

    def decode(self, index: int) -> Arrays:
        """Return foreground, alpha and the index of the edges.

        Raises:
            InputError: a file can't be read, or the matte is constant, of which no sample can be made.
        """
        foreground, alpha = load_layers(self.items, index)
        edges = edge_index(alpha)
        origin = self.origin(index)
        if origin is not None and not edges[-1]:
            raise flat_matte(origin.matte)
        return {"foreground": foreground, "alpha": alpha, "edges": edges}

    def num_bytes(self, index: int) -> int:
        """Return the bytes of an 8-bit foreground."""
        height, width = self.size(index)
        return 4 * height * width


class CachedBackgrounds(CachedSet[BackgroundSet]):
    """Backgrounds."""

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 (H, W, 3), read-only."""
        return self.arrays(index)["background"]

    def decode(self, index: int) -> Arrays:
        """Return the colours."""
        background = self.items.load(index)
        assert background is not None  # photographs over their own backgrounds have no origin
        return {"background": background}

    def num_bytes(self, index: int) -> int:
        """Return the bytes of the colours."""
        if isinstance(self.items, KnowsSizes):
            height, width = self.items.size(index)
        else:
            origin = self.origin(index)
            assert origin is not None
            header = read_header(origin.files[0])
            height, width = header.height, header.width
        return 3 * height * width
