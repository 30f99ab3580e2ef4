"""Sets whose pictures are decoded once: kept on disk where they come from files, and prepared before training starts."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from deepmatte.data.cache.decoded import DecodedFolder, KnowsOrigin, Origin
from deepmatte.data.cache.memory import ArrayCache, Arrays, default_folder
from deepmatte.data.composing.edges import edge_index
from deepmatte.data.sources.images import flat_matte, named, read_header
from deepmatte.data.sources.protocols import (
    BackgroundSet,
    ForegroundSet,
    HasAlpha,
    HasTrimaps,
    KnowsForegrounds,
    KnowsSizes,
)
from deepmatte.errors import InputError

MAPPED_BYTES = 2**30
"""Pictures that a process keeps mapped; mapped pages count as its resident memory, although processes share them."""

Set = TypeVar("Set", bound=Any)


class PictureCache:
    """Where decoded pictures are kept: ``max_gb`` (10^9 bytes) at most in the folder ``dir``; 0 keeps none, None is the default folder.

    Raises:
        InputError: the size is negative.
    """

    def __init__(self, dir: str | Path | None = None, max_gb: float = 20.0) -> None:
        if not isinstance(max_gb, int | float) or max_gb < 0:
            raise InputError(f"data.cache.max_gb={max_gb}: a size in GB, 0 to keep nothing")
        self.max_bytes = int(max_gb * 10**9)
        self.folder = DecodedFolder(Path(dir).expanduser() if dir else default_folder("decoded"))
        self.mapped = ArrayCache(MAPPED_BYTES)

    def keep(self, items: Set, with_edges: bool) -> Set:
        """Return the set with its pictures from the cache, if they come from files."""
        if not self.max_bytes or not isinstance(items, KnowsOrigin):
            return items
        return CachedForegrounds(items, self) if with_edges else KeptBackgrounds(items, self)  # type: ignore[return-value]

    def prepare(self, sets: Iterable[Any], skip: bool = False, progress: bool = True) -> int:
        """Decode what the folder lacks of ``sets``, as far as it fits, behind a progress bar; return how many that were.

        Ctrl-C loses only the pictures in work; ``skip`` leaves out those that can't be decoded. Processes
        that prepare at once start at different places, so that they share the work.

        Raises:
            InputError: a picture can't be decoded, the folder can't be written to, or the disk is too full.
        """
        jobs = [(items, index) for items in sets if isinstance(items, _Kept) for index in range(len(items))]
        if not jobs:
            return 0
        keys: dict[str, tuple[_Kept[Any], int]] = {}
        for items, index in jobs:
            key = items.key(index)
            if key is not None:
                keys.setdefault(key, (items, index))
        todo, needed, left_out = self._chosen(keys)
        if left_out:
            limit = f"data.cache.max_gb={self.max_bytes / 1e9:g}"
            _say(
                f"{left_out} of {len(keys)} pictures don't fit into {limit} and are decoded each time",
                progress,
            )
        if not todo:
            return 0
        self._check_space(needed)
        _say(
            f"{len(todo)} pictures are decoded once: {needed / 1e9:.3g} GB in {named(self.folder.folder)}",
            progress,
        )
        start = os.getpid() * 7919 % len(todo)
        _build([keys[key] for key in (*todo[start:], *todo[:start])], skip, progress)
        return len(todo)

    def _chosen(self, keys: dict[str, tuple[_Kept[Any], int]]) -> tuple[list[str], int, int]:
        """Return what is to be decoded, its bytes, and how many pictures don't fit; others' pictures make room, oldest first."""
        todo, total, needed, left_out = [], 0, 0, 0
        for key, (items, index) in keys.items():
            kept = self.folder.size(key)
            size = kept or items.num_bytes(index)
            if total + size > self.max_bytes:
                left_out += 1
                continue
            total += size
            if kept:
                with contextlib.suppress(OSError):  # a folder that can only be read
                    os.utime(self.folder.path(key))
            else:
                todo.append(key)
                needed += size
        if todo:
            self._make_room(keys, self.max_bytes - total)
        return todo, needed, left_out

    def _make_room(self, keys: Iterable[str], num_bytes: int) -> None:
        own = {self.folder.path(key) for key in keys}
        others = []
        for file in self.folder.folder.glob("*.decoded"):
            with contextlib.suppress(OSError):
                if file not in own:
                    others.append((file.stat().st_mtime, file.stat().st_size, file))
        for _, size, file in sorted(others, reverse=True):
            num_bytes -= size
            if num_bytes < 0:
                with contextlib.suppress(OSError):
                    file.unlink()

    def _check_space(self, needed: int) -> None:
        folder = self.folder.folder
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise InputError(
                f"{named(self.folder.folder)}: decoded pictures would take {needed / 1e9:.3g} GB, the disk has {free / 1e9:.3g} GB left; "
                "free some, or set data.cache.dir or data.cache.max_gb"
            )


class _Kept(Generic[Set]):
    """A set whose items are read from the cache; what is not there is decoded.

    A file's state is looked at once in a process, so that a file that changes or vanishes while a run trains
    changes nothing.
    """

    def __init__(self, items: Set, cache: PictureCache) -> None:
        self.items, self.cache = items, cache
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
            self._keys[index] = None if origin is None else self.cache.folder.key(origin)
        return self._keys[index]

    def arrays(self, index: int) -> Arrays:
        """Return the item's arrays, mapped where the cache has them."""
        key = self.key(index)
        if key is None:
            return self.decode(index)
        found = self.cache.mapped.find(key)
        if found is None:
            found = self.cache.folder.read(key)
            if found is None:
                return self.decode(index)
            self.cache.mapped.put(key, found)
        return found

    def build(self, index: int) -> None:
        """Decode an item into the folder, unless another process has done it."""
        key = self.key(index)
        if key is not None and self.cache.folder.read(key) is None:
            self.cache.folder.write(key, self.decode(index))

    def decode(self, index: int) -> Arrays:
        """Return the item's arrays, decoded."""
        raise NotImplementedError

    def num_bytes(self, index: int) -> int:
        """Return about how many bytes the item takes."""
        raise NotImplementedError


class CachedForegrounds(_Kept[ForegroundSet]):
    """Foregrounds with the index of their edges."""

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return colours, uint8 (H, W, 3), and alpha, uint8 or uint16 (H, W), read-only."""
        colours, alpha, _ = self.arrays(index)
        return colours, alpha

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha alone, uint8 or uint16 (H, W), from the cache where it is there."""
        key = self.key(index)
        kept = None if key is None else self.cache.folder.read(key)
        if kept is not None:
            return kept[1]
        return self.items.alpha(index) if isinstance(self.items, HasAlpha) else self.items.load(index)[1]

    def edges(self, index: int) -> np.ndarray:
        """Return the matte's `edge_index`."""
        return self.arrays(index)[2]

    def trimap(self, index: int) -> np.ndarray | None:
        """Return the trimap that the set has of its own, or None; it is not kept."""
        return self.items.trimap(index) if isinstance(self.items, HasTrimaps) else None

    def foreground(self, index: int) -> str:
        """Return what a picture shows, as its set has it."""
        return self.items.foreground(index) if isinstance(self.items, KnowsForegrounds) else self.names[index]

    def category(self, index: int) -> str:
        """Return the kind of a foreground."""
        return self.items.category(index)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), without decoding where the set knows it."""
        return self.items.size(index) if isinstance(self.items, KnowsSizes) else self.load(index)[1].shape  # type: ignore[return-value]

    def decode(self, index: int) -> Arrays:
        """Return colours, alpha and the index of the edges.

        Raises:
            InputError: a file can't be read, or the matte is the same everywhere, of which no sample can be
                made.
        """
        colours, alpha = self.items.load(index)
        edges = edge_index(alpha)
        origin = self.origin(index)
        if origin is not None and not edges[-1]:
            raise flat_matte(origin.matte)
        return colours, alpha, edges

    def num_bytes(self, index: int) -> int:
        """Return the bytes of an 8-bit foreground."""
        height, width = self.size(index)
        return 4 * height * width


class KeptBackgrounds(_Kept[BackgroundSet]):
    """Backgrounds."""

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 (H, W, 3), read-only."""
        return self.arrays(index)[0]

    def decode(self, index: int) -> Arrays:
        """Return the colours."""
        return (self.items.load(index),)

    def num_bytes(self, index: int) -> int:
        """Return the bytes of the colours."""
        if isinstance(self.items, KnowsSizes):
            height, width = self.items.size(index)
        else:
            header = read_header(self.items.origin(index).files[0])  # type: ignore[attr-defined]
            height, width = header.height, header.width
        return 3 * height * width


class _Jobs(Dataset[int]):
    def __init__(self, jobs: Sequence[tuple[_Kept[Any], int]]) -> None:
        self.jobs = jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, number: int) -> str:
        # Sent as text: an exception would come out of a worker with its whole traceback as message.
        try:
            items, index = self.jobs[number]
            items.build(index)
        except InputError as error:
            return str(error)
        return ""


def _build(jobs: Sequence[tuple[_Kept[Any], int]], skip: bool, progress: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    workers = min(os.cpu_count() or 1, 8) if len(jobs) >= 8 else 0
    cv2.setNumThreads(1)  # a pool of threads would not survive the fork
    loader = DataLoader(_Jobs(jobs), batch_size=None, num_workers=workers)
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("decoding pictures (once)", total=len(jobs))
        for problem in loader:
            if problem and not skip:
                raise InputError(problem)
            bar.advance(task)


def _say(text: str, aloud: bool) -> None:
    if aloud:
        from rich.console import Console

        Console(stderr=True).print(text, highlight=False, soft_wrap=True)
