"""Guides: classical mattes that a network reads beside the image, solved once for each picture and kept.

A guide is a function of the image, the trimap and the method alone, whatever made the two. So their content
and the method's version name it in the cache: nothing outdated is ever read, runs with other networks, losses
or lengths share it, and what a solver can't change (names, files, seeds) need not be listed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepmatte.data.cache.arrays import ArrayFolder, default_folder
from deepmatte.data.composing.resize import window_around
from deepmatte.data.parallel import shared, spread
from deepmatte.data.samples import DerivedDataset, Key, MattingDataset, Sample
from deepmatte.errors import InputError
from deepmatte.ops.zones import UNKNOWN, impose_trimap

STEPS = 65535
"""Guides are kept, and seen by networks, in steps of 1 / 65535: alike from the cache and from the solver."""

_CURE = "make room there or make it writable, or set data.guides.dir or data.guides.max_gb=0"


class Solver(NamedTuple):
    """A method that makes guides.

    ``solve`` maps an image (H, W, 3), float32 in [0, 1], and a trimap (H, W), uint8, to alpha (H, W);
    ``version`` tells all of its versions and options apart.
    """

    name: str
    version: str
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def solved(self, image: Tensor, trimap: Tensor) -> np.ndarray:
        """Return the guide, uint16 (H, W), of an image (3, H, W) and its trimap (1, H, W), zones imposed."""
        zones = trimap[0].cpu().numpy()
        alpha = self.solve(image.permute(1, 2, 0).float().cpu().numpy(), zones)
        return np.rint(impose_trimap(np.clip(alpha, 0, 1), zones) * STEPS).astype(np.uint16)


def guide_of(image: Tensor, trimap: Tensor, solvers: Sequence[Solver]) -> Tensor:
    """Return the guides, float32 (G, H, W), of an image (3, H, W) in [0, 1] and its trimap (1, H, W)."""
    return as_tensor([solver.solved(image, trimap) for solver in solvers])


def as_tensor(guides: Sequence[np.ndarray]) -> Tensor:
    """Return guides, uint16 (H, W) each, as float32 (G, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(guides).astype(np.float32) / STEPS)


class GuideCache:
    """Guides on disk, at most ``max_gb`` (10^9 bytes) in the folder ``dir``.

    0 keeps none, and ``dir`` None is the user's cache folder. Several processes may use it at once.

    Raises:
        InputError: the size is negative.
    """

    def __init__(self, dir: str | Path | None = None, max_gb: float = 10.0) -> None:
        if not isinstance(max_gb, int | float) or max_gb < 0:
            raise InputError(f"data.guides.max_gb={max_gb}: a size in GB, 0 to keep nothing")
        self.max_bytes = int(max_gb * 10**9)
        folder = Path(dir).expanduser() if dir else default_folder("guides")
        self.folder = ArrayFolder(folder, ".guide.npy", _CURE)

    def keys(self, sample: Sample, solvers: Sequence[Solver]) -> list[str]:
        """Return the name of each solver's guide: digits of what it is made of, and of what makes it."""
        content = hashlib.sha256(str(tuple(sample["image"].shape)).encode())
        for key in ("image", "trimap"):
            content.update(np.ascontiguousarray(sample[key].numpy()).data)
        return [
            f"{content.hexdigest()[:32]}-{hashlib.sha256(solver.version.encode()).hexdigest()[:8]}"
            for solver in solvers
        ]

    def read(self, key: str, shape: Sequence[int]) -> np.ndarray | None:
        """Return a guide of that height and width, or None if there is none or its file is damaged."""
        found = (self.folder.read(key) or {}).get("guide") if self.max_bytes else None
        fits = found is not None and found.dtype == np.uint16 and found.shape == tuple(shape)
        return found if fits else None

    def build(self, sample: Sample, solvers: Sequence[Solver]) -> dict[str, tuple[int, bool]]:
        """Solve into the cache what it lacks of a sample; return the bytes of each file and if it is new."""
        built = {}
        for key, solver in zip(self.keys(sample, solvers), solvers, strict=True):
            new = self.read(key, sample["image"].shape[-2:]) is None
            if new:
                self.folder.write(key, {"guide": solver.solved(sample["image"], sample["trimap"])})
            else:
                with suppress(OSError):  # a folder that can only be read
                    os.utime(self.folder.path(key))
            built[key] = self.folder.size(key), new
        return built

    def prepare(self, jobs: Sequence[tuple[MattingDataset[Any], Any]], solvers: Sequence[Solver]) -> int:
        """Solve what the folder lacks of the samples of ``jobs``, by all cores, behind a progress bar.

        Whatever is solved stays: after Ctrl-C the next call goes on from there. Guides of other samples make
        room, the oldest first; what does not fit is solved each time. Return the number of new guides.

        Raises:
            InputError: a sample can't be made, or the folder can't be written to.
        """
        if not self.max_bytes or not jobs:
            return 0
        # Processes that prepare at once start at different places, so that they share the work.
        start = os.getpid() * 7919 % len(jobs)
        jobs = [*jobs[start:], *jobs[:start]]
        used = sum(status.st_size for status in self.folder.files().values())
        own: dict[str, int] = {}
        num_new = 0
        steps = spread(_build, range(len(jobs)), None, "solving guides (once)", common=(self, jobs, solvers))
        for built in steps:
            if isinstance(built, str):
                raise InputError(built)
            for key, (size, new) in built.items():
                own[key], num_new = size, num_new + new
                used += size * new
            if used > self.max_bytes:
                self.folder.make_room(own, max(0, self.max_bytes - sum(own.values())))
                used = sum(status.st_size for status in self.folder.files().values())
            if sum(own.values()) >= self.max_bytes:
                break
        return num_new


def _build(number: int) -> dict[str, tuple[int, bool]] | str:
    # An error is sent as text: an exception would not come out of a process as the line that it is.
    cache, jobs, solvers = shared()
    dataset, key = jobs[number]
    try:
        return cache.build(dataset[key], solvers)
    except InputError as error:
        return str(error)


class GuidedDataset(DerivedDataset[Key]):
    """The samples of ``dataset`` with their ``guide``, float32 (G, H, W): from the cache, or solved.

    Args:
        dataset: training samples, by (epoch, index), or fixed ones.
        solvers: what makes the guides.
        cache: where they are kept; `GuideCache.prepare` fills it.
        crop: of training samples, the side of the square that is seen of them, drawn anew in each epoch
            around an unknown pixel, mirrored or not; None: all of them. So a few guides, of which each is
            solved on all of its sample, show more than themselves.
        seed: of that draw.
    """

    def __init__(
        self,
        dataset: MattingDataset[Key],
        solvers: Sequence[Solver],
        cache: GuideCache,
        crop: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset)
        self.solvers, self.cache = tuple(solvers), cache
        self.crop, self.seed = crop, seed
        self.serves = (*dataset.serves, "guide")

    def make(self, key: Key) -> Sample:
        """Return the sample of a key, with its guide."""
        sample = self.dataset.make(key)
        size = sample["image"].shape[-2:]
        guides = [
            found if found is not None else solver.solved(sample["image"], sample["trimap"])
            for name, solver in zip(self.cache.keys(sample, self.solvers), self.solvers, strict=True)
            for found in [self.cache.read(name, size)]
        ]
        sample = {**sample, "guide": as_tensor(guides)}
        if self.crop is None or not isinstance(key, tuple):
            return sample
        # The spawn key keeps the draw apart from those that make the sample.
        draws = np.random.SeedSequence((self.seed, *key), spawn_key=(2,))
        return view(sample, self.crop, np.random.default_rng(draws))


def view(sample: Sample, side: int, rng: np.random.Generator) -> Sample:
    """Return a square part of a sample around one of its unknown pixels, mirrored or not.

    What is one tensor under two names stays so.

    >>> whole = {"trimap": torch.tensor([[[0, 0, 128], [0, 0, 255], [0, 0, 255]]], dtype=torch.uint8)}
    >>> sorted(view(whole, 2, np.random.default_rng(0))["trimap"].unique().tolist())
    [0, 128, 255]
    """
    trimap = sample["trimap"][0].numpy()
    height, width = trimap.shape
    if side > min(height, width):
        raise InputError(f"data.guides.crop={side}: is larger than the samples, {width}x{height} pixels")
    unknown = np.flatnonzero(trimap == UNKNOWN)
    pixel = int(unknown[rng.integers(len(unknown))]) if len(unknown) else trimap.size // 2
    row, column = divmod(pixel, width)
    window = window_around(row, column, side, height, width)
    mirrored = bool(rng.random() < 0.5)
    seen: dict[int, Tensor] = {}
    for value in sample.values():
        if isinstance(value, Tensor) and value.shape[-2:] == (height, width):
            part = value[..., window.top : window.top + side, window.left : window.left + side]
            seen[id(value)] = (part.flip(-1) if mirrored else part).contiguous()
    return {name: seen.get(id(value), value) for name, value in sample.items()}
