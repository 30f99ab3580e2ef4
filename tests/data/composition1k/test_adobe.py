"""Composition as Adobe's script does it, against the script's own arithmetic pixel by pixel in Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepmatte.data.composition1k.adobe import (
    ADOBE,
    Recipe,
    blended,
    composed,
    deviations,
    explain,
    pixel_sum,
)


def as_the_script(foreground: np.ndarray, alpha: np.ndarray, background: Image.Image) -> np.ndarray:
    """Python floats, one pixel after the other: the definition of the published test set."""
    height, width = alpha.shape
    ratio = max(width / background.width, height / background.height)
    if ratio > 1:
        size = math.ceil(background.width * ratio), math.ceil(background.height * ratio)
        background = background.resize(size, Image.Resampling.BICUBIC)
    pixels = np.array(background.crop((0, 0, width, height)))
    for y in range(height):
        for x in range(width):
            share = int(alpha[y, x]) / 255
            if share >= 1:
                pixels[y, x] = foreground[y, x]
            elif share > 0:
                both = zip(foreground[y, x].tolist(), pixels[y, x].tolist(), strict=True)
                pixels[y, x] = [int(share * f + (1 - share) * b) for f, b in both]
    return pixels


def layers(
    height: int, width: int, seed: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, Image.Image]:
    rng = np.random.default_rng(seed)
    alpha = rng.choice(np.array([0, 255, *rng.integers(1, 255, 6)], np.uint8), (height, width))
    foreground = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return foreground, alpha, Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 17),
    st.integers(1, 17),
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 25), st.integers(1, 25)),
)
def test_composites_equal_the_scripts_bit_for_bit(height, width, seed, size):
    foreground, alpha, background = layers(height, width, seed, size)
    np.testing.assert_array_equal(
        composed(foreground, alpha, background), as_the_script(foreground, alpha, background)
    )


def test_truncated_doubles_are_the_exact_quotient_or_one_less_where_that_is_whole():
    """Against integers: (a F + (255 - a) B) // 255 for all F and B of a few alphas; all 2^24 hold."""
    f, b = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    short = 0
    for a in (1, 5, 51, 85, 127, 128, 170, 204, 254):
        shape = (256, 256, 1)
        result = blended(
            f.astype(np.uint8).reshape(shape),
            np.full((256, 256), a, np.uint8),
            b.astype(np.uint8).reshape(shape),
        )[..., 0]
        exact = a * f + (255 - a) * b
        less = exact // 255 - result
        assert set(np.unique(less)) <= {0, 1}
        assert (exact[less == 1] % 255 == 0).all()
        short += int(less.sum())
    assert short > 0  # an integer compositor is not bit-exact


def test_rounded_composites_are_the_nearest_integers():
    foreground, alpha, background = layers(30, 30, 3, (30, 30))
    numbers = alpha[..., None].astype(int) * foreground + (255 - alpha[..., None].astype(int)) * np.asarray(
        background
    )
    np.testing.assert_array_equal(
        blended(foreground, alpha, np.asarray(background), "rounded"), (2 * numbers + 255) // 510
    )


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(resampler="Pillow bilinear"),
        Recipe(resampler="OpenCV bicubic"),
        Recipe(size="int(x + 1)"),
        Recipe(crop="at the centre"),
        Recipe(rounding="rounded"),
        Recipe(rounding="truncated from exact integers"),
        Recipe(resampler="OpenCV bilinear", size="int(x + 1)", rounding="rounded"),
    ],
    ids=lambda recipe: "; ".join(recipe.differences()),
)
def test_the_deviation_that_made_an_image_is_named(recipe):
    """The last one is a public script whose test set costs GCA 2.6 SAD."""
    rng = np.random.default_rng(0)
    alpha = np.zeros((97, 113), np.uint8)
    alpha[8:90, 8:105] = rng.integers(0, 256, (82, 97))
    foreground = rng.integers(0, 256, (97, 113, 3), dtype=np.uint8)
    background = Image.fromarray(rng.integers(0, 256, (50, 71, 3), dtype=np.uint8))
    image = composed(foreground, alpha, background, recipe)
    assert not np.array_equal(image, composed(foreground, alpha, background))
    said = explain(image, foreground, alpha, background)
    assert said == "; ".join(recipe.differences())


def test_exchanged_channels_other_sizes_and_foreign_images_are_named():
    foreground, alpha, background = layers(20, 30, 1, (31, 21))
    image = composed(foreground, alpha, background)
    assert (
        explain(image[..., ::-1], foreground, alpha, background)
        == "as the script does; red and blue exchanged"
    )
    assert explain(image[:-1], foreground, alpha, background) == "it has 30x19 pixels, its foreground 30x20"
    assert explain(255 - image, foreground, alpha, background).startswith("none of the known deviations")


def test_the_script_itself_is_tried_first():
    assert next(iter(deviations())) == ADOBE


def test_sums_tell_pictures_apart_that_have_the_same_bytes():
    pixels = np.arange(24, dtype=np.uint8)
    assert pixel_sum(pixels.reshape(2, 4, 3)) != pixel_sum(pixels.reshape(4, 2, 3))
