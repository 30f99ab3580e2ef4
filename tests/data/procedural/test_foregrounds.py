import cv2
import numpy as np
import pytest

from deepmatte.data.procedural import photographs, render
from deepmatte.data.procedural.bodies import finish
from deepmatte.data.procedural.fields import extend_colours, fractal, ramp
from deepmatte.data.procedural.names import CYCLE, SPLITS, category, is_photograph
from deepmatte.data.procedural.optics import disc, streak
from deepmatte.data.procedural.raster import Canvas

SIZE = 128


@pytest.fixture(scope="module")
def drawn():
    return {CYCLE[i]: render.foreground(5, "val", i, SIZE) for i in range(len(CYCLE))}


@pytest.mark.parametrize("kind", sorted(set(CYCLE)))
def test_every_kind_has_partial_alpha_known_background_and_varied_colours(drawn, kind):
    colour, alpha = drawn[kind]
    assert colour.shape == (SIZE, SIZE, 3)
    assert alpha.shape == (SIZE, SIZE)
    assert colour.dtype == alpha.dtype == np.uint8
    partial = ((alpha > 0) & (alpha < 255)).mean()
    assert 0.02 < partial < 0.95
    assert (alpha == 0).mean() > 0.03
    assert colour[alpha > 0].std() > 3


@pytest.mark.parametrize("kind", ["hair", "fur"])
def test_strands_grow_on_an_opaque_body(drawn, kind):
    assert (drawn[kind][1] == 255).mean() > 0.1


@pytest.mark.parametrize("kind", ["veil", "smoke", "glass"])
def test_translucent_kinds_have_large_areas_of_intermediate_alpha(drawn, kind):
    alpha = drawn[kind][1]
    assert ((alpha > 20) & (alpha < 235)).mean() > 0.05


def test_the_kinds_repeat_in_order_and_all_meet_photographs_and_scenes():
    assert [category(i) for i in range(16, 32)] == list(CYCLE)
    seen = {(category(i), is_photograph(i)) for i in range(32)}
    assert seen == {(kind, photo) for kind in CYCLE for photo in (False, True)}


def test_an_object_of_one_colour_has_that_colour_everywhere():
    alpha = np.zeros((40, 40))
    alpha[10:20, 12:30], alpha[9, 12:30] = 1, 0.3
    tint = np.array([0.8, 0.5, 0.1])
    extended = extend_colours(alpha[..., None] * tint, alpha)
    np.testing.assert_allclose(extended, np.broadcast_to(tint, (40, 40, 3)), atol=1e-9)


def test_lens_blur_keeps_the_matting_equation():
    # the blurred composite with a plain background must equal the composite of the blurred layer
    canvas, grey = Canvas(48), 0.4
    canvas.polygon(np.array([[10.2, 8.1], [38.7, 15.3], [22.4, 40.9]]), np.array([0.9, 0.2, 0.6]))
    sharp = canvas.premultiplied + grey * (1 - canvas.alpha[..., None])
    seen = cv2.GaussianBlur(sharp, (0, 0), 0.7)
    layer = finish(np.random.default_rng(0), canvas, lens=0.7, noise=0.0)
    a = layer.alpha[..., None]
    np.testing.assert_allclose(a * layer.colour + grey * (1 - a), seen, atol=0.5 / 255)


def test_defocused_edge_is_the_area_of_a_circular_segment():
    radius = 7.3
    kernel = disc(radius)
    half = len(kernel) // 2
    for distance in (-5, -2, 0, 3, 6):  # an edge halfway between two columns
        d = np.clip((distance + 0.5) / radius, -1, 1)
        segment = 1 - (np.arccos(d) - d * np.sqrt(1 - d**2)) / np.pi
        assert kernel[:, : half + distance + 1].sum() == pytest.approx(segment, abs=0.004)


def test_streak_is_as_long_as_the_motion_and_centred():
    kernel = streak(30.0, 0.4, 0.0)
    assert kernel.sum() == pytest.approx(1)
    y, x = np.indices(kernel.shape) - len(kernel) // 2
    assert abs((kernel * x).sum()) < 0.1
    # variance of a uniform segment of length L is L^2 / 12
    assert (kernel * (x * np.cos(0.4) + y * np.sin(0.4)) ** 2).sum() == pytest.approx(30**2 / 12, rel=0.03)


def test_noise_has_the_requested_spectrum():
    fields = [fractal(np.random.default_rng(i), 256, 2.0) for i in range(4)]
    power = np.mean([np.abs(np.fft.fft2(f)) ** 2 for f in fields], 0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    keep = (f > 0.02) & (f < 0.4)
    slope = np.polyfit(np.log(f[keep]), np.log(power[keep]), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.1)


def test_ramp_equals_the_palette_at_its_ends_and_middle():
    palette = np.array([[0.0, 0, 0], [0.5, 0.2, 0.1], [1, 1, 1]])
    np.testing.assert_allclose(ramp(palette, np.array([-1.0, 0.5, 2.0])), palette, atol=2e-4)


def test_no_photograph_is_in_two_splits_and_all_are_installed():
    names = [name for split in SPLITS for name in photographs.PHOTOGRAPHS[split]]
    assert len(set(names)) == len(names)
    for name in names:
        assert min(photographs.photograph(name).shape[:2]) >= 300
