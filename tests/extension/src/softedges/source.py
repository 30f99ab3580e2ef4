"""A source of data: discs out of focus, drawn when they are loaded, whose mattes are a closed form."""

from __future__ import annotations

import hashlib

import numpy as np

from deepmatte.data.sources.protocols import Layers

SPLITS = ("train", "val", "test")


def disc(side: int, centre: tuple[float, float], radius: float, softness: float) -> np.ndarray:
    """Return the matte of a disc, float (side, side) in [0, 1].

    Along each ray it falls linearly from 1 at ``radius - softness`` to 0 at ``radius + softness``.
    """
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - centre[0], y - centre[1])
    return np.clip(0.5 + (radius - distance) / (2 * softness), 0, 1)


class Discs:
    """Discs of one colour gradient over backgrounds of another.

    Args:
        side: of every picture, in pixels.
        softness: half the width of an edge, in pixels.
        num_train: number of training foregrounds, and of backgrounds.
        num_val: the same for validation.
        num_test: the same for testing.
    """

    name = "discs"
    version = "1"

    def __init__(
        self,
        side: int = 128,
        softness: float = 3.0,
        num_train: int = 64,
        num_val: int = 8,
        num_test: int = 16,
    ) -> None:
        self.side, self.softness = side, softness
        self.num = {"train": num_train, "val": num_val, "test": num_test}

    def foregrounds(self, split: str) -> DiscSet:
        """Return the discs of a split."""
        return DiscSet(split, self.num[split], self.side, self.softness)

    def backgrounds(self, split: str) -> GradientSet:
        """Return the backgrounds of a split."""
        return GradientSet(split, self.num[split], self.side)


class _Drawn:
    """Pictures of one split; a picture depends on split, number and options alone."""

    kind = ""

    def __init__(self, split: str, num: int, *options: float) -> None:
        self.split, self.options = split, options
        self.names = [f"{self.kind}_{split}_{number:03d}" for number in range(num)]

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> str:
        """Return hexadecimal digits of what the pictures depend on beside their names."""
        return hashlib.sha256(repr(self.options).encode()).hexdigest()[:16]

    def generator(self, index: int) -> np.random.Generator:
        """Return the generator from which a picture is drawn."""
        return np.random.default_rng((len(self.kind), SPLITS.index(self.split), index))

    def gradient(self, rng: np.random.Generator) -> np.ndarray:
        """Return colours that change linearly over the picture, uint8 (side, side, 3)."""
        side = int(self.options[0])
        corners = rng.uniform(0, 255, (3, 3))
        y, x = np.mgrid[:side, :side][..., None] / max(side - 1, 1) / 2
        return (corners[0] * (1 - x - y) + corners[1] * x + corners[2] * y).round().astype(np.uint8)


class DiscSet(_Drawn):
    """The foregrounds of one split."""

    kind = "disc"

    def load(self, index: int) -> Layers:
        """Return colours and matte, uint8."""
        side, softness = self.options
        rng = self.generator(range(len(self))[index])
        radius = rng.uniform(0.2, 0.35) * side
        centre = tuple(rng.uniform(0.4, 0.6, 2) * side)
        alpha = disc(int(side), centre, radius, softness)
        return Layers(self.gradient(rng), (alpha * 255).round().astype(np.uint8))

    def category(self, index: int) -> str:
        """Return the kind of every foreground."""
        return "disc"


class GradientSet(_Drawn):
    """The backgrounds of one split."""

    kind = "gradient"

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 (side, side, 3)."""
        return self.gradient(self.generator(range(len(self))[index]))
