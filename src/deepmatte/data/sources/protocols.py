"""What a source of data offers: foregrounds and backgrounds to compose, or finished images.

A source is any object with a ``name``, a ``version`` and the methods of one or both of the two protocols
below; nothing is inherited. Its sets read files when `load` is called, never before, and return the same
arrays for the same index every time.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from deepmatte.errors import InputError

Split = Literal["train", "val", "test"]


class NoSplitError(InputError):
    """A source has no such split by design: a set of photographs to score has nothing to train on."""


class Layers(NamedTuple):
    """A foreground and its matte.

    Attributes:
        foreground: colours, uint8 RGB (H, W, 3).
        alpha: uint8 or uint16 (H, W), full scale = 1.
    """

    foreground: np.ndarray
    alpha: np.ndarray


class Picture(NamedTuple):
    """A finished image, its trimap and its true matte.

    Attributes:
        image: colours, uint8 RGB (H, W, 3).
        trimap: uint8 0 / 128 / 255 (H, W).
        alpha: uint8 or uint16 (H, W), full scale = 1.
        foreground: the true colours of the foreground, where they are known.
        background: the opaque picture behind it, where that is known.
        captured_background: a photograph of the scene without the subject, where one was taken.
    """

    image: np.ndarray
    trimap: np.ndarray
    alpha: np.ndarray
    foreground: np.ndarray | None = None
    background: np.ndarray | None = None
    captured_background: np.ndarray | None = None


class Origin(NamedTuple):
    """What an item is decoded from: its files, and how they are read where that differs from the defaults."""

    files: tuple[Path, ...]
    reading: str = ""

    @property
    def matte(self) -> Path:
        """The file that holds the matte of a foreground: the second, or the only one."""
        return self.files[min(1, len(self.files) - 1)]


@runtime_checkable
class ForegroundSet(Protocol):
    """Foreground colours with their mattes."""

    @property
    def names(self) -> list[str]:
        """One name for each foreground: its identity in records and splits."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> Layers:
        """Return foreground and alpha; a plain tuple of the two will do (read it by `load_layers`)."""

    def category(self, index: int) -> str:
        """Return the kind of thing that it is (hair, glass, …), or an empty string."""


@runtime_checkable
class BackgroundSet(Protocol):
    """Opaque pictures that a foreground can be laid over."""

    @property
    def names(self) -> list[str]:
        """One name for each background."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> np.ndarray | None:
        """Return colours, uint8 RGB (H, W, 3); None where photographs keep their own background."""


class OwnBackground:
    """Backgrounds of photographs that are trained on uncomposited: there is nothing to load."""

    names: ClassVar[list[str]] = ["its own background"]

    def __len__(self) -> int:
        return 1

    def load(self, index: int) -> None:
        """Return None."""


@runtime_checkable
class ImageSet(Protocol):
    """Finished images with trimap and true matte, for evaluation."""

    @property
    def names(self) -> list[str]:
        """One name for each image."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> Picture:
        """Return a finished image; a plain tuple of image, trimap and alpha will do (see `load_picture`)."""


def load_layers(items: ForegroundSet, index: int) -> Layers:
    """Return an item of a set of foregrounds as a record."""
    return Layers(*items.load(index))


def load_picture(items: ImageSet, index: int) -> Picture:
    """Return an item of a set of images as a record."""
    return Picture(*items.load(index))


@runtime_checkable
class Offers(Protocol):
    """A set of images in all of which more is known than image, trimap and alpha."""

    @property
    def offers(self) -> tuple[str, ...]:
        """The fields of `Picture` that are there, too, such as ``captured_background``."""


@runtime_checkable
class KnowsSizes(Protocol):
    """A set that knows the size of a picture without decoding it."""

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) in pixels."""


@runtime_checkable
class KnowsEdges(Protocol):
    """A set that has indexed where the edges of its mattes are."""

    def edges(self, index: int) -> np.ndarray:
        """Return the matte's `deepmatte.data.composing.edges.edge_index`."""


@runtime_checkable
class KnowsOrigin(Protocol):
    """A set whose items are decoded from files."""

    def origin(self, index: int) -> Origin | None:
        """Return what an item is decoded from; None if it is not decoded from files."""


def origin_of(items: object, index: int) -> Origin | None:
    """Return what an item of any set is decoded from.

    None if the set does not know, or it comes from no file.
    """
    return items.origin(index) if isinstance(items, KnowsOrigin) else None


@runtime_checkable
class HasAlpha(Protocol):
    """A set that can read mattes without their colours."""

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha, uint8 or uint16 (H, W) with full scale = 1."""


def alpha_of(items: ForegroundSet | ImageSet, index: int) -> np.ndarray:
    """Return the matte of an item, read without its colours where the set can."""
    if isinstance(items, HasAlpha):
        return items.alpha(index)
    loaded = items.load(index)
    return loaded.alpha if isinstance(loaded, Layers | Picture) else loaded[-1]


@runtime_checkable
class HasTrimaps(Protocol):
    """A set of foregrounds with trimaps of their own."""

    def trimap(self, index: int) -> np.ndarray | None:
        """Return a trimap, uint8 0 / 128 / 255 (H, W), or None where there is none."""


@runtime_checkable
class KnowsForegrounds(Protocol):
    """A set of images that knows which of them show the same foreground."""

    def foreground(self, index: int) -> str:
        """Return the name of the foreground that an image shows."""


@runtime_checkable
class HasDigest(Protocol):
    """A set whose names alone don't identify what it holds."""

    def digest(self) -> str:
        """Return hexadecimal digits that change when the content does, the same on every machine."""


@runtime_checkable
class CompositionSource(Protocol):
    """A source whose samples are composited here: it can be trained on and evaluated."""

    name: str
    version: str

    def foregrounds(self, split: Split) -> ForegroundSet:
        """Return the foregrounds of a split; those of different splits are disjoint."""

    def backgrounds(self, split: Split) -> BackgroundSet:
        """Return the backgrounds of a split; those of different splits are disjoint."""


@runtime_checkable
class ImageSource(Protocol):
    """A source of finished images, on which mattes can be scored."""

    name: str
    version: str

    def images(self, split: Split) -> ImageSet | None:
        """Return the images of a split, or None if it has foregrounds and backgrounds to composite."""


Source = CompositionSource | ImageSource
