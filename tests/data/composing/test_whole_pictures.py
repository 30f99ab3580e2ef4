"""Whole pictures squeezed into small squares, trimaps before the resize, augmentation of a share."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_pictures import photograph, soft_matte

from deepmatte.data import Composition
from deepmatte.data.composing.affine import warped
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.resize import Window
from deepmatte.data.composing.trimaps import resize_conservatively
from deepmatte.errors import InputError
from deepmatte.ops.trimap import trimap_from_alpha

WHOLE = {
    "crop": "whole",
    "size": 12,
    "erode": (3, 5),
    "dilate": (3, 5),
    "trimap_at": "source",
    "fixed_size": 12,
}
PLAIN = {"flip": 0.0, "affine": {}}


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pixels(plane: torch.Tensor) -> np.ndarray:
    return np.round(plane.numpy() * 255).astype(np.uint8).transpose(1, 2, 0).squeeze()


def covered_by_loop(trimap: np.ndarray, height: int, width: int) -> np.ndarray:
    """Every pixel of the source under an output pixel, also in part, counts; positions are fractions."""
    resized = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            seen = set()
            for row in range(trimap.shape[0]):
                for column in range(trimap.shape[1]):
                    meets_y = (
                        row * height < (y + 1) * trimap.shape[0] and (row + 1) * height > y * trimap.shape[0]
                    )
                    meets_x = (
                        column * width < (x + 1) * trimap.shape[1]
                        and (column + 1) * width > x * trimap.shape[1]
                    )
                    if meets_y and meets_x:
                        seen.add(int(trimap[row, column]))
            resized[y, x] = seen.pop() if len(seen) == 1 else 128
    return resized


@settings(max_examples=60, deadline=None)
@given(
    trimap=arrays(
        np.uint8,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.sampled_from([0, 0, 0, 128, 255, 255, 255]),
    ),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
)
def test_a_resized_trimap_knows_a_pixel_where_all_that_it_covers_is_known(trimap, height, width):
    np.testing.assert_array_equal(
        resize_conservatively(trimap, height, width), covered_by_loop(trimap, height, width)
    )


def test_one_unknown_pixel_of_a_large_block_is_not_lost():
    trimap = np.full((600, 800), 255, np.uint8)
    trimap[300, 400] = 128
    found = np.argwhere(resize_conservatively(trimap, 28, 28) == 128)
    assert found.tolist() == [[14, 14]]


def test_whole_samples_are_the_whole_layers_at_the_size_of_the_sample():
    foreground, alpha = photograph(90, 120, 0), soft_matte(90, 120, 0)
    background = photograph(90, 120, 1)
    made = Composition(**WHOLE | {"size": 30}, **PLAIN).sample(
        Cutout(foreground, alpha), background, generator()
    )
    for key, layer in (("foreground", foreground), ("alpha", alpha), ("background", background)):
        np.testing.assert_array_equal(
            pixels(made[key]), cv2.resize(layer, (30, 30), interpolation=cv2.INTER_AREA)
        )


def test_whole_samples_keep_the_shape_of_what_is_behind_as_they_do_that_of_the_foreground():
    """A foreground of 60x120 takes two thirds of the width of a background of 90x120, as ramps show."""
    y, x = np.mgrid[:120, :90].astype(np.uint8)
    ramp = np.dstack([x, y, y])
    made = Composition(**WHOLE, **PLAIN).sample(
        Cutout(photograph(120, 60, 0), soft_matte(120, 60, 0)), ramp, generator()
    )
    red, green = (made["background"][k].numpy() * 255 for k in (0, 1))
    assert abs(np.diff(red, axis=1).mean() - 60 / 12) < 0.2
    assert abs(np.diff(green, axis=0).mean() - 120 / 12) < 0.2


@pytest.mark.parametrize("kind", ["sample", "fixed"])
@pytest.mark.parametrize("deep", [False, True])
def test_trimaps_at_the_source_are_those_of_the_whole_matte_resized(kind, deep):
    alpha = soft_matte(90, 120, 0)
    matte = alpha.astype(np.uint16) * 257 if deep else alpha
    recipe = Composition(**WHOLE | {"erode": (5, 5), "dilate": (9, 9)}, **PLAIN)
    made = getattr(recipe, kind)(Cutout(photograph(90, 120, 0), matte), photograph(70, 80, 1), generator())
    np.testing.assert_array_equal(
        made["trimap"][0], resize_conservatively(trimap_from_alpha(alpha, 5, 9), 12, 12)
    )


def test_trimaps_at_the_source_of_a_crop_are_cut_from_that_of_the_whole_matte():
    alpha = soft_matte(90, 120, 0)
    recipe = Composition(crop_sizes=(32,), size=32, erode=(5, 5), dilate=(9, 9), trimap_at="source", **PLAIN)
    whole = trimap_from_alpha(alpha, 5, 9)
    windows = np.lib.stride_tricks.sliding_window_view(np.dstack([alpha, whole]), (32, 32), (0, 1))
    for seed in range(5):
        made = recipe.sample(Cutout(photograph(90, 120, 0), alpha), photograph(70, 80, 1), generator(seed))
        crop = np.stack([pixels(made["alpha"]), made["trimap"][0].numpy()])
        assert (windows == crop).all((2, 3, 4)).any()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    interpolation=st.sampled_from(["area", "random"]),
    size=st.sampled_from([9, 28, 150]),
)
def test_known_pixels_have_their_alpha_however_the_picture_is_turned(seed, interpolation, size):
    affine = {"probability": 0.8, "rotation": 40, "scale": [0.6, 1.6], "shear": 15, "overview": 0.2}
    options = {
        "size": size,
        "affine": affine,
        "interpolation": interpolation,
        "crop": ("edge", "whole")[seed % 2],
        "crop_sizes": (48, 64),
    }
    recipe = Composition(**WHOLE | options, merge=0.5)
    rng = generator(seed)
    cutouts = [Cutout(photograph(90, 120, k), soft_matte(90, 120, k)) for k in range(2)]
    made = recipe.sample(
        cutouts[0], photograph(70, 80, 3), rng, cutouts[1] if recipe.wants_second(rng) else None
    )
    assert (made["alpha"][made["trimap"] == 0] == 0).all()
    assert (made["alpha"][made["trimap"] == 255] == 1).all()
    assert set(made["trimap"].unique().tolist()) <= {0, 128, 255}
    a, f, b = (made[key].double() for key in ("alpha", "foreground", "background"))
    assert (made["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6


def test_a_quarter_turn_of_a_whole_picture_turns_its_trimap_with_it():
    """Of a square matte, the turned sample is numpy's own turn of the plain one, trimap and alpha."""
    alpha = soft_matte(120, 120, 2)
    cutout = Cutout(photograph(120, 120, 0), alpha, trimap=trimap_from_alpha(alpha, 5, 9), covers=True)
    turned = warped(cutout, Window(0, 0, 120, 120), np.array([[0.0, -1.0], [1.0, 0.0]]), 24, None)
    plain = cutout.whole(24, 24)
    np.testing.assert_array_equal(turned.trimap, np.rot90(plain.trimap))
    assert np.abs(turned.alpha.astype(int) - np.rot90(plain.alpha)).max() <= 1


def test_a_window_that_is_no_square_is_squeezed_after_the_turn():
    """Half a turn of a picture of 60x120 is the picture mirrored in both directions, then squeezed."""
    alpha = soft_matte(60, 120, 2)
    cutout = Cutout(photograph(60, 120, 0), alpha, trimap=trimap_from_alpha(alpha, 3, 5), covers=True)
    turned = warped(cutout, Window(0, 0, 60, 120), -np.eye(2), 20, None)
    np.testing.assert_array_equal(turned.trimap, resize_conservatively(cutout.trimap[::-1, ::-1], 20, 20))
    expected = cv2.resize(np.ascontiguousarray(alpha[::-1, ::-1]), (20, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(turned.alpha.astype(int) - expected).mean() < 4


def test_a_share_of_the_pictures_is_augmented_and_those_are_mirrored_and_turned_together():
    """Colours are coordinates, which fall along x where mirrored; a turned matte is neither."""
    x = np.broadcast_to(np.arange(120, dtype=np.uint8), (120, 120))
    cutout = Cutout(np.dstack([x, x, x]), soft_matte(120, 120, 0))
    affine = {"probability": 1.0, "rotation": 15, "scale": [1.0, 1.0]}
    recipe = Composition(**WHOLE, augment=0.5, flip=1.0, affine=affine)
    plain = cv2.resize(cutout.alpha, (12, 12), interpolation=cv2.INTER_AREA)
    mirrored, turned = [], []
    for seed in range(200):
        made = recipe.sample(cutout, np.dstack([x, x, x]), generator(seed))
        red = made["foreground"][0].numpy()
        mirrored.append(red[6, 11] < red[6, 0])
        turned.append(
            not any(np.array_equal(pixels(made["alpha"]), matte) for matte in (plain, plain[:, ::-1]))
        )
        assert mirrored[-1] == bool(made["background"][0, 6, 11] < made["background"][0, 6, 0])
    assert mirrored == turned
    assert 72 < sum(mirrored) < 128  # 100 +- 4 standard deviations


def test_without_augmentation_nothing_moves_and_with_all_of_it_the_stream_is_that_without_the_key():
    cutout, background = Cutout(photograph(90, 120, 0), soft_matte(90, 120, 0)), photograph(70, 80, 1)
    affine = {"probability": 0.5, "rotation": 15, "scale": [0.8, 1.25]}
    small = {"crop_sizes": (32, 48), "size": 32, "affine": affine}
    for seed in range(6):
        one, two = (
            Composition(**small, **more).sample(cutout, background, generator(seed))
            for more in ({}, {"augment": 1.0})
        )
        assert all(torch.equal(one[key], two[key]) for key in one)
        still = Composition(**WHOLE, augment=0.0, flip=1.0, affine=affine | {"probability": 1.0}).sample(
            cutout, background, generator(seed)
        )
        np.testing.assert_array_equal(
            pixels(still["alpha"]), cv2.resize(cutout.alpha, (12, 12), interpolation=cv2.INTER_AREA)
        )


def test_fixed_squares_do_not_depend_on_the_augmentation_and_show_in_the_digest():
    cutout, background = Cutout(photograph(90, 120, 0), soft_matte(90, 120, 0)), photograph(70, 80, 1)
    plain, augmented = Composition(**WHOLE, **PLAIN), Composition(**WHOLE, augment=0.5, flip=1.0)
    one, two = (recipe.fixed(cutout, background, generator()) for recipe in (plain, augmented))
    assert one["image"].shape == (3, 12, 12)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert plain.fixed_options() == augmented.fixed_options()
    others = [{"fixed_size": 13}, {"fixed_size": None}, {"trimap_at": "output"}, {"erode": (1, 3)}]
    assert len({repr(Composition(**WHOLE | change).fixed_options()) for change in [{}, *others]}) == 5


def test_whole_pictures_may_be_smaller_than_every_crop_but_not_flat():
    recipe = Composition(**WHOLE)
    recipe.check_size("leaf", 20, 30)
    recipe.sample(Cutout(photograph(20, 30, 0), soft_matte(20, 30, 0)), photograph(20, 30, 1), generator())
    flat = Cutout(photograph(20, 30, 0), np.full((20, 30), 255, np.uint8), "brick")
    with pytest.raises(InputError, match=r"^brick: its matte is constant"):
        recipe.sample(flat, photograph(20, 30, 1), generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": "all"}, r"^composition\.crop=all: choose edge or whole"),
        ({"trimap_at": "before"}, r"^composition\.trimap_at=before: choose output or source"),
        ({"fixed_size": 0}, r"^composition\.fixed_size=0"),
        ({"fixed_size": 28, "max_side": 28}, r"^composition\.fixed_size=28: .*max_side has to be null"),
        ({"augment": 1.5}, r"^composition\.augment=1\.5: a probability"),
    ],
)
def test_impossible_keys_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        Composition(**options)
