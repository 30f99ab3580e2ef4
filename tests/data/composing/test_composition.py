import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from small_pictures import photograph, soft_matte

from deepmatte.data.composing.composition import Composition
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.edges import draw_edge_pixel
from deepmatte.data.composing.tensors import to_tensor
from deepmatte.errors import InputError

JITTER = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}
SMALL = {"crop_sizes": (32, 48, 64), "size": 32, "erode": (1, 9), "dilate": (1, 9)}


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(recipe, foreground, alpha, background, rng, name="foreground"):
    return recipe.sample(Cutout(foreground, alpha, name), background, rng)


def fixed(recipe, foreground, alpha, background, rng, name="foreground"):
    return recipe.fixed(Cutout(foreground, alpha, name), background, rng)


@pytest.fixture(scope="module")
def layers():
    return photograph(90, 120, 0), soft_matte(90, 120, 0), photograph(70, 80, 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), deep=st.booleans(), jittered=st.booleans())
def test_every_sample_composes_exactly_and_keeps_the_ranges(seed, deep, jittered):
    alpha = soft_matte(90, 120, seed % 5).astype(np.uint16 if deep else np.uint8) * (257 if deep else 1)
    recipe = Composition(
        **SMALL,
        foreground_jitter=JITTER if jittered else None,
        background_jitter=JITTER if jittered else None,
    )
    rng = generator(seed)
    for made in (
        sample(recipe, photograph(90, 120, 0), alpha, photograph(70, 80, 1), rng),
        fixed(recipe, photograph(90, 120, 0), alpha, photograph(70, 80, 1), rng),
    ):
        a, f, b = (made[key].double() for key in ("alpha", "foreground", "background"))
        assert (made["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6
        torch.testing.assert_close(made["image"], made["composite"], rtol=0, atol=0)
        for key in ("image", "composite", "foreground", "background", "alpha"):
            assert made[key].dtype == torch.float32
            assert made[key].min() >= 0
            assert made[key].max() <= 1
            assert made[key].is_contiguous()
        assert made["trimap"].dtype == torch.uint8
        assert (made["alpha"][made["trimap"] == 0] == 0).all()
        assert (made["alpha"][made["trimap"] == 255] == 1).all()
        assert set(made["trimap"].unique().tolist()) <= {0, 128, 255}


def test_samples_have_the_shapes_of_a_batch(layers):
    made = sample(Composition(**SMALL), *layers, generator())
    shapes = {key: tuple(value.shape) for key, value in made.items()}
    colours = dict.fromkeys(("image", "composite", "foreground", "background"), (3, 32, 32))
    assert shapes == {**colours, "alpha": (1, 32, 32), "trimap": (1, 32, 32)}


def test_sample_is_a_function_of_its_generator(layers):
    recipe = Composition(**SMALL, foreground_jitter=JITTER, background_jitter=JITTER)
    for seed in range(6):
        one, two = (
            sample(recipe, *layers, generator(seed)),
            Composition(**SMALL, foreground_jitter=JITTER, background_jitter=JITTER),
        )
        two = sample(two, *layers, generator(seed))
        assert all(torch.equal(one[key], two[key]) for key in one)
    different = {sample(recipe, *layers, generator(seed))["image"].numpy().tobytes() for seed in range(20)}
    assert len(different) == 20


def test_layers_of_a_sample_are_crops_of_the_same_place(layers):
    # Colours that are a copy of alpha show whether crop, resize and flip treat both alike.
    alpha = layers[1]
    foreground = np.dstack([alpha] * 3)
    recipe = Composition(**SMALL)
    for seed in range(30):
        made = sample(recipe, foreground, alpha, layers[2], generator(seed))
        torch.testing.assert_close(made["foreground"][:1], made["alpha"], rtol=0, atol=0)


def test_unresized_sample_is_a_window_of_the_foreground_around_a_soft_pixel(layers):
    foreground, alpha, background = layers
    recipe = Composition(crop_sizes=(32,), size=32, flip=0.0, erode=(1, 1), dilate=(1, 1))
    windows = np.lib.stride_tricks.sliding_window_view(alpha, (32, 32))
    seen = set()
    for seed in range(40):
        made = sample(recipe, foreground, alpha, background, generator(seed))
        crop = np.round(made["alpha"][0].numpy() * 255).astype(np.uint8)
        places = np.argwhere((windows == crop).all((2, 3)))
        assert len(places) == 1
        top, left = places[0]
        np.testing.assert_array_equal(
            np.round(made["foreground"].numpy() * 255).astype(np.uint8).transpose(1, 2, 0),
            foreground[top : top + 32, left : left + 32],
        )
        centre = alpha[top + 16, left + 16]
        assert 0 < centre < 255 or top in (0, 90 - 32) or left in (0, 120 - 32)
        assert ((crop > 0) & (crop < 255)).any()
        seen.add((int(top), int(left)))
    assert len(seen) > 30


def test_edge_pixels_are_drawn_equally_often_from_the_soft_ones():
    alpha = np.zeros((7, 9), np.uint8)
    alpha[3, 2:8] = [1, 60, 254, 255, 128, 255]
    alpha[6, 8] = 9
    rng, num = generator(), 5000
    drawn = np.zeros((7, 9), int)
    for _ in range(num):
        drawn[draw_edge_pixel(alpha, rng)] += 1
    soft = (alpha > 0) & (alpha < 255)
    assert (drawn[~soft] == 0).all()
    # Chi-square with 4 degrees of freedom: 18.5 is exceeded once in a thousand times.
    assert ((drawn[soft] - num / 5) ** 2 / (num / 5)).sum() < 18.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_edge_pixels_of_a_hard_matte_lie_on_both_sides_of_its_edge(dtype):
    hard = np.where(soft_matte(40, 50, 0) > 128, np.iinfo(dtype).max, 0).astype(dtype)
    square = np.ones((3, 3), bool)
    edge = ndimage.binary_dilation(hard > 0, square) & ~ndimage.binary_erosion(
        hard > 0, square, border_value=1
    )
    rng = generator()
    drawn = {draw_edge_pixel(hard, rng) for _ in range(6000)}
    assert drawn == set(map(tuple, np.argwhere(edge)))


def test_hard_mattes_make_samples_with_both_zones_and_unknown_between():
    hard = np.where(soft_matte(90, 120, 0) > 128, 255, 0).astype(np.uint8)
    recipe = Composition(crop_sizes=(32,), size=32, erode=(3, 9), dilate=(3, 9))
    for seed in range(20):
        trimap = sample(recipe, photograph(90, 120, 0), hard, photograph(90, 120, 1), generator(seed))[
            "trimap"
        ]
        assert (trimap == 128).any()


@pytest.mark.parametrize("value", [0, 255])
def test_mattes_without_an_edge_are_refused_by_name(value):
    flat = np.full((90, 120), value, np.uint8)
    recipe = Composition(**SMALL)
    with pytest.raises(InputError, match=r"^brick: .*no edge"):
        sample(recipe, photograph(90, 120, 0), flat, photograph(90, 120, 1), generator(), name="brick")
    with pytest.raises(InputError, match=r"^brick: .*no unknown pixels"):
        fixed(recipe, photograph(90, 120, 0), flat, photograph(90, 120, 1), generator(), name="brick")


def test_crop_sizes_that_do_not_fit_are_left_out(layers):
    _, alpha, background = layers
    coarse = Composition(crop_sizes=(32, 64, 500), size=32, flip=0.0)
    sizes = set()
    for seed in range(30):
        # A ramp along x: the step between the columns of a crop of 32 shows how far it was shrunk.
        ramp = np.dstack([np.broadcast_to((np.arange(120) * 2).astype(np.uint8), alpha.shape)] * 3)
        colours = sample(coarse, ramp, alpha, background, generator(seed))["foreground"][0, 16]
        sizes.add(round(float((colours[-1] - colours[0]) * 255 / 31 / 2 * 32)))
    assert sizes == {32, 64}


def test_foregrounds_smaller_than_every_crop_are_refused_by_name(layers):
    recipe = Composition(crop_sizes=(100, 200), size=32)
    recipe.check_size("leaf", 100, 130)
    with pytest.raises(InputError, match=r"^leaf: 130x99 pixels .* crop of 100.*composition\.crop_sizes"):
        recipe.check_size("leaf", 99, 130)
    with pytest.raises(InputError, match=r"^leaf: 120x90"):
        sample(recipe, *layers, generator(), name="leaf")


def test_small_backgrounds_give_their_largest_square(layers):
    foreground, alpha, _ = layers
    tiny = np.zeros((10, 25, 3), np.uint8)
    tiny[:, :, 0] = np.arange(25) * 10
    made = sample(Composition(crop_sizes=(64,), size=64, flip=0.0), foreground, alpha, tiny, generator())
    red = made["background"][0, 32] * 255
    assert abs(float(red[-1] - red[0]) - 90) < 12


def test_jitter_changes_colours_but_never_alpha(layers):
    plain, jittered = (
        Composition(**SMALL, flip=0.0),
        Composition(**SMALL, flip=0.0, foreground_jitter=JITTER, background_jitter=JITTER),
    )
    for seed in range(5):
        one, two = sample(plain, *layers, generator(seed)), sample(jittered, *layers, generator(seed))
        torch.testing.assert_close(one["alpha"], two["alpha"], rtol=0, atol=0)
        assert not torch.equal(one["foreground"], two["foreground"])
        assert not torch.equal(one["background"], two["background"])


def test_fixed_samples_show_the_whole_foreground(layers):
    foreground, alpha, _ = layers
    made = fixed(Composition(**SMALL, foreground_jitter=JITTER), *layers, generator())
    np.testing.assert_array_equal(np.round(made["alpha"][0].numpy() * 255), alpha)
    np.testing.assert_array_equal(np.round(made["foreground"].numpy() * 255).transpose(1, 2, 0), foreground)
    assert made["background"].shape == (3, 90, 120)


def test_fixed_trimaps_are_of_the_middle_kernels(layers):
    """Whatever the generator: 5 of 1 to 9, grown by OpenCV's own ellipse."""
    alpha, kernel = layers[1], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for seed in range(4):
        trimap = fixed(Composition(**SMALL), *layers, generator(seed))["trimap"][0].numpy()
        np.testing.assert_array_equal(trimap > 0, cv2.dilate((alpha > 0).astype(np.uint8), kernel) > 0)


def test_fixed_samples_are_limited_to_max_side(layers):
    made = fixed(Composition(**SMALL, max_side=60), *layers, generator())
    reference = cv2.resize(layers[1].astype(np.float32), (60, 45), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(made["alpha"][0].numpy() - reference).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"crop_sizes": []}, "composition.crop_sizes"),
        ({"crop_sizes": [0, 32]}, "composition.crop_sizes"),
        ({"size": 0}, "composition.size"),
        ({"max_side": 0}, "composition.max_side"),
        ({"erode": [0, 3]}, "composition.erode"),
        ({"dilate": [9, 3]}, "composition.dilate"),
        ({"dilate": [9]}, "composition.dilate"),
        ({"flip": 1.5}, "composition.flip=1.5"),
        ({"flip": {"vertical": -1}}, r"composition.flip.vertical=-1"),
        (
            {"flip": {"upside": 0.5}},
            r"composition.flip.upside: unknown; there are horizontal, vertical, background",
        ),
        ({"foreground_jitter": {"colour": 0.1}}, "composition.foreground_jitter.colour"),
        ({"background_jitter": {"hue": 0.6}}, "composition.background_jitter.hue"),
    ],
)
def test_impossible_options_are_refused_by_their_key(options, key):
    with pytest.raises(InputError, match=rf"^{key}"):
        Composition(**options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tensors_hold_every_value_to_float_precision(dtype):
    scale = np.iinfo(dtype).max
    values = np.arange(scale + 1, dtype=dtype).reshape(16, -1)
    assert np.abs(to_tensor(values)[0].numpy().astype(float) - values / scale).max() <= 2**-25
    assert to_tensor(np.zeros((4, 5, 3), dtype)).shape == (3, 4, 5)
