"""Scenes: images with several objects, two of them of one class, composed of a source's foregrounds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.data.composing.resize import covering_window, resize
from deepmatte.data.composing.trimaps import TrimapRecipe
from deepmatte.data.sources.protocols import BackgroundSet, ForegroundSet
from deepmatte.errors import InputError
from deepmatte.ops.layers import instance_map, layered, visible_alphas
from deepmatte.ops.zones import full_scale

MOST_FOREGROUNDS = 64
"""How many foregrounds of a source are used, from the first; each is read once to check it."""

SCALES = (0.65, 0.85)
"""Range of the longer side of a foreground, relative to the scene's side."""

LEAST_SEEN, LEAST_AREA = 0.3, 0.01
"""Least visible share of an object's part inside the image, and least share of the image that it covers."""

MOST_DRAWS = 200


@dataclass(frozen=True)
class Scene:
    """An image of K objects in front of a background.

    Attributes:
        image: uint8 (H, W, 3).
        alphas: float32 (K, H, W) in [0, 1], the visible part of each object, the front one first.
        trimaps: uint8 0 / 128 / 255 (K, H, W), one of each object's visible alpha.
        names: the foregrounds.
        kinds: their categories.
    """

    image: np.ndarray
    alphas: np.ndarray
    trimaps: np.ndarray
    names: list[str]
    kinds: list[str]


class InstanceScenes:
    """Scenes that are a function of (seed, index) and the source alone.

    Objects are placed side by side and overlap. Two of them are of one class and touch; the others are of
    other classes, where the source has any. Only foregrounds that their image cuts off at the bottom, or not
    at all, are used; those cut off at the bottom are placed at the bottom.

    Args:
        foregrounds: the objects.
        backgrounds: drawn for each scene, scaled to cover it.
        trimap: how trimaps are made of the visible alphas.
        size: side of a scene in pixels.
        instances: number of objects in a scene, at least two.
        seed: selects the scenes.

    Raises:
        InputError: there are no two usable foregrounds of one class, or a number is out of range.
    """

    def __init__(
        self,
        foregrounds: ForegroundSet,
        backgrounds: BackgroundSet,
        trimap: TrimapRecipe,
        size: int = 320,
        instances: int = 3,
        seed: int = 0,
    ) -> None:
        if instances < 2 or size < 64:
            raise InputError(
                f"scenes of {instances} instances and {size} pixels: give at least 2 instances and 64 pixels"
            )
        self.foregrounds, self.backgrounds, self.trimap = foregrounds, backgrounds, trimap
        self.size, self.instances, self.seed = size, instances, seed
        self.by_kind: dict[str, list[int]] = {}
        for index in range(min(len(foregrounds), MOST_FOREGROUNDS)):
            if _is_cut_at_most_below(foregrounds.load(index)[1]):
                self.by_kind.setdefault(foregrounds.category(index), []).append(index)
        self.pairs = sorted(
            kind for kind, members in self.by_kind.items() if len(members) > 1 for _ in members
        )
        if not self.pairs:
            raise InputError(
                "scenes need two foregrounds of one class that their images cut off at most at the bottom; "
                "this source has none"
            )

    def scene(self, index: int) -> Scene:
        """Return scene ``index``."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, index)))
        for _ in range(MOST_DRAWS):
            cast = self._cast(rng)
            placed = [self._placed(member, place, rng) for place, member in enumerate(cast)]
            order = rng.permutation(self.instances)
            visible = visible_alphas(np.stack([placed[place][1] for place in order]))
            kinds = [self.foregrounds.category(cast[place]) for place in order]
            if self._is_fair(visible, [placed[place][1] for place in order], kinds):
                break
        else:
            raise InputError(
                f"scene {index}: no placement of {self.instances} objects in {MOST_DRAWS} draws; "
                "give fewer instances"
            )
        background = self.backgrounds.load(int(rng.integers(len(self.backgrounds))))
        if background is None:
            raise InputError("scenes need backgrounds; this source has none apart from its images")
        behind = resize(
            covering_window(background, self.size, self.size, rng).of(background), self.size, self.size
        )
        colours = np.stack([placed[place][0] for place in order])
        image = np.rint(layered(colours, visible, behind)).clip(0, 255).astype(np.uint8)
        names = [self.foregrounds.names[cast[place]] for place in order]
        trimaps = np.stack(
            [self.trimap(_levels(alpha), None, rng, name) for alpha, name in zip(visible, names, strict=True)]
        )
        return Scene(image, visible.astype(np.float32), trimaps, names, kinds)

    def _cast(self, rng: np.random.Generator) -> list[int]:
        """Return the foregrounds from left to right, the two of one class side by side."""
        kind = self.pairs[rng.integers(len(self.pairs))]
        pair = [int(member) for member in rng.choice(self.by_kind[kind], 2, replace=False)]
        rest = [
            member for other, members in sorted(self.by_kind.items()) if other != kind for member in members
        ]
        rest = rest or [member for member in self.by_kind[kind] if member not in pair]
        if len(rest) < self.instances - 2:
            raise InputError(
                f"scenes of {self.instances} instances: "
                f"this source has only {len(rest) + 2} foregrounds that fit in one"
            )
        others = [int(member) for member in rng.choice(rest, self.instances - 2, replace=False)]
        place = int(rng.integers(self.instances - 1))
        return [*others[:place], *pair, *others[place:]]

    def _placed(self, member: int, place: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return colours (S, S, 3) and alpha (S, S) in [0, 1] of a foreground, placed in the scene."""
        colours, alpha = self.foregrounds.load(member)
        factor = rng.uniform(*SCALES) * self.size / max(alpha.shape)
        height, width = (max(1, round(side * factor)) for side in alpha.shape)
        grounded = bool(alpha[-1].any())
        top = self.size - height - (0 if grounded else int(rng.integers(self.size - height + 1)))
        centre = self.size * ((place + 1) / (self.instances + 1) + rng.uniform(-0.05, 0.05))
        left = round(centre - width / 2)
        first, last = max(0, left), min(self.size, left + width)
        canvas = np.zeros((self.size, self.size, 3)), np.zeros((self.size, self.size))
        for target, source in zip(
            canvas,
            (resize(colours, height, width), resize(alpha, height, width) / full_scale(alpha)),
            strict=True,
        ):
            target[top : top + height, first:last] = source[:, first - left : last - left]
        return canvas

    def _is_fair(self, visible: np.ndarray, alphas: Sequence[np.ndarray], kinds: Sequence[str]) -> bool:
        """Return whether enough of every object is visible, and two of one class touch."""
        labels = instance_map(visible)
        areas = np.bincount(labels.ravel(), minlength=len(visible) + 1)[1:] / labels.size
        seen = [part.sum() / max(alpha.sum(), 1e-9) for part, alpha in zip(visible, alphas, strict=True)]
        if areas.min() < LEAST_AREA or min(seen) < LEAST_SEEN:
            return False
        for first, kind in enumerate(kinds):
            near = cv2.dilate((labels == first + 1).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            if any(
                other == kind and (near & (labels == second + 1)).any()
                for second, other in enumerate(kinds)
                if second > first
            ):
                return True
        return False


def digest(scenes: Sequence[Scene]) -> str:
    """Return 16 hex digits of the scenes' names, images, alphas and trimaps."""
    total = hashlib.sha256()
    for scene in scenes:
        total.update(
            ", ".join(scene.names).encode()
            + scene.image.tobytes()
            + scene.alphas.tobytes()
            + scene.trimaps.tobytes()
        )
    return total.hexdigest()[:16]


def _is_cut_at_most_below(alpha: np.ndarray) -> bool:
    """Return whether the image cuts off the object at the bottom only, or not at all."""
    return not (alpha[0].any() or alpha[:-1, 0].any() or alpha[:-1, -1].any())


def _levels(alpha: np.ndarray) -> np.ndarray:
    """Return alpha in 8 bits; only exact 0 and 1 become 0 and 255, since a trimap takes those as known."""
    least, most = np.where(alpha > 0, 1, 0), np.where(alpha < 1, 254, 255)
    return np.clip(np.rint(alpha * 255), least, most).astype(np.uint8)
