"""Every recipe keeps the matting equation; second foregrounds, maps, shadows, degradations, light."""

import functools

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from small_pictures import photograph, soft_matte
from tiny_run import compose

from deepmatte.batch import Batch
from deepmatte.data import Composition
from deepmatte.data.composing.affine import Affine, warped
from deepmatte.data.composing.augmentation import Degradation, HsvJitter
from deepmatte.data.composing.cutout import Cutout, union
from deepmatte.data.composing.edges import draw_edge_pixel, edge_index
from deepmatte.data.composing.options import Degrade, Hsv, group
from deepmatte.data.composing.resize import Window, two_thirds
from deepmatte.data.composing.shadow import cast_shadow
from deepmatte.data.composing.tensors import composited, to_srgb
from deepmatte.data.composing.trimaps import TrimapRecipe
from deepmatte.errors import InputError
from deepmatte.ops.compositing import composite

RECIPES = ("dim", "embedded", "gca", "portrait", "degrade", "none")
SMALL = ("composition.crop_sizes=[48,64]", "composition.size=48", "~budget")


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cutout(seed: int, height: int = 90, width: int = 120, deep: bool = False) -> Cutout:
    alpha = soft_matte(height, width, seed)
    return Cutout(
        photograph(height, width, seed), alpha.astype(np.uint16) * 257 if deep else alpha, f"number {seed}"
    )


@functools.cache
def recipe(name: str, *overrides: str) -> Composition:
    from deepmatte.config.build import build

    return build(compose("train", [f"composition={name}", *SMALL, *overrides]).composition, "composition")


def samples(made: Composition, num: int = 12, deep: bool = False) -> list[Batch]:
    found = []
    for seed in range(num):
        rng = generator(seed)
        second = cutout(seed + 50, deep=deep) if made.wants_second(rng) else None
        found.append(made.sample(cutout(seed, deep=deep), photograph(70, 80, seed), rng, second))
    return found


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_every_sample_of_every_recipe_composes_exactly(name, linear):
    made = recipe(name, f"composition.linear_light={linear}")
    for sample in samples(made) + samples(made, 3, deep=True):
        a, f, b = (sample[key].double() for key in ("alpha", "foreground", "background"))
        assert (sample["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6
        assert (sample["alpha"][sample["trimap"] == 0] == 0).all()
        assert (sample["alpha"][sample["trimap"] == 255] == 1).all()
        for key in ("image", "composite", "foreground", "background", "alpha"):
            assert sample[key].dtype == torch.float32
            assert sample[key].min() >= 0
            assert sample[key].max() <= 1 + 1e-6
            assert sample[key].shape[1:] == (48, 48)


@pytest.mark.parametrize("name", RECIPES)
def test_samples_of_every_recipe_are_functions_of_their_generator(name):
    again = recipe.__wrapped__(name)
    for one, two in zip(samples(recipe(name), 6), samples(again, 6), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", ["dim", "gca", "portrait", "none"])
def test_without_degradation_the_network_sees_the_composite(name):
    for sample in samples(recipe(name), 4):
        assert torch.equal(sample["image"], sample["composite"])


def test_gca_mirrors_the_foreground_along_both_axes_and_never_the_background():
    """As `RandomAffine(flip=0.5)` of GCA-Matting: two coins for the foreground, none for the background."""
    still = (
        "affine={probability:0,overview:0}",
        "hsv={hue:0,saturation:0,value:0}",
        "merge=0",
        "interpolation=area",
    )
    words = [f"composition.{word}" for word in still]
    flipped, plain = (
        samples(recipe("gca", *words), 80),
        samples(recipe("gca", *words, "composition.flip=0"), 80),
    )
    seen = {(): 0, (-1,): 0, (-2,): 0, (-2, -1): 0}  # none, left to right, upside down, both
    for one, two in zip(flipped, plain, strict=True):
        assert torch.equal(one["background"], two["background"])
        fits = [axes for axes in seen if torch.equal(one["alpha"], two["alpha"].flip(axes))]
        assert len(fits) == 1
        assert torch.equal(one["foreground"], two["foreground"].flip(fits[0]))
        seen[fits[0]] += 1
    # Four standard deviations of a binomial of 80 trials at a quarter are 15.5.
    assert all(abs(count - 20) < 15.5 for count in seen.values())


def test_a_number_flips_foreground_and_background_left_to_right_and_nothing_upside_down():
    """Draw for draw what the mapping that says the same does, and what it did before there was a mapping."""
    words = {"horizontal": 0.5, "background": 0.5}
    made = {
        key: samples(Composition(crop_sizes=(48,), size=48, flip=flip), 6)
        for key, flip in (("number", 0.5), ("words", words))
    }
    for one, two in zip(*made.values(), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_degradation_changes_the_image_alone_and_shadows_the_background():
    plain, degraded = samples(recipe("dim"), 30), samples(recipe("degrade"), 30)
    # A degraded picture has 8 bits, like every photograph; more than half a level is the work of a
    # degradation.
    changed = [float((sample["image"] - sample["composite"]).abs().max()) > 0.6 / 255 for sample in degraded]
    assert 15 < sum(changed) < 30
    assert all(
        torch.equal(one["foreground"], two["foreground"]) for one, two in zip(plain, degraded, strict=True)
    )
    darker = [
        float((two["background"] - one["background"]).mean())
        for one, two in zip(plain, degraded, strict=True)
    ]
    assert 3 < sum(value < 0 for value in darker) < 20
    assert max(darker) == 0


@pytest.mark.parametrize("backend", ["albumentations", "opencv"])
def test_defocus_blurs_the_background_alone(backend):
    """By a Gaussian, as SciPy has it; the border of OpenCV's and Pillow's is another."""
    blur, choice = "composition.defocus={probability: 1, sigma: [2, 2]}", f"composition.backend={backend}"
    for plain, blurred in zip(
        samples(recipe("dim", choice), 6), samples(recipe("dim", choice, blur), 6), strict=True
    ):
        assert torch.equal(plain["foreground"], blurred["foreground"])
        assert torch.equal(plain["alpha"], blurred["alpha"])
        wanted = gaussian_filter(plain["background"].numpy(), (0, 2, 2), truncate=3.5)
        inside = (slice(None), slice(8, -8), slice(8, -8))
        np.testing.assert_allclose(blurred["background"].numpy()[inside], wanted[inside], atol=1.6 / 255)


@pytest.mark.parametrize("deep", [False, True])
def test_two_foregrounds_look_like_one_on_the_other_on_the_background(deep):
    over, under, background = cutout(1, deep=deep), cutout(2, deep=deep), photograph(90, 120, 9).astype(float)
    one = union(over, under)
    scale = np.iinfo(one.alpha.dtype).max

    def lay(item, below):
        alpha = item.alpha[..., None] / scale
        return alpha * item.colours + (1 - alpha) * below

    # Half a level of the colours, and half a level of alpha at 8 bits, are lost to rounding.
    assert np.abs(lay(one, background) - lay(over, lay(under, background))).max() <= 1.5
    expected = 1 - (1 - over.alpha / scale) * (1 - under.alpha / scale)
    assert np.abs(one.alpha / scale - expected).max() <= 0.5 / scale + 1e-6


def test_a_second_foreground_that_would_hide_everything_stays_away():
    solid = Cutout(photograph(90, 120, 3), np.full((90, 120), 255, np.uint8))
    over = cutout(1)
    assert union(over, solid) is over


def test_second_foregrounds_come_as_often_as_told():
    made, rng = Composition(merge=0.5), generator()
    assert abs(sum(made.wants_second(rng) for _ in range(1000)) - 500) < 65
    state = rng.bit_generator.state
    assert not Composition().wants_second(rng)
    assert rng.bit_generator.state == state


def test_a_warp_shows_each_place_where_its_map_puts_it():
    # Colours that are coordinates tell where a pixel comes from.
    y, x = np.mgrid[:200, :200]
    picture = Cutout(np.dstack([x, y, 0 * x]).astype(np.uint8), (x > 0).astype(np.uint8) * 255)
    window, angle = Window(60, 70, 64, 64), np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = warped(picture, window, turn, 32, cv2.INTER_LINEAR).colours.astype(float)
    out = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1) + 0.5 - 16
    expected = out @ (2 * turn).T + [70 + 32, 60 + 32] - 0.5
    # Two roundings of colours; and OpenCV 4 rounds places to 1/32 of a pixel that is here two wide.
    assert np.abs(seen[..., :2] - expected).max() <= 1 + 2 / 32


def test_maps_stay_within_their_ranges():
    maps, sizes = Affine(1.0, rotation=30, scale=(0.8, 1.25), shear=10), []
    for seed in range(200):
        linear = np.linalg.inv(maps.draw(generator(seed), Window(0, 0, 50, 50), 100, 100))
        sizes.append(np.linalg.det(linear))
    assert 0.8**2 <= min(sizes) < 0.8
    assert 1.25 < max(sizes) <= 1.25**2


def test_overviews_show_most_of_a_foreground():
    made = Composition(crop_sizes=(48,), size=48, flip=0.0, affine={"overview": 1.0})
    shares = []
    for seed in range(10):
        item = cutout(seed, 200, 260)
        shares.append(
            float((made.sample(item, photograph(70, 80, 1), generator(seed))["alpha"] > 0).float().mean())
            / (item.alpha > 0).mean()
        )
    assert np.mean(shares) > 0.7


@pytest.mark.parametrize("shape", [(90, 120), (48, 51, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_thirds_by_areas_are_those_of_opencv(shape, dtype):
    pixels = generator().integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    reference = cv2.resize(pixels, (shape[1] // 3 * 2, shape[0] // 3 * 2), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(two_thirds(pixels), reference)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_in_one_pass_are_those_of_the_matting_equation(dtype):
    rng = generator()
    colours = [rng.integers(0, 256, (31, 40, 3), dtype=np.uint8) for _ in range(2)]
    planes = composited(*colours, rng.integers(0, np.iinfo(dtype).max, (31, 40), dtype=dtype, endpoint=True))
    assert torch.equal(
        planes["composite"], composite(planes["foreground"], planes["background"], planes["alpha"])
    )
    assert np.abs(planes["foreground"].numpy() - colours[0].transpose(2, 0, 1) / 255).max() < 1e-7


def test_linear_light_is_that_of_the_standard_and_comes_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, -1)
    opaque = np.full(levels.shape, 255, np.uint8)
    grey = np.dstack([levels] * 3)
    light = composited(grey, grey, opaque, linear_light=True)["foreground"]
    # IEC 61966-2-1: the levels of an 18 % card, of half of the light, and the ends.
    assert light[0, 0, [0, 118, 188, 255]].tolist() == pytest.approx([0, 0.1812, 0.5029, 1], abs=1e-4)
    assert np.array_equal((to_srgb(light) * 255).round().numpy()[0], levels)


def test_shadows_darken_by_their_strength_where_they_fall():
    background, alpha = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), np.uint8)
    alpha[10:20, 10:20] = 255
    shaded = cast_shadow(background, alpha, (15, 5), blur=0, strength=0.5)
    assert (shaded[15:25, 25:35] == 100).all()
    assert (shaded == 200).sum() == background.size - 300


def test_hue_turns_and_reflected_shifts_stay_in_range():
    colours = photograph(40, 50, 1)
    jitter = HsvJitter(Hsv(hue=40, saturation=0.5, value=0.5))
    moved = [jitter(generator(seed), colours, np.full((40, 50), 255, np.uint8)) for seed in range(8)]
    assert len({picture.tobytes() for picture in moved}) == 8
    assert HsvJitter(Hsv())(generator(), colours, colours[..., 0]) is colours
    # A hue alone leaves the largest of the three colours of a pixel what it is.
    turned = HsvJitter(Hsv(hue=40))(generator(), colours, np.full((40, 50), 255, np.uint8))
    assert np.abs(turned.max(2).astype(int) - colours.max(2)).max() <= 1
    assert np.abs(turned.astype(int) - colours).max() > 20


def test_an_index_of_edges_draws_the_pixels_that_the_matte_does():
    for alpha in (soft_matte(70, 90, 1), np.where(soft_matte(70, 90, 2) > 128, 255, 0).astype(np.uint8)):
        index = edge_index(alpha)
        soft = (alpha > 0) & (alpha < 255)
        if soft.any():
            assert index.tolist() == np.cumsum(soft.sum(1)).tolist()
        for seed in range(40):
            assert draw_edge_pixel(alpha, generator(seed), index) == draw_edge_pixel(alpha, generator(seed))


def test_given_trimaps_follow_their_foreground_and_yield_to_alpha():
    item = cutout(1)
    given = np.where(item.alpha > 0, 255, 0).astype(np.uint8)
    item = Cutout(item.colours, item.alpha, trimap=given)
    made = Composition(crop_sizes=(64,), size=48, trimap="given", affine={"probability": 0.5, "rotation": 20})
    for seed in range(10):
        sample = made.sample(item, photograph(70, 80, 1), generator(seed))
        soft = (sample["alpha"] > 0) & (sample["alpha"] < 1)
        assert (sample["trimap"][soft] == 128).all()
        assert (sample["trimap"][sample["alpha"] == 1] == 255).float().mean() > 0.95
    with pytest.raises(InputError, match=r"^number 1: has no trimap of its own.*composition\.trimap=given"):
        made.sample(cutout(1), photograph(70, 80, 1), generator())


def test_distances_are_drawn_independently_from_their_ranges():
    alpha, rng = np.zeros((41, 100), np.uint8), generator()
    alpha[:, 50:] = 255
    rows = [TrimapRecipe("distances", (0, 4), (10, 12))(alpha, None, rng, "x")[20] for _ in range(200)]
    widths = {(int((row[50:] == 128).sum()), int((row[:50] == 128).sum())) for row in rows}
    assert {inside for inside, _ in widths} == {0, 1, 2, 3}
    assert {outside for _, outside in widths} == {10, 11}
    assert len(widths) == 8


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"trimap": "drawn"}, "composition.trimap=drawn"),
        ({"trimap": "distances", "erode": [-1, 3]}, "composition.erode"),
        ({"erode": [1.5, 3]}, "composition.erode"),
        ({"merge": 2}, "composition.merge"),
        ({"interpolation": "best"}, "composition.interpolation"),
        ({"affine": {"angle": 3}}, r"composition.affine.angle"),
        ({"affine": {"probability": 3}}, r"composition.affine.probability"),
        ({"affine": {"scale": [2, 1]}}, r"composition.affine.scale"),
        ({"affine": {"scale": 3}}, r"composition.affine.scale=3: has to be two numbers"),
        ({"affine": {"rotation": "far"}}, r"composition.affine.rotation=far: has to be a number"),
        ({"shadow": {"strength": "dark"}}, "composition.shadow.strength=dark"),
        ({"degrade": {"jpeg": {"quality": 50}}}, "composition.degrade.jpeg.quality=50"),
        ({"degrade": {"jpeg": {"probability": "often"}}}, "composition.degrade.jpeg.probability=often"),
        ({"hsv": {"brightness": 0.1}}, "composition.hsv.brightness"),
        ({"hsv": {"hue": 200}}, "composition.hsv.hue"),
        ({"shadow": {"colour": 1}}, "composition.shadow.colour"),
        ({"shadow": {"strength": [0.5, 2]}}, "composition.shadow.strength"),
        ({"degrade": {"fog": {}}}, "composition.degrade.fog"),
        ({"degrade": {"jpeg": {"level": [1, 2]}}}, "composition.degrade.jpeg.level"),
        ({"degrade": {"jpeg": {"quality": [90, 20]}}}, "composition.degrade.jpeg.quality"),
        ({"degrade": {"noise": {"probability": -1}}}, "composition.degrade.noise.probability"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_their_key(options, key):
    with pytest.raises(InputError, match=rf"^{key}"):
        Composition(**options)


def test_degradations_off_are_no_work():
    assert not Degradation(group(Degrade, {"jpeg": {"probability": 0.0}}, "x"), "opencv")
    assert Degradation(group(Degrade, {"jpeg": {"probability": 0.1}}, "x"), "opencv")
