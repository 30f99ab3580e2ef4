"""The cache of decoded pictures: prepared before training, shared by runs, and bounded on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
from torch.utils.data import DataLoader, Dataset

from deepmatte.data.cache.arrays import ArrayFolder, default_folder
from deepmatte.data.cache.cached_sets import CachedBackgrounds, CachedForegrounds, CachedSet
from deepmatte.data.cache.memory import ArrayCache
from deepmatte.data.parallel import context, end_with_parent
from deepmatte.data.sources.protocols import KnowsOrigin
from deepmatte.errors import InputError
from deepmatte.files import printable

MAPPED_BYTES = 2**30
"""Pictures that a process keeps mapped.

Mapped pages count as its resident memory, although processes share them.
"""

_SUFFIX = ".decoded.npy"
_CURE = "make room there or make it writable, or set data.cache.dir or data.cache.max_gb=0"

Set = TypeVar("Set", bound=Any)


class PictureCache:
    """Decoded pictures, at most ``max_gb`` (10^9 bytes) in the folder ``dir``.

    0 keeps none, and ``dir`` None is the user's cache folder.

    Raises:
        InputError: the size is negative.
    """

    def __init__(self, dir: str | Path | None = None, max_gb: float = 20.0) -> None:
        if not isinstance(max_gb, int | float) or max_gb < 0:
            raise InputError(f"data.cache.max_gb={max_gb}: a size in GB, 0 to keep nothing")
        self.max_bytes = int(max_gb * 10**9)
        folder = Path(dir).expanduser() if dir else default_folder("decoded")
        self.folder = ArrayFolder(folder, _SUFFIX, _CURE)
        self.mapped = ArrayCache(MAPPED_BYTES)

    def keep(self, items: Set, with_edges: bool) -> Set:
        """Return the set with its pictures from the cache, if they come from files."""
        if not self.max_bytes or not isinstance(items, KnowsOrigin):
            return items
        cached: Any = CachedForegrounds if with_edges else CachedBackgrounds
        return cached(items, self.folder, self.mapped)

    def prepare(self, sets: Iterable[Any], skip: bool = False, progress: bool = True) -> int:
        """Decode what the folder lacks of ``sets``, as far as it fits, behind a progress bar.

        Return the number of pictures.

        Ctrl-C loses only the pictures in work; ``skip`` leaves out those that can't be decoded. Processes
        that prepare at once start at different places, so that they share the work.

        Raises:
            InputError: a picture can't be decoded, the folder can't be written to, or the disk is too full.
        """
        jobs: dict[str, tuple[CachedSet[Any], int]] = {}
        for items in sets:
            for index in range(len(items)) if isinstance(items, CachedSet) else ():
                key = items.key(index)
                if key is not None:
                    jobs.setdefault(key, (items, index))
        todo, needed, num_excluded = self._chosen(jobs)
        if num_excluded:
            limit = f"data.cache.max_gb={self.max_bytes / 1e9:g}"
            _say(f"{num_excluded} of {len(jobs)} pictures exceed {limit} and are decoded each time", progress)
        if not todo:
            return 0
        self._check_space(needed)
        place = printable(self.folder.folder)
        _say(f"decoding {len(todo)} pictures once: {needed / 1e9:.3g} GB in {place}", progress)
        start = os.getpid() * 7919 % len(todo)
        _build([jobs[key] for key in (*todo[start:], *todo[:start])], skip, progress)
        return len(todo)

    def _chosen(self, jobs: Mapping[str, tuple[CachedSet[Any], int]]) -> tuple[list[str], int, int]:
        """Return what is to be decoded, its bytes, and how many pictures don't fit.

        Other data's pictures make room.
        """
        todo, total, needed, num_excluded = [], 0, 0, 0
        for key, (items, index) in jobs.items():
            kept = self.folder.size(key)
            size = kept or items.num_bytes(index)
            if total + size > self.max_bytes:
                num_excluded += 1
                continue
            total += size
            if kept:
                with contextlib.suppress(OSError):  # a folder that can only be read
                    os.utime(self.folder.path(key))
            else:
                todo.append(key)
                needed += size
        if todo:
            self.folder.make_room(jobs, self.max_bytes - total)
        return todo, needed, num_excluded

    def _check_space(self, needed: int) -> None:
        folder = self.folder.folder
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if needed > free:
            sizes = (
                f"decoded pictures would take {needed / 1e9:.3g} GB, the disk has {free / 1e9:.3g} GB left"
            )
            raise InputError(
                f"{printable(self.folder.folder)}: {sizes}; "
                "free some, or set data.cache.dir or data.cache.max_gb"
            )


class _Jobs(Dataset[str]):
    def __init__(self, jobs: Sequence[tuple[CachedSet[Any], int]]) -> None:
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


def _build(jobs: Sequence[tuple[CachedSet[Any], int]], skip: bool, progress: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    workers = min(os.cpu_count() or 1, 8) if len(jobs) >= 8 else 0
    cv2.setNumThreads(1)  # a pool of threads would not survive the fork
    loader = DataLoader(
        _Jobs(jobs),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=end_with_parent,
        multiprocessing_context=context() if workers else None,
    )
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("decoding pictures (once)", total=len(jobs))
        for problem in loader:
            if problem and not skip:
                raise InputError(problem)
            bar.advance(task)


def _say(text: str, aloud: bool) -> None:
    if aloud:
        from rich.console import Console

        Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
