"""Rendering of samples: each is a pure function of (version, seed, split, index, size)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from deepmatte.data.procedural import feather, fur, hair, optics, photographs, scenes, textiles, translucent
from deepmatte.data.procedural.bodies import Layer
from deepmatte.data.procedural.fields import Array, natural_palette
from deepmatte.data.procedural.names import RELEASE, SPLITS, category, is_photograph

RENDERERS: dict[str, Callable[[Generator, int, Array], Layer]] = {
    "hair": hair.hair,
    "fur": fur.fur,
    "feather": feather.feather,
    "net": textiles.net,
    "lace": textiles.lace,
    "glass": translucent.glass,
    "veil": translucent.veil,
    "smoke": translucent.smoke,
    "defocus": optics.defocus,
    "motion": optics.motion,
    "foliage": optics.foliage,
}


def generator(seed: int, split: str, role: int, index: int) -> Generator:
    """Return the random generator of one sample; ``role`` is 0 for foregrounds, 1 for backgrounds."""
    return np.random.default_rng(np.random.SeedSequence([RELEASE, seed, SPLITS.index(split), role, index]))


def background(seed: int, split: str, index: int, size: int) -> NDArray[np.uint8]:
    """Return background number ``index`` of a split, uint8 (H, W, 3)."""
    rng = generator(seed, split, 1, index)
    image, _ = _backdrop(rng, split, index, size)
    return quantised(scenes.photographed(rng, image))


def _backdrop(rng: Generator, split: str, index: int, size: int) -> tuple[Array, Array]:
    """Return a background (H, W, 3) without camera effects, and its palette (5, 3)."""
    if is_photograph(index):
        image = photographs.crop(rng, split, index // 2, size)
        return image, photographs.palette_of(image)
    palette = natural_palette(rng)
    return scenes.scene(rng, index // 2, size, palette), palette


def background_palette(seed: int, split: str, index: int, size: int) -> Array:
    """Return the palette (5, 3) of background number ``index``; draws no scene."""
    rng = generator(seed, split, 1, index)
    if is_photograph(index):
        return photographs.palette_of(photographs.crop(rng, split, index // 2, size))
    return natural_palette(rng)


def foreground(seed: int, split: str, index: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the colours uint8 (H, W, 3) and alpha uint8 (H, W) of foreground number ``index`` of a split.

    Three in ten are camouflaged: painted in the colours of the background of the same number.
    """
    rng = generator(seed, split, 0, index)
    palette = natural_palette(rng)
    if rng.random() < 0.3:
        palette = background_palette(seed, split, index, size)
    layer = RENDERERS[category(index)](rng, size, palette)
    return quantised(layer.colour), quantised(layer.alpha)


def quantised(image: Array) -> NDArray[np.uint8]:
    """Return an image in [0, 1] rounded to uint8."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
