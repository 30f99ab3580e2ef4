"""Datasets of samples: endless composites to train on, fixed composites and finished images to score on.

A training sample is a function of (seed, epoch, index); a validation or test sample of (dataset version,
split, index) alone. Their randomness comes from one generator seeded by those numbers, never from a worker's
or the process's state.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from deepmatte.batch import LAYERS
from deepmatte.data.composing.composition import Composition
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.tensors import to_tensor
from deepmatte.data.samplers import turn
from deepmatte.data.samples import Key, MattingDataset, Sample
from deepmatte.data.sources.protocols import (
    BackgroundSet,
    ForegroundSet,
    HasDigest,
    HasTrimaps,
    ImageSet,
    KnowsEdges,
    KnowsForegrounds,
    KnowsSizes,
    Offers,
    OwnBackground,
    Split,
    load_layers,
    load_picture,
    origin_of,
)
from deepmatte.errors import InputError
from deepmatte.files import printable

_MOST_WORKERS = 1024
_MOST_DRAWS = 100
_log = logging.getLogger(__name__)

# OpenCV's threads don't survive the fork that makes a loader's workers: the first call that wants them would
# hang for ever. Samples are made in parallel by workers, not by threads.
cv2.setNumThreads(1)


class _Composites(MattingDataset[Key]):
    """Foregrounds and backgrounds of one split, and the recipe that joins them."""

    def __init__(
        self,
        foregrounds: ForegroundSet,
        backgrounds: BackgroundSet,
        composition: Composition,
        name: str,
        version: str,
        split: Split,
    ) -> None:
        super().__init__(name, version, split)
        self.foregrounds, self.backgrounds, self.composition = foregrounds, backgrounds, composition
        if isinstance(backgrounds, OwnBackground):
            composition.check_uncomposited()
        else:
            self.serves = (*self.serves, *LAYERS)
        if composition.capturing:
            self.serves = (*self.serves, "captured_background")

    def _cutout(self, index: int) -> Cutout:
        items = self.foregrounds
        edges = items.edges(index) if isinstance(items, KnowsEdges) else None
        trimap = (
            items.trimap(index)
            if self.composition.training_trimap.kind == "given" and isinstance(items, HasTrimaps)
            else None
        )
        layers = load_layers(items, index)
        return Cutout(layers.foreground, layers.alpha, self._called(index), edges, trimap)

    def _called(self, foreground: int) -> str:
        items = self.foregrounds
        origin = origin_of(items, foreground)
        return (
            f"{self.name} foreground {printable(items.names[foreground])}"
            if origin is None
            else printable(origin.files[0])
        )

    def identity(self) -> dict[str, Any]:
        """Return names and digests of the layers."""
        return {"foregrounds": _content(self.foregrounds), "backgrounds": _content(self.backgrounds)}


class CompositionDataset(_Composites[tuple[int, int]]):
    """Training composites without end; the key is (epoch, index), as `StreamSampler` yields them.

    With ``composition.clip.frames`` of n, samples n k to n k + n - 1 are the frames of clip k, which counts
    in place of the index below; ``previous`` is the index of the frame before, -1 of the first.

    Foregrounds take turns: sample i of an epoch belongs to its pass i // n over the n foregrounds, in which
    each comes once, in an order that is the pass's own. Backgrounds are drawn. ``fixed`` repeats epoch 0.

    With ``on_error="skip"`` a sample whose files can't be used (any more) is replaced by another, drawn by
    the same numbers and the number of the draw, and `num_skipped` counts it.

    Raises:
        InputError: ``on_error`` is another word, or a foreground is smaller than the smallest crop, where
            sizes are known beforehand.
    """

    def __init__(
        self,
        foregrounds: ForegroundSet,
        backgrounds: BackgroundSet,
        composition: Composition,
        seed: int,
        *,
        name: str = "data",
        version: str = "1",
        split: Split = "train",
        on_error: Literal["stop", "skip"] = "stop",
        fixed: bool = False,
    ) -> None:
        super().__init__(foregrounds, backgrounds, composition, name, version, split)
        if composition.clips.frames > 1:
            self.serves = (*self.serves, "previous")
        if on_error not in ("stop", "skip"):
            raise InputError(f"data.on_error={on_error}: is none of stop, skip")
        self.seed, self.on_error, self.fixed = seed, on_error, fixed
        # A place for each worker, so that none has to wait for another; shared, so that the process that
        # trains sees all of them.
        self._skipped = torch.zeros(_MOST_WORKERS + 1, dtype=torch.int64).share_memory_()
        if isinstance(foregrounds, KnowsSizes) and on_error == "stop":
            for i in range(len(foregrounds)):
                composition.check_size(self._called(i), *foregrounds.size(i))
        composition.warm_up()

    @property
    def num_skipped(self) -> int:
        """Samples that were replaced so far, by this process and its workers."""
        return int(self._skipped.sum())

    def make(self, key: tuple[int, int]) -> Sample:
        """Return sample ``index`` of ``epoch``."""
        epoch, index = 0 if self.fixed else key[0], key[1]
        clip, frame = divmod(index, self.composition.clips.frames)
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch, clip)))
        foreground = turn(self.seed, epoch, clip, len(self.foregrounds))
        for draw in range(1, _MOST_DRAWS):
            try:
                return self._composed(foreground, index, frame, rng)
            except InputError as error:
                if self.on_error == "stop":
                    raise
                _warn_once(str(error))
                if draw == 1:
                    self._count()
            rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch, clip, draw)))
            foreground = int(rng.integers(len(self.foregrounds)))
        return self._composed(foreground, index, frame, rng)

    def _composed(self, foreground: int, index: int, frame: int, rng: np.random.Generator) -> Sample:
        background = int(rng.integers(len(self.backgrounds)))
        second = int(rng.integers(len(self.foregrounds))) if self.composition.wants_second(rng) else None
        under = None if second is None else self._cutout(second)
        layers = self.composition.sample(
            self._cutout(foreground), self.backgrounds.load(background), rng, under, frame
        )
        between = "" if second is None else f"{self.foregrounds.names[second]} over "
        name = f"{self.foregrounds.names[foreground]} over {between}{self.backgrounds.names[background]}"
        clip = {"previous": index - 1 if frame else -1} if "previous" in self.serves else {}
        return {**layers, **clip, "name": name, "index": index}

    def _count(self) -> None:
        worker = get_worker_info()
        self._skipped[0 if worker is None else worker.id % _MOST_WORKERS + 1] += 1


class FixedCompositionDataset(_Composites[int]):
    """Validation and test composites: every foreground over K backgrounds, always the same.

    Sample i shows foreground i // K over background i, counted round the list where it is shorter. What is
    random in it, the part of the background, follows from the source's version, the split and i.
    """

    def __init__(
        self,
        foregrounds: ForegroundSet,
        backgrounds: BackgroundSet,
        composition: Composition,
        *,
        name: str,
        version: str,
        split: Split,
        backgrounds_per_foreground: int = 1,
    ) -> None:
        super().__init__(foregrounds, backgrounds, composition, name, version, split)
        if backgrounds_per_foreground < 1:
            raise InputError(
                f"data.backgrounds_per_foreground.{split}={backgrounds_per_foreground}: has to be at least 1"
            )
        self.backgrounds_per_foreground = backgrounds_per_foreground
        self._entropy = int.from_bytes(hashlib.sha256(f"{version}/{split}".encode()).digest()[:8], "big")

    def __len__(self) -> int:
        return len(self.foregrounds) * self.backgrounds_per_foreground

    def make(self, key: int) -> Sample:
        """Return sample ``key``."""
        rng = np.random.default_rng(np.random.SeedSequence((self._entropy, key)))
        foreground, background = self._pair(key)
        layers = self.composition.fixed(self._cutout(foreground), self.backgrounds.load(background), rng)
        return {**layers, "name": self.record(key)["image"], "index": key}

    def record(self, index: int) -> dict[str, str]:
        """Return ``image``, ``foreground``, ``background`` and ``category``.

        Images are named after the pictures of foregrounds.
        """
        foreground, background = self._pair(index)
        name = self.foregrounds.names[foreground]
        image = (
            name
            if self.backgrounds_per_foreground == 1
            else f"{name}_{index % self.backgrounds_per_foreground}"
        )
        shown = (
            self.foregrounds.foreground(foreground)
            if isinstance(self.foregrounds, KnowsForegrounds)
            else name
        )
        category = self.foregrounds.category(foreground)
        return {
            "image": image,
            "foreground": shown,
            "background": self.backgrounds.names[background],
            "category": category,
        }

    def _pair(self, index: int) -> tuple[int, int]:
        return index // self.backgrounds_per_foreground, index % len(self.backgrounds)

    def identity(self) -> dict[str, Any]:
        """Return names and digests of the layers, and the options that change the composites."""
        options = self.composition.fixed_options()
        return {
            **super().identity(),
            "backgrounds_per_foreground": self.backgrounds_per_foreground,
            "composition": options,
        }


class ImageDataset(MattingDataset[int]):
    """Finished images with trimap and true matte, and what else their set `Offers`."""

    def __init__(self, images: ImageSet, *, name: str, version: str, split: Split = "test") -> None:
        super().__init__(name, version, split)
        self.images = images
        self.offers = images.offers if isinstance(images, Offers) else ()
        self.serves = (*self.serves, *self.offers)

    def __len__(self) -> int:
        return len(self.images)

    def make(self, key: int) -> Sample:
        """Return image ``key``."""
        picture = load_picture(self.images, key)
        layers = {name: to_tensor(getattr(picture, name)) for name in ("image", "alpha", *self.offers)}
        layers["trimap"] = torch.from_numpy(picture.trimap.copy())[None]
        return {**layers, "name": self.images.names[key], "index": key}

    def record(self, index: int) -> dict[str, str]:
        """Return ``image`` and ``foreground``, which is the image's name if nothing else is known.

        The rest is empty.
        """
        name = self.images.names[index]
        foreground = self.images.foreground(index) if isinstance(self.images, KnowsForegrounds) else name
        return {"image": name, "foreground": foreground, "background": "", "category": ""}

    def identity(self) -> dict[str, Any]:
        """Return names and digest of the images."""
        return {"images": _content(self.images)}


@functools.lru_cache(maxsize=10_000)
def _warn_once(message: str) -> None:
    _log.warning("skipped: %s", message)


def _content(items: ForegroundSet | BackgroundSet | ImageSet) -> dict[str, Any]:
    return {"names": items.names, "digest": items.digest() if isinstance(items, HasDigest) else ""}
