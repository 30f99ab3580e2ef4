"""The benchmark as a data source: foregrounds and backgrounds by split, rendered once and cached on disk."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmatte.data.cache.memory import default_folder
from deepmatte.data.cache.store import Store, checksum
from deepmatte.data.procedural import render
from deepmatte.data.procedural.names import SPLITS, VERSION, background_name, category, foreground_name
from deepmatte.errors import InputError

Pixels = NDArray[np.uint8]


class _Rendered:
    """Samples of one split with ``channels`` planes each, read from the cache or rendered into it."""

    channels = 0

    def __init__(self, store: Store, seed: int, split: str, size: int, names: list[str]) -> None:
        self.store, self.seed, self.split, self.side, self.names = store, seed, split, size, names

    def __len__(self) -> int:
        return len(self.names)

    def planes(self, index: int) -> Pixels:
        """Return the raw planes of a sample; renders it if its file is missing, truncated or altered."""
        index = range(len(self))[index]
        planes = self.store.read(self.names[index], self.side, self.channels)
        if planes is None:
            planes = self.render(index)
            self.store.write(self.names[index], planes)
        return planes

    def checksum(self, index: int) -> bytes:
        """Return the checksum of a sample's pixels."""
        kept = self.store.read_checksum(self.names[index], self.side, self.channels)
        return checksum(self.planes(index).tobytes()) if kept is None else kept

    def size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of a sample in pixels."""
        return self.side, self.side

    def digest(self) -> str:
        """Return the checksum (16 hex digits) of all names and pixels; renders missing samples."""
        total = hashlib.sha256()
        for index, name in enumerate(self.names):
            total.update(name.encode() + self.checksum(index))
        return total.hexdigest()[:16]

    def render(self, index: int) -> Pixels:
        """Return the planes of a sample, rendered."""
        raise NotImplementedError


class ForegroundSet(_Rendered):
    """The foregrounds of one split: exact colours and exact alpha."""

    channels = 4

    def load(self, index: int) -> tuple[Pixels, Pixels]:
        """Return colours uint8 (H, W, 3), defined even where alpha is 0, and alpha uint8 (H, W).

        Both are read-only.
        """
        planes, num = self.planes(index), self.side**2
        colour, alpha = planes[: 3 * num], planes[3 * num :]
        return colour.reshape(self.side, self.side, 3), alpha.reshape(self.side, self.side)

    def category(self, index: int) -> str:
        """Return the kind of a foreground, such as hair, fur or glass."""
        return category(range(len(self))[index])

    def render(self, index: int) -> Pixels:
        """Return the planes of a foreground, rendered."""
        colour, alpha = render.foreground(self.seed, self.split, index, self.side)
        return np.concatenate([colour.ravel(), alpha.ravel()])


class BackgroundSet(_Rendered):
    """The backgrounds of one split, alternating crops of photographs and drawn scenes."""

    channels = 3

    def load(self, index: int) -> Pixels:
        """Return a background as uint8 (H, W, 3); read-only."""
        return self.planes(index).reshape(self.side, self.side, 3)

    def render(self, index: int) -> Pixels:
        """Return the planes of a background, rendered."""
        return render.background(self.seed, self.split, index, self.side).ravel()


class ProceduralData:
    """The embedded benchmark.

    A sample depends on (version, seed, split, index, size) alone, not on their number: a shorter split is the
    beginning of a longer one.

    Args:
        seed: of everything drawn; 0 is the benchmark.
        size: side of every image in pixels.
        num_train: number of training foregrounds, and of backgrounds.
        num_val: the same for validation.
        num_test: the same for testing.
        cache_dir: folder of the rendered samples; None: the user's cache folder.
    """

    name = "procedural"
    version = VERSION

    def __init__(
        self,
        seed: int = 0,
        size: int = 512,
        num_train: int = 96,
        num_val: int = 16,
        num_test: int = 32,
        cache_dir: str | Path | None = None,
    ) -> None:
        if size < 64:
            raise InputError(f"data.source.size={size} is invalid; expected at least 64 (512: the benchmark)")
        if seed < 0:
            raise InputError(f"data.source.seed={seed} is invalid; expected 0 or more")
        self.num = {"train": num_train, "val": num_val, "test": num_test}
        for split, num in self.num.items():
            if num < 1:
                raise InputError(f"data.source.num_{split}={num} is invalid; expected at least 1")
        self.seed, self.size = seed, size
        folder = Path(cache_dir).expanduser() if cache_dir else default_folder("procedural")
        self.store = Store(folder / f"{VERSION}-{seed}-{size}")

    def foregrounds(self, split: str) -> ForegroundSet:
        """Return the foregrounds of ``split`` (train, val or test)."""
        names = [foreground_name(split, i) for i in range(self._num(split))]
        return ForegroundSet(self.store, self.seed, split, self.size, names)

    def backgrounds(self, split: str) -> BackgroundSet:
        """Return the backgrounds of ``split`` (train, val or test)."""
        names = [background_name(split, i) for i in range(self._num(split))]
        return BackgroundSet(self.store, self.seed, split, self.size, names)

    def digest(self, splits: tuple[str, ...] = SPLITS) -> str:
        """Return the checksum (16 hex digits) of ``splits``, pixels and names; renders missing samples."""
        self.prepare(splits)
        digests = "".join(samples.digest() for samples in self._sets(splits))
        return hashlib.sha256(digests.encode()).hexdigest()[:16]

    def prepare(
        self, splits: tuple[str, ...] = SPLITS, num_workers: int | None = None, progress: bool = True
    ) -> int:
        """Render the samples missing in the cache, with a progress bar; return their number.

        Ctrl-C loses only the samples being rendered. Concurrent processes start at different samples, so they
        share the work.
        """
        jobs = [
            (samples, index)
            for samples in self._sets(splits)
            for index, name in enumerate(samples.names)
            if samples.store.read_checksum(name, self.size, samples.channels) is None
        ]
        if not jobs:
            return 0
        start = os.getpid() * 7919 % len(jobs)
        jobs = jobs[start:] + jobs[:start]
        pool = ThreadPoolExecutor(num_workers or min(os.cpu_count() or 1, 8))
        try:
            futures = [pool.submit(samples.planes, index) for samples, index in jobs]
            _wait(futures, progress)
        finally:
            pool.shutdown(cancel_futures=True)
        return len(jobs)

    def _num(self, split: str) -> int:
        if split not in self.num:
            raise InputError(f"split {split} does not exist; expected one of {', '.join(SPLITS)}")
        return self.num[split]

    def _sets(self, splits: tuple[str, ...]) -> list[_Rendered]:
        return [samples for split in splits for samples in (self.foregrounds(split), self.backgrounds(split))]


def _wait(futures: list, progress: bool) -> None:
    """Wait for all futures, with a progress bar; raises the first error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("rendering the procedural data set (once)", total=len(futures))
        for future in as_completed(futures):
            future.result()
            bar.advance(task)
