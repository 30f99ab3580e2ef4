"""The benchmark as a data source: foregrounds and backgrounds by split, rendered once and cached on disk."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmatte.data.cache.arrays import ArrayFolder, Arrays, default_folder
from deepmatte.data.procedural import render
from deepmatte.data.procedural.names import (
    CYCLE,
    SPLITS,
    VERSION,
    background_name,
    category,
    foreground_name,
)
from deepmatte.data.sources.protocols import Layers
from deepmatte.errors import InputError

Pixels = NDArray[np.uint8]


def checksum(arrays: Iterable[Pixels]) -> bytes:
    """Return the SHA-256 (32 bytes) of a sample's pixels."""
    total = hashlib.sha256()
    for pixels in arrays:
        total.update(np.ascontiguousarray(pixels).data)
    return total.digest()


class _Rendered:
    """Samples of one split, read from the cache or rendered into it; a file has ``layers`` and a checksum.

    ``numbers`` says which of the split's samples they are.
    """

    layers: tuple[str, ...] = ()

    def __init__(
        self, store: ArrayFolder, seed: int, split: str, size: int, names: list[str], numbers: list[int]
    ) -> None:
        self.store, self.seed, self.split, self.side = store, seed, split, size
        self.names, self.numbers = names, numbers

    def __len__(self) -> int:
        return len(self.names)

    def arrays(self, index: int) -> list[Pixels]:
        """Return the layers of a sample; renders it if its file is missing, cut off or altered."""
        index = range(len(self))[index]
        kept = self._kept(index, mapped=False)
        if kept is not None:
            pixels = [kept[layer] for layer in self.layers]
            if checksum(pixels) == kept["sha256"].tobytes():
                return pixels
        pixels = list(self.render(index))
        sha256 = np.frombuffer(checksum(pixels), np.uint8)
        self.store.write(self.names[index], {"sha256": sha256, **dict(zip(self.layers, pixels, strict=True))})
        return pixels

    def _kept(self, index: int, mapped: bool = True) -> Arrays | None:
        """Return what the cache has of a sample, before its checksum is compared."""
        kept = self.store.read(self.names[index], mapped)
        return kept if kept is not None and kept.keys() == {"sha256", *self.layers} else None

    def is_kept(self, index: int) -> bool:
        """Return whether the cache has a file of the sample that is not cut off."""
        return self._kept(index) is not None

    def checksum(self, index: int) -> bytes:
        """Return the checksum of a sample's pixels, which are not read where the cache has it."""
        kept = self._kept(index)
        return checksum(self.arrays(index)) if kept is None else kept["sha256"].tobytes()

    def size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of a sample in pixels."""
        return self.side, self.side

    def digest(self) -> str:
        """Return the checksum (16 hex digits) of all names and pixels; renders missing samples."""
        total = hashlib.sha256()
        for index, name in enumerate(self.names):
            total.update(name.encode() + self.checksum(index))
        return total.hexdigest()[:16]

    def render(self, index: int) -> tuple[Pixels, ...]:
        """Return the layers of a sample, rendered."""
        raise NotImplementedError


class ForegroundSet(_Rendered):
    """The foregrounds of one split: exact colours, defined even where alpha is 0, and exact alpha."""

    layers = ("foreground", "alpha")

    def load(self, index: int) -> Layers:
        """Return foreground and alpha, uint8."""
        return Layers(*self.arrays(index))

    def category(self, index: int) -> str:
        """Return the kind of a foreground, such as hair, fur or glass."""
        return category(self.numbers[index])

    def render(self, index: int) -> tuple[Pixels, ...]:
        """Return foreground and alpha, rendered."""
        return render.foreground(self.seed, self.split, self.numbers[index], self.side)


class BackgroundSet(_Rendered):
    """The backgrounds of one split, alternating crops of photographs and drawn scenes."""

    layers = ("background",)

    def load(self, index: int) -> Pixels:
        """Return a background as uint8 (H, W, 3)."""
        return self.arrays(index)[0]

    def render(self, index: int) -> tuple[Pixels, ...]:
        """Return a background, rendered."""
        return (render.background(self.seed, self.split, self.numbers[index], self.side),)


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
        kinds: of foregrounds, such as hair and fur; None: all. What is left has the backgrounds that it had.
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
        kinds: Sequence[str] | None = None,
    ) -> None:
        if size < 64:
            raise InputError(f"data.source.size={size} is invalid; expected at least 64 (512: the benchmark)")
        if seed < 0:
            raise InputError(f"data.source.seed={seed} is invalid; expected 0 or more")
        self.num = {"train": num_train, "val": num_val, "test": num_test}
        for split, num in self.num.items():
            if num < 1:
                raise InputError(f"data.source.num_{split}={num} is invalid; expected at least 1")
        self.kinds = frozenset(CYCLE if kinds is None else kinds)
        if not self.kinds or not self.kinds <= set(CYCLE):
            known = ", ".join(dict.fromkeys(CYCLE))
            raise InputError(f"data.source.kinds=[{', '.join(kinds or ())}]: expected some of {known}")
        self.seed, self.size = seed, size
        folder = Path(cache_dir).expanduser() if cache_dir else default_folder("procedural")
        cure = "make room there, or set source.cache_dir to another folder"
        self.store = ArrayFolder(folder / f"{VERSION}-{seed}-{size}", cure=cure)

    def foregrounds(self, split: str) -> ForegroundSet:
        """Return the foregrounds of ``split`` (train, val or test)."""
        numbers = self._numbers(split)
        names = [foreground_name(split, number) for number in numbers]
        return ForegroundSet(self.store, self.seed, split, self.size, names, numbers)

    def backgrounds(self, split: str) -> BackgroundSet:
        """Return the backgrounds of ``split`` (train, val or test)."""
        numbers = self._numbers(split)
        names = [background_name(split, number) for number in numbers]
        return BackgroundSet(self.store, self.seed, split, self.size, names, numbers)

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
            for index in range(len(samples))
            if not samples.is_kept(index)
        ]
        if not jobs:
            return 0
        start = os.getpid() * 7919 % len(jobs)
        jobs = jobs[start:] + jobs[:start]
        pool = ThreadPoolExecutor(num_workers or min(os.cpu_count() or 1, 8))
        try:
            futures = [pool.submit(samples.arrays, index) for samples, index in jobs]
            _wait(futures, progress)
        finally:
            pool.shutdown(cancel_futures=True)
        return len(jobs)

    def _numbers(self, split: str) -> list[int]:
        """Return which samples are in a split: the first that are of the wanted kinds."""
        if split not in self.num:
            raise InputError(f"split {split} does not exist; expected one of {', '.join(SPLITS)}")
        wanted = (number for number in itertools.count() if category(number) in self.kinds)
        return list(itertools.islice(wanted, self.num[split]))

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
