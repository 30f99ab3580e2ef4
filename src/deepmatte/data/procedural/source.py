"""The source that the data room sees: foregrounds and backgrounds by split, rendered once and kept on disk."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmatte.data.cache import default_folder
from deepmatte.data.procedural.names import SPLITS, VERSION, background_name, category, foreground_name
from deepmatte.data.procedural.store import Store, checksum
from deepmatte.errors import InputError

Pixels = NDArray[np.uint8]


class _Rendered:
    """Samples of one split with ``channels`` planes each, read from the store or rendered into it."""

    channels = 0

    def __init__(self, store: Store, seed: int, split: str, size: int, names: list[str]) -> None:
        self.store, self.seed, self.split, self.side, self.names = store, seed, split, size, names

    def __len__(self) -> int:
        return len(self.names)

    def planes(self, index: int) -> Pixels:
        """Return the raw planes of a sample; a missing, truncated or altered file is rendered anew."""
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
        """Return the (height, width) of a picture in pixels."""
        return self.side, self.side

    def digest(self) -> str:
        """Return the checksum (16 hex digits) of all names and pixels; renders what is missing."""
        total = hashlib.sha256()
        for index, name in enumerate(self.names):
            total.update(name.encode() + self.checksum(index))
        return total.hexdigest()[:16]

    def render(self, index: int) -> Pixels:
        """Return the planes of a sample, computed."""
        raise NotImplementedError


class ForegroundSet(_Rendered):
    """The foregrounds of one split: exact colours and exact alpha."""

    channels = 4

    def load(self, index: int) -> tuple[Pixels, Pixels]:
        """Return the colours uint8 (H, W, 3), defined also where alpha is 0, and alpha uint8 (H, W), 255 = opaque; read-only."""
        planes, num = self.planes(index), self.side**2
        return planes[: 3 * num].reshape(self.side, self.side, 3), planes[3 * num :].reshape(
            self.side, self.side
        )

    def category(self, index: int) -> str:
        """Return the kind of a foreground: hair, fur, feather, glass and so on."""
        return category(range(len(self))[index])

    def render(self, index: int) -> Pixels:
        """Return the planes of a foreground, computed."""
        from deepmatte.data.procedural import render  # compiles its rasteriser: not needed when all is cached

        colour, alpha = render.foreground(self.seed, self.split, index, self.side)
        return np.concatenate([colour.ravel(), alpha.ravel()])


class BackgroundSet(_Rendered):
    """The backgrounds of one split: crops of photographs and drawn scenes in turn."""

    channels = 3

    def load(self, index: int) -> Pixels:
        """Return a background as uint8 (H, W, 3); read-only."""
        return self.planes(index).reshape(self.side, self.side, 3)

    def render(self, index: int) -> Pixels:
        """Return the planes of a background, computed."""
        from deepmatte.data.procedural import render

        return render.background(self.seed, self.split, index, self.side).ravel()


class ProceduralData:
    """The embedded benchmark. ``size`` is the side of every picture in pixels; each split has as many backgrounds as foregrounds.

    A sample depends on (version, seed, split, index, size) alone, not on how many there are: a longer split
    begins with the shorter one.
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
            raise InputError(
                f"data.source.size: {size} is too small to draw hair in: give 64 or more (512 is the benchmark)"
            )
        if seed < 0:
            raise InputError(f"data.source.seed: {seed} is negative: give 0 or more")
        self.num = {"train": num_train, "val": num_val, "test": num_test}
        for split, num in self.num.items():
            if num < 1:
                raise InputError(
                    f"data.source.num_{split}: {num} foregrounds make no {split} split: give 1 or more"
                )
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
        """Return the checksum (16 hex digits) of all pixels and names of ``splits``; renders what is missing."""
        self.prepare(splits)
        return hashlib.sha256(
            "".join(samples.digest() for samples in self._sets(splits)).encode()
        ).hexdigest()[:16]

    def prepare(
        self, splits: tuple[str, ...] = SPLITS, num_workers: int | None = None, progress: bool = True
    ) -> int:
        """Render what the store lacks, showing a progress bar, and return how many samples that were.

        Ctrl-C loses only the samples in work. Processes that prepare at once start at different places, so
        that they share the work.
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
            raise InputError(f"split '{split}' is none of {', '.join(SPLITS)}")
        return self.num[split]

    def _sets(self, splits: tuple[str, ...]) -> list[_Rendered]:
        return [samples for split in splits for samples in (self.foregrounds(split), self.backgrounds(split))]


def _wait(futures: list, progress: bool) -> None:
    """Wait for all futures behind a progress bar; the first error is raised."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("drawing the procedural data set (once)", total=len(futures))
        for future in as_completed(futures):
            future.result()
            bar.advance(task)
