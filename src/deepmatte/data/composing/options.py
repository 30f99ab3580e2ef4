"""The options of a composition, as ``conf/composition/dim.yaml`` lists them, and their checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from deepmatte.errors import InputError

Group = TypeVar("Group")

Backend = Literal["albumentations", "opencv"]
"""What computes jitter and degradations."""

Transform = Callable[[int, np.ndarray], np.ndarray]
"""A change of uint8 colours (H, W, 3) that is a function of a seed and the colours."""


def option(default: Any, fits: Callable[[Any], bool], what: str) -> Any:
    """Return a field whose value is a number, or a pair of them where ``default`` is one.

    ``what`` says what fits.
    """
    return field(default=default, metadata={"fits": fits, "what": what})


def chance(default: float = 0.0) -> Any:
    """Return a field that is a probability."""
    return option(default, _is_share, "a probability lies between 0 and 1")


def strength(limit: float, default: float = 0.0) -> Any:
    """Return a field that is at least 0 and at most ``limit``."""
    return option(default, lambda value: 0 <= value <= limit, f"a strength lies between 0 and {limit:g}")


def span(default: tuple[float, float], limit: float) -> Any:
    """Return a field that is a range of positive numbers, the smaller end first."""
    what = "give the smallest and the largest value, above 0"
    return option(default, lambda ends: 0 < ends[0] <= ends[1] <= limit, what)


def group(kind: type[Group], keys: Mapping[str, Any] | Group | None, place: str) -> Group:
    """Return the dataclass ``kind`` with the values of ``keys``; what is left out has its default.

    Raises:
        InputError: a key is unknown or a value does not fit; ``place`` is the group's key.
    """
    if isinstance(keys, kind):
        return keys
    if not isinstance(keys, Mapping | None):
        raise InputError(f"{place}={keys}: has to be keys with values or null")
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in (keys or {}).items():
        if key not in known:
            raise InputError(f"{place}.{key}: unknown; there are {', '.join(known)}")
        if "group" in known[key].metadata:
            values[key] = group(known[key].metadata["group"], value, f"{place}.{key}")
        else:
            values[key] = _checked(known[key], value, f"{place}.{key}")
    return kind(**values)


def _checked(known: Any, value: Any, place: str) -> Any:
    is_pair = isinstance(known.default, tuple)
    numbers = value if isinstance(value, list | tuple) else (value,)
    if len(numbers) != 1 + is_pair or not all(isinstance(number, int | float) for number in numbers):
        raise InputError(f"{place}={value}: has to be {'two numbers' if is_pair else 'a number'}")
    value = tuple(numbers) if is_pair else value
    if not known.metadata["fits"](value):
        raise InputError(f"{place}={list(value) if is_pair else value}: {known.metadata['what']}")
    return value


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


@dataclass(frozen=True)
class Flips:
    """Probabilities that a foreground is mirrored along each axis, and a background left to right."""

    horizontal: float = chance()
    vertical: float = chance()
    background: float = chance()

    @classmethod
    def of(cls, flip: float | Mapping[str, float]) -> Flips:
        """Return what ``composition.flip`` describes: one number for both, or each apart."""
        if isinstance(flip, int | float):
            if not _is_share(flip):
                raise InputError(f"composition.flip={flip}: a probability lies between 0 and 1")
            return cls(horizontal=flip, background=flip)
        return group(cls, flip, "composition.flip")


@dataclass(frozen=True)
class Jitter:
    """Strengths of a colour jitter: factors of 1 ± strength, and turns of ± strength for the hue."""

    brightness: float = strength(1)
    contrast: float = strength(1)
    saturation: float = strength(1)
    hue: float = strength(0.5)


@dataclass(frozen=True)
class Hsv:
    """Strengths of the foreground's jitter in HSV: the hue in degrees, shifts of saturation and value."""

    hue: float = strength(180)
    saturation: float = strength(1)
    value: float = strength(1)


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur; ``sigma`` in pixels."""

    probability: float = chance()
    sigma: tuple[float, float] = span((0.5, 1.5), 255)


@dataclass(frozen=True)
class Gamma:
    """Another gamma."""

    probability: float = chance()
    range: tuple[float, float] = span((0.7, 1.4), 255)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise; ``sigma`` in levels of 255."""

    probability: float = chance()
    sigma: tuple[float, float] = span((2.0, 12.0), 255)


@dataclass(frozen=True)
class Jpeg:
    """JPEG compression."""

    probability: float = chance()
    quality: tuple[float, float] = span((40, 95), 100)


@dataclass(frozen=True)
class Degrade:
    """What happens to a picture between lens and file, in this order."""

    blur: Blur = field(default=Blur(), metadata={"group": Blur})
    gamma: Gamma = field(default=Gamma(), metadata={"group": Gamma})
    noise: Noise = field(default=Noise(), metadata={"group": Noise})
    jpeg: Jpeg = field(default=Jpeg(), metadata={"group": Jpeg})


@dataclass(eq=False)
class CompositionOptions:
    """The keys of a composition.

    Attributes:
        crop_sizes: sides of the square crops, in pixels of the foreground; one is drawn among those that fit
            into it. The smallest has to fit. Backgrounds draw their own; one that is smaller than all of them
            gives its largest square.
        size: side of the sample that a crop is resized to.
        erode: range of the kernel sizes, ends included, by which the opaque zone shrinks to make the trimap;
            of distances in pixels where ``trimap`` is ``distances``.
        dilate: the same for the growth of alpha > 0.
        flip: probability that a foreground is mirrored left to right, and that a background is; or `Flips`.
        foreground_jitter: see `Jitter`.
        background_jitter: the same for the background.
        max_side: longest side of a validation or test image; larger foregrounds are shrunk to it. None leaves
            them as they are.
        trimap: ``kernels``, ``distances`` or ``given`` (`deepmatte.data.composing.trimaps.TrimapRecipe`).
        merge: probability that another foreground of the data set is between the first and the background.
        affine: `deepmatte.data.composing.affine.Affine`; empty is off.
        hsv: see `Hsv`; empty is off.
        interpolation: ``area``, or ``random`` for one of OpenCV's five, drawn for each foreground.
        defocus: a blur of the background alone, before any shadow falls on it (`Blur`): what a lens focused
            on the foreground does.
        shadow: `deepmatte.data.composing.shadow.Shadow` that falls on the background.
        degrade: what happens to ``image`` alone, which the network sees (`Degrade`).
        linear_light: composite in linear light; ``foreground``, ``background`` and ``composite`` are then
            linear, and ``image`` is the composite as a camera encodes it, since photographs are. Validation
            and test follow.
        widen: factor of ``erode`` and ``dilate`` in training alone; validation and test keep their trimaps,
            and stay comparable. None is 1.
        crop: ``edge`` crops around the unknown zone; ``whole`` takes the whole foreground, squeezed into a
            square, over a background scaled to cover it: ``crop_sizes`` has no effect then.
        trimap_at: ``output`` makes the trimap of the resized matte; ``source`` of the matte at its own size,
            and resizes it with the crop: a pixel is 0 or 255 where all that it covers is, and has that alpha.
        fixed_size: side of the squares into which validation and test images are squeezed; instead of
            ``max_side``.
        augment: probability that a sample is mirrored and warped at all; ``flip`` and ``affine.probability``
            are of those.
        backend: what computes jitter and degradations, ``albumentations`` or ``opencv``: the same samples.
        captured: whether samples have a ``captured_background``, and how it differs from the background of
            the image (`deepmatte.data.composing.captured.Captured`). Its randomness has a generator of its
            own: all else is the same with it and without.
        clip: how many samples in a row are frames of one clip, and how they move
            (`deepmatte.data.composing.clip.Clip`); validation and test have stills.

    Raises:
        InputError: a value is out of range.
    """

    crop_sizes: Sequence[int] = (320, 480, 640)
    size: int = 320
    erode: Sequence[float] = (1, 29)
    dilate: Sequence[float] = (1, 29)
    flip: float | Mapping[str, float] = 0.5
    foreground_jitter: Mapping[str, float] | None = None
    background_jitter: Mapping[str, float] | None = None
    max_side: int | None = None
    trimap: str = "kernels"
    merge: float = 0.0
    affine: Mapping[str, object] | None = None
    hsv: Mapping[str, float] | None = None
    interpolation: str = "area"
    shadow: Mapping[str, object] | None = None
    degrade: Mapping[str, Mapping[str, object]] | None = None
    linear_light: bool = False
    widen: float | None = None
    crop: str = "edge"
    trimap_at: str = "output"
    fixed_size: int | None = None
    augment: float = 1.0
    backend: Backend = "albumentations"
    captured: Mapping[str, object] | None = None
    defocus: Mapping[str, object] | None = None
    clip: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        self.crop_sizes = tuple(sorted(int(side) for side in self.crop_sizes))
        if not self.crop_sizes or self.crop_sizes[0] < 1:
            sides = list(self.crop_sizes)
            raise InputError(f"composition.crop_sizes={sides}: give at least one side, all of them positive")
        for key in ("size", "max_side", "fixed_size"):
            side = getattr(self, key)
            if side is not None and side < 1:
                raise InputError(f"composition.{key}={side}: a side is a positive number of pixels")
        if self.max_side is not None and self.fixed_size is not None:
            text = "sets the size of validation and test, max_side has to be null"
            raise InputError(f"composition.fixed_size={self.fixed_size}: {text}")
        for key in ("merge", "augment"):
            if not _is_share(getattr(self, key)):
                raise InputError(
                    f"composition.{key}={getattr(self, key)}: a probability lies between 0 and 1"
                )
        if self.widen is not None and self.widen <= 0:
            raise InputError(f"composition.widen={self.widen}: a factor is larger than 0")
        for key, words in _CHOICES.items():
            if getattr(self, key) not in words:
                raise InputError(f"composition.{key}={getattr(self, key)}: choose {' or '.join(words)}")


_CHOICES = {
    "interpolation": ("area", "random"),
    "crop": ("edge", "whole"),
    "trimap_at": ("output", "source"),
    "backend": get_args(Backend),
}
