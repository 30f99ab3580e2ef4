"""How a training or evaluation sample is made of a foreground, its matte and a background."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from deepmatte.data.composing.augmentation import (
    HSV,
    JITTERS,
    ColorJitter,
    Degradation,
    Flip,
    HsvJitter,
    flips,
)
from deepmatte.data.composing.cutout import INTERPOLATIONS, Affine, Cutout, union, warped
from deepmatte.data.composing.edges import draw_edge_pixel, edge_index
from deepmatte.data.composing.resize import (
    Window,
    covering_window,
    limited,
    random_window,
    resize,
    two_thirds,
    window_around,
)
from deepmatte.data.composing.shadow import Shadow
from deepmatte.data.composing.tensors import composited, to_pixels, to_srgb, to_tensor
from deepmatte.data.composing.trimaps import GIVEN, TrimapRecipe
from deepmatte.errors import InputError
from deepmatte.ops.zones import UNKNOWN

Layers = dict[str, Tensor]


class Composition:
    """A recipe: a square crop around the unknown zone, resized or warped, flipped and jittered, then composited, then degraded.

    Foreground and background are cropped, resized, flipped and jittered apart, and composited at the end in
    float32, so that ``composite`` equals alpha F + (1 - alpha) B to rounding in every recipe. The trimap is
    made after the resize, unless ``trimap_at`` says otherwise. Every random choice is drawn from the
    generator that is passed in, and an option that is off draws nothing.

    Args:
        crop_sizes: sides of the square crops, in pixels of the foreground; one is drawn among those that fit
            into it. The smallest has to fit. Backgrounds draw their own; one that is smaller than all of them
            gives its largest square.
        size: side of the sample that a crop is resized to.
        erode: range of the kernel sizes, ends included, by which the opaque zone shrinks to make the trimap;
            of distances in pixels where ``trimap`` is ``distances``.
        dilate: the same for the growth of alpha > 0.
        flip: probability that a foreground is mirrored left to right, and that a background is; or
            probabilities ``horizontal`` and ``vertical`` of the foreground and ``background``; one that is
            left out is 0.
        foreground_jitter: strengths of ``brightness``, ``contrast``, ``saturation`` and ``hue``; those left
            out are 0.
        background_jitter: the same for the background.
        max_side: longest side of a validation or test image; larger foregrounds are shrunk to it. None leaves
            them as they are.
        trimap: ``kernels``, ``distances`` or ``given`` (`TrimapRecipe`).
        merge: probability that another foreground of the data set lies behind the first.
        affine: ``probability``, ``rotation``, ``scale``, ``shear`` and ``overview`` (`Affine`); empty is off.
        hsv: strengths of the foreground's ``hue`` in degrees, ``saturation`` and ``value`` (`HsvJitter`);
            empty is off.
        interpolation: ``area``, or ``random`` for one of OpenCV's five, drawn for each foreground.
        shadow: ``probability``, ``strength``, ``offset`` and ``blur`` of a shadow that falls on the
            background (`Shadow`).
        degrade: ``blur``, ``gamma``, ``noise`` and ``jpeg`` of ``image`` alone, what the network sees
            (`Degradation`).
        widen: factor of ``erode`` and ``dilate`` in training alone; validation and test keep their trimaps,
            and stay comparable. None is 1.
        linear_light: composite in linear light; ``foreground``, ``background`` and ``composite`` are then
            linear, and ``image`` is the composite as a camera encodes it, since photographs are. Validation
            and test follow.
        crop: ``edge`` crops around the unknown zone; ``whole`` takes the whole foreground, squeezed into a
            square, over a background scaled to cover it: ``crop_sizes`` has no effect then.
        trimap_at: ``output`` makes the trimap of the resized matte; ``source`` of the matte at its own size,
            and resizes it with the crop: a pixel is 0 or 255 where all that it covers is, and has that alpha.
        fixed_size: validation and test images are squeezed into squares of that side; takes the place of
            ``max_side``.
        augment: probability that a sample is mirrored and warped at all; ``flip`` and ``affine.probability``
            are of those.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        crop_sizes: Sequence[int] = (320, 480, 640),
        size: int = 320,
        erode: Sequence[float] = (1, 29),
        dilate: Sequence[float] = (1, 29),
        flip: float | Mapping[str, float] = 0.5,
        foreground_jitter: Mapping[str, float] | None = None,
        background_jitter: Mapping[str, float] | None = None,
        max_side: int | None = None,
        *,
        trimap: str = "kernels",
        merge: float = 0.0,
        affine: Mapping[str, object] | None = None,
        hsv: Mapping[str, float] | None = None,
        interpolation: str = "area",
        shadow: Mapping[str, object] | None = None,
        degrade: Mapping[str, Mapping[str, object]] | None = None,
        linear_light: bool = False,
        widen: float | None = None,
        crop: str = "edge",
        trimap_at: str = "output",
        fixed_size: int | None = None,
        augment: float = 1.0,
    ) -> None:
        self.crop_sizes = tuple(sorted(int(side) for side in crop_sizes))
        self.size, self.max_side = size, max_side
        self.scored_trimap = TrimapRecipe(trimap, erode, dilate).middle()
        widen = 1 if widen is None else widen
        if widen <= 0:
            raise InputError(f"composition.widen={widen}: a factor is larger than 0")
        least = 0 if trimap == "distances" else 1
        wide = [[max(least, round(end * widen)) for end in ends] for ends in (erode, dilate)]
        self.training_trimap = TrimapRecipe(trimap, *(wide if widen != 1 else (erode, dilate)))
        self.crop, self.trimap_at, self.fixed_size = crop, trimap_at, fixed_size
        self.merge, self.augment = merge, augment
        self.flips = flips(flip)
        self.foreground_jitter = _strengths("foreground_jitter", foreground_jitter, JITTERS)
        self.background_jitter = _strengths("background_jitter", background_jitter, JITTERS)
        self.affine, self.interpolation = Affine.of(affine), interpolation
        self.hsv = HsvJitter(**_strengths("hsv", hsv, HSV))
        self.shadow, self.degradation, self.linear_light = (
            Shadow.of(shadow),
            Degradation(degrade),
            linear_light,
        )
        self._check()

    def _check(self) -> None:
        if not self.crop_sizes or self.crop_sizes[0] < 1:
            raise InputError(
                f"composition.crop_sizes={list(self.crop_sizes)}: needs at least one side, all of them positive"
            )
        for key in ("size", "max_side", "fixed_size"):
            side = getattr(self, key)
            if side is not None and side < 1:
                raise InputError(f"composition.{key}={side}: a side is a positive number of pixels")
        if self.max_side is not None and self.fixed_size is not None:
            raise InputError(
                f"composition.fixed_size={self.fixed_size}: sets the size of validation and test, max_side has to be null"
            )
        for key in ("merge", "augment"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(
                    f"composition.{key}={getattr(self, key)}: a probability lies between 0 and 1"
                )
        for key, words in (
            ("interpolation", ("area", "random")),
            ("crop", ("edge", "whole")),
            ("trimap_at", ("output", "source")),
        ):
            if getattr(self, key) not in words:
                raise InputError(f"composition.{key}={getattr(self, key)}: choose {' or '.join(words)}")

    def check_size(self, name: str, height: int, width: int) -> None:
        """Refuse a foreground into which the smallest crop does not fit.

        Raises:
            InputError: it names the foreground and both sizes.
        """
        smallest = 1 if self.crop == "whole" else self.crop_sizes[0]
        if min(height, width) < smallest:
            raise InputError(
                f"{name}: {width}x{height} pixels are too few for a crop of {smallest}; remove it or choose smaller composition.crop_sizes"
            )

    def check_uncomposited(self) -> None:
        """Refuse what photographs over their own backgrounds can't have.

        Raises:
            InputError: it names the key.
        """
        for key, wanted in (
            ("merge", self.merge),
            ("shadow.probability", self.shadow.probability),
            ("linear_light", self.linear_light),
        ):
            if wanted:
                raise InputError(
                    f"composition.{key}={wanted}: needs layers, which data.background=own has not; set it to 0"
                )

    def wants_second(self, rng: np.random.Generator) -> bool:
        """Draw whether the next sample has a second foreground."""
        return self.merge > 0 and rng.random() < self.merge

    def sample(
        self,
        cutout: Cutout,
        background: np.ndarray | None,
        rng: np.random.Generator,
        second: Cutout | None = None,
    ) -> Layers:
        """Return one training sample.

        Args:
            cutout: the foreground.
            background: colours, uint8 of any size, (h, w, 3); None leaves the cutout's colours as they are, a
                photograph over its own.
            rng: source of all randomness.
            second: a foreground that lies between the first and the background.

        Returns:
            ``image``, ``composite``, ``foreground``, ``background`` float32 (3, S, S) and ``alpha`` float32
                (1, S, S) in [0, 1],
            ``trimap`` uint8 (1, S, S), where S is ``size``. Without a background, ``image``, ``alpha`` and
                ``trimap`` alone.

        Raises:
            InputError: a foreground is smaller than the smallest crop, or its matte has no edge to crop
                around.
        """
        moves = self.augment == 1 or rng.random() < self.augment
        seen = self._view(cutout, rng, moves)
        if background is not None:
            background = resize(
                self._background_window(cutout, background, rng).of(background), self.size, self.size
            )
        if second is not None:
            seen = union(seen, self._view(second, rng, moves))
        jitter_foreground, jitter_background = self._augmentations
        flip_foreground, flip_background = self.flips if moves else (Flip(0), Flip(0))
        colours = self.hsv(rng, jitter_foreground(rng, seen.colours), seen.alpha)
        masks = [seen.alpha] if seen.trimap is None else [seen.alpha, seen.trimap]
        colours, alpha, *given = flip_foreground(rng, colours, *masks)
        if background is not None:
            (background,) = flip_background(rng, jitter_background(rng, background))
            background = self.shadow(rng, background, alpha)
        return self._composed(
            Cutout(colours, alpha, cutout.name, trimap=given[0] if given else None),
            background,
            rng,
            degrade=True,
        )

    def fixed(self, cutout: Cutout, background: np.ndarray | None, rng: np.random.Generator) -> Layers:
        """Return one validation or test sample: the whole foreground over a background scaled to cover it, without jitter.

        Arguments and result are those of `sample`; the size is that of the foreground, limited to
        ``max_side``, or ``fixed_size``. The trimap is made by the middle of the ranges, so that no picture is
        hard by a draw of extreme kernels; random is the part of the background.

        Raises:
            InputError: the trimap has no unknown pixels, because the matte has no edge.
        """
        height, width = limited(*cutout.alpha.shape, self.max_side)
        window = None if background is None else covering_window(background, height, width, rng)
        if self.fixed_size is not None:
            height = width = self.fixed_size
        whole = self._with_trimap(cutout, self.scored_trimap, rng).whole(height, width)
        behind = None if window is None else resize(window.of(background), height, width)
        layers = self._composed(whole, behind, rng)
        if not (layers["trimap"] == UNKNOWN).any():
            raise InputError(
                f"{cutout.name}: its trimap has no unknown pixels, there is nothing to score; remove it or raise composition.dilate"
            )
        return layers

    def fixed_options(self) -> dict[str, object]:
        """Return the options that change what `fixed` returns, for digests."""
        options = {**self.scored_trimap.options(), "max_side": self.max_side}
        defaults = {"linear_light": False, "trimap_at": "output", "fixed_size": None}
        return options | {
            key: getattr(self, key) for key, default in defaults.items() if getattr(self, key) != default
        }

    @cached_property
    def _augmentations(self) -> tuple[ColorJitter, ColorJitter]:
        return ColorJitter(**self.foreground_jitter), ColorJitter(**self.background_jitter)

    def warm_up(self) -> None:
        """Import and compile what samples need now, so that worker processes inherit it."""
        _ = self._augmentations
        self.degradation.warm_up()
        blank = np.zeros((3, 3, 3), np.uint8)
        composited(two_thirds(blank), two_thirds(blank), two_thirds(blank[..., 0]))

    def _with_trimap(self, cutout: Cutout, recipe: TrimapRecipe, rng: np.random.Generator) -> Cutout:
        """Return the cutout with the trimap of its own size, where that is asked for."""
        if self.trimap_at == "output":
            return cutout
        return dataclasses.replace(
            cutout, trimap=recipe(cutout.alpha, cutout.trimap, rng, cutout.name), covers=True
        )

    def _view(self, cutout: Cutout, rng: np.random.Generator, moves: bool) -> Cutout:
        height, width = cutout.alpha.shape
        cutout = self._with_trimap(cutout, self.training_trimap, rng)
        window = self._foreground_window(cutout, rng)
        interpolation = (
            None
            if self.interpolation == "area"
            else list(INTERPOLATIONS.values())[rng.integers(len(INTERPOLATIONS))]
        )
        linear = self.affine.draw(rng, window, height, width) if moves else None
        if linear is None:
            return cutout.seen(window, self.size, interpolation)
        return warped(cutout, window, linear, self.size, interpolation)

    def _foreground_window(self, cutout: Cutout, rng: np.random.Generator) -> Window:
        height, width = cutout.alpha.shape
        if self.crop == "whole":
            index = edge_index(cutout.alpha) if cutout.edges is None else cutout.edges
            if not index[-1]:
                raise _flat(cutout.name)
            return Window(0, 0, height, width)
        fitting = [side for side in self.crop_sizes if side <= min(height, width)]
        if not fitting:
            self.check_size(cutout.name, height, width)
        centre = draw_edge_pixel(cutout.alpha, rng, cutout.edges)
        if centre is None:
            raise _flat(cutout.name)
        return window_around(*centre, int(rng.choice(fitting)), height, width)

    def _background_window(self, cutout: Cutout, background: np.ndarray, rng: np.random.Generator) -> Window:
        if self.crop == "whole":
            return covering_window(background, *cutout.alpha.shape, rng)
        height, width = background.shape[:2]
        fitting = [side for side in self.crop_sizes if side <= min(height, width)] or [min(height, width)]
        return random_window(int(rng.choice(fitting)), height, width, rng)

    def _composed(
        self, cutout: Cutout, background: np.ndarray | None, rng: np.random.Generator, degrade: bool = False
    ) -> Layers:
        recipe = self.training_trimap if degrade else self.scored_trimap
        trimap = (recipe if self.trimap_at == "output" else GIVEN)(
            cutout.alpha, cutout.trimap, rng, cutout.name
        )
        if background is None:
            layers, image = {"alpha": to_tensor(cutout.alpha)}, to_tensor(cutout.colours)
        else:
            layers = composited(cutout.colours, background, cutout.alpha, self.linear_light)
            image = to_srgb(layers["composite"]) if self.linear_light else layers["composite"]
        if degrade and self.degradation:
            image = to_tensor(self.degradation(rng, to_pixels(image)))
        return {"image": image, **layers, "trimap": torch.from_numpy(trimap)[None]}


def _flat(name: str) -> InputError:
    return InputError(f"{name}: its matte is the same everywhere, there is no edge to crop around; remove it")


def _strengths(key: str, strengths: Mapping[str, float] | None, words: Sequence[str]) -> dict[str, float]:
    strengths = dict(strengths or {})
    for word, strength in strengths.items():
        if word not in words:
            raise InputError(f"composition.{key}.{word}: unknown; there are {', '.join(words)}")
        limit = (180 if key == "hsv" else 0.5) if word == "hue" else 1
        if not 0 <= strength <= limit:
            raise InputError(f"composition.{key}.{word}={strength}: a strength lies between 0 and {limit}")
    return strengths
