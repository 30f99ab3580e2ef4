"""How a training or evaluation sample is made of a foreground, its matte and a background."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from deepmatte.data.composing.affine import Affine, warped
from deepmatte.data.composing.augmentation import ColorJitter, Degradation, Flip, HsvJitter
from deepmatte.data.composing.captured import Captured, Capturing
from deepmatte.data.composing.clip import Clip, Frame
from deepmatte.data.composing.cutout import INTERPOLATIONS, Cutout, union
from deepmatte.data.composing.edges import draw_edge_pixel, edge_index
from deepmatte.data.composing.options import Blur, CompositionOptions, Degrade, Flips, Hsv, Jitter, group
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

Tensors = dict[str, Tensor]
"""A sample's tensors, by their batch keys."""


class Composition(CompositionOptions):
    """A recipe: a square crop around the unknown zone, augmented, composited, then degraded.

    Foreground and background are cropped, resized, flipped and jittered apart, and composited at the end in
    float32, so that ``composite`` equals alpha F + (1 - alpha) B to rounding in every recipe. The trimap is
    made after the resize, unless ``trimap_at`` says otherwise. Every random choice is drawn from the
    generator that is passed in, and an option that is off draws nothing.

    The arguments are the keys of `CompositionOptions`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scored_trimap = TrimapRecipe(self.trimap, self.erode, self.dilate).middle()
        self.training_trimap = TrimapRecipe(self.trimap, self.erode, self.dilate).widened(self.widen or 1)
        flips = Flips.of(self.flip)
        self._flips = Flip(flips.horizontal, flips.vertical), Flip(flips.background)
        self._foreground_jitter = group(Jitter, self.foreground_jitter, "composition.foreground_jitter")
        self._background_jitter = group(Jitter, self.background_jitter, "composition.background_jitter")
        self._hsv = HsvJitter(group(Hsv, self.hsv, "composition.hsv"))
        self._affine = group(Affine, self.affine, "composition.affine")
        self._blur = group(Blur, self.defocus, "composition.defocus")
        self._defocus = Degradation(Degrade(blur=self._blur), self.backend)
        self._shadow = group(Shadow, self.shadow, "composition.shadow")
        self._degradation = Degradation(group(Degrade, self.degrade, "composition.degrade"), self.backend)
        self.clips = group(Clip, self.clip, "composition.clip")
        self.capturing = Capturing(group(Captured, self.captured, "composition.captured"), self.backend)

    def check_size(self, name: str, height: int, width: int) -> None:
        """Refuse a foreground into which the smallest crop does not fit.

        Raises:
            InputError: it names the foreground and both sizes.
        """
        smallest = 1 if self.crop == "whole" else self.crop_sizes[0]
        if min(height, width) < smallest:
            cure = "remove it or choose smaller composition.crop_sizes"
            raise InputError(f"{name}: {width}x{height} pixels are too few for a crop of {smallest}; {cure}")

    def check_uncomposited(self) -> None:
        """Refuse what photographs over their own backgrounds can't have.

        Raises:
            InputError: it names the key.
        """
        for key, wanted in (
            ("merge", self.merge),
            ("defocus.probability", self._blur.probability),
            ("shadow.probability", self._shadow.probability),
            ("linear_light", self.linear_light),
            ("captured.plate", bool(self.capturing)),
        ):
            if wanted:
                text = "needs layers, which data.background=own does not have; set it to 0"
                raise InputError(f"composition.{key}={wanted}: {text}")

    def warm_up(self) -> None:
        """Import and compile what samples need now, so that worker processes inherit it."""
        _ = self._augmentations
        self._defocus.warm_up()
        self._degradation.warm_up()
        self.capturing.warm_up()
        blank = np.zeros((3, 3, 3), np.uint8)
        composited(two_thirds(blank), two_thirds(blank), two_thirds(blank[..., 0]))

    @cached_property
    def _augmentations(self) -> tuple[ColorJitter, ColorJitter]:
        return (
            ColorJitter(self._foreground_jitter, self.backend),
            ColorJitter(self._background_jitter, self.backend),
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
        frame: int = 0,
    ) -> Tensors:
        """Return one training sample.

        Args:
            cutout: the foreground.
            background: colours, uint8 of any size, (h, w, 3); None leaves the
                colours of a photograph as they are.
            rng: source of all randomness.
            second: a foreground between the first and the background.
            frame: which frame of a clip it is; all of a clip are drawn from generators of one state.

        Returns:
            ``image``, ``composite``, ``foreground``, ``background`` float32 (3, S, S) and ``alpha`` float32
                (1, S, S) in [0, 1],
            ``trimap`` uint8 (1, S, S), where S is ``size``. Without a background, ``image``, ``alpha`` and
                ``trimap`` alone. With ``captured.plate`` also ``captured_background``, float32 (3, S, S).

        Raises:
            InputError: a foreground is smaller than the smallest crop, or its matte has no edge to crop
                around.
        """
        of_clip = Frame(self.clips, rng, frame) if self.clips.frames > 1 else None
        moves = self.augment == 1 or rng.random() < self.augment
        front = self._cropped(cutout, rng, moves, of_clip)
        if background is not None:
            window = self._background_window(cutout, background, rng)
            if of_clip is not None:
                window = of_clip.background(window, *background.shape[:2])
            background = resize(window.of(background), self.size, self.size)
        if second is not None:
            front = union(front, self._cropped(second, rng, moves, of_clip))
        jitter_foreground, jitter_background = self._augmentations
        flip_foreground, flip_background = self._flips if moves else (Flip(0), Flip(0))
        colours = self._hsv(rng, jitter_foreground(rng, front.colours), front.alpha)
        masks = [front.alpha] if front.trimap is None else [front.alpha, front.trimap]
        colours, alpha, *given = flip_foreground(rng, colours, *masks)
        front = Cutout(colours, alpha, cutout.name, trimap=given[0] if given else None)
        grain = rng if of_clip is None else of_clip.grain
        if background is None:
            return self._composed(front, background, rng, grain)
        (plate,) = flip_background(rng, jitter_background(rng, background))
        plate = self._defocus(rng, plate)
        background = self._shadow(rng, plate, alpha)
        if not self.capturing:
            return self._composed(front, background, rng, grain)
        own = rng.spawn(1)[0]  # takes nothing from the stream of the sample
        made = self._composed(front, self.capturing.shaded(own, background, alpha), rng, grain)
        return made | self.capturing.tensors(own, made["image"], plate)

    def _cropped(self, cutout: Cutout, rng: np.random.Generator, moves: bool, frame: Frame | None) -> Cutout:
        """Return the square that a sample shows of a foreground; ``moves`` says whether it may be warped."""
        height, width = cutout.alpha.shape
        cutout = self._with_trimap(cutout, self.training_trimap, rng)
        window = self._foreground_window(cutout, rng)
        interpolation = (
            None
            if self.interpolation == "area"
            else list(INTERPOLATIONS.values())[rng.integers(len(INTERPOLATIONS))]
        )
        linear = self._affine.draw(rng, window, height, width) if moves else None
        if frame is not None:
            motion = frame.foreground()
            linear = motion.linear if linear is None else linear @ motion.linear
            return warped(cutout, window, linear, self.size, interpolation, motion.shift)
        if linear is None:
            return cutout.crop(window, self.size, interpolation)
        return warped(cutout, window, linear, self.size, interpolation)

    def _with_trimap(self, cutout: Cutout, recipe: TrimapRecipe, rng: np.random.Generator) -> Cutout:
        """Return the cutout with the trimap of its own size, where that is asked for."""
        if self.trimap_at == "output":
            return cutout
        return dataclasses.replace(
            cutout, trimap=recipe(cutout.alpha, cutout.trimap, rng, cutout.name), covers=True
        )

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
            height, width = cutout.alpha.shape
            return covering_window(background, height, width, rng)
        height, width = background.shape[:2]
        fitting = [side for side in self.crop_sizes if side <= min(height, width)] or [min(height, width)]
        return random_window(int(rng.choice(fitting)), height, width, rng)

    def _composed(
        self,
        cutout: Cutout,
        background: np.ndarray | None,
        rng: np.random.Generator,
        grain: np.random.Generator | None = None,
    ) -> Tensors:
        """Return the sample of layers of its size; ``grain`` draws the degradations of one to train on."""
        recipe = self.scored_trimap if grain is None else self.training_trimap
        trimap = (recipe if self.trimap_at == "output" else GIVEN)(
            cutout.alpha, cutout.trimap, rng, cutout.name
        )
        if background is None:
            layers, image = {"alpha": to_tensor(cutout.alpha)}, to_tensor(cutout.colours)
        else:
            layers = composited(cutout.colours, background, cutout.alpha, self.linear_light)
            image = to_srgb(layers["composite"]) if self.linear_light else layers["composite"]
        if grain is not None and self._degradation:
            image = to_tensor(self._degradation(grain, to_pixels(image)))
        return {"image": image, **layers, "trimap": torch.from_numpy(trimap)[None]}

    def fixed(self, cutout: Cutout, background: np.ndarray | None, rng: np.random.Generator) -> Tensors:
        """Return one validation or test sample: the whole foreground over a background scaled to cover it.

        Arguments and result are those of `sample`; the size is that of the foreground, limited to
        ``max_side``, or ``fixed_size``. The trimap is made by the middle of the ranges, so that no picture is
        hard by a draw of extreme kernels; random is the part of the background.

        Raises:
            InputError: the trimap has no unknown pixels, because the matte has no edge.
        """
        height, width = cutout.alpha.shape
        height, width = limited(height, width, self.max_side)
        if background is not None:
            background = covering_window(background, height, width, rng).of(background)
        if self.fixed_size is not None:
            height = width = self.fixed_size
        whole = self._with_trimap(cutout, self.scored_trimap, rng).whole(height, width)
        plate = None if background is None else resize(background, height, width)
        own = rng.spawn(1)[0] if self.capturing and self.capturing.options.in_evaluation else None
        behind = plate if plate is None or own is None else self.capturing.shaded(own, plate, whole.alpha)
        layers = self._composed(whole, behind, rng)
        if plate is not None and self.capturing:
            layers |= self.capturing.tensors(own, layers["image"], plate)
        if not (layers["trimap"] == UNKNOWN).any():
            text = "its trimap has no unknown pixels, there is nothing to score"
            raise InputError(f"{cutout.name}: {text}; remove it or raise composition.dilate")
        return layers

    def fixed_options(self) -> dict[str, object]:
        """Return the options that change what `fixed` returns, for digests."""
        options: dict[str, object] = {**self.scored_trimap.options(), "max_side": self.max_side}
        if self.capturing and self.capturing.options.in_evaluation:
            options["captured"] = asdict(self.capturing.options)
        defaults = {"linear_light": False, "trimap_at": "output", "fixed_size": None}
        return options | {
            key: getattr(self, key) for key, default in defaults.items() if getattr(self, key) != default
        }


def _flat(name: str) -> InputError:
    return InputError(f"{name}: its matte is constant, there is no edge to crop around; remove it")
