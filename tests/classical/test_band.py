"""Trimaps of masks: the band covers what is fractional, and no more than it has to."""

from __future__ import annotations

import numpy as np
import pytest

from deepmatte.classical import band, segmentation
from deepmatte.classical.band import trimap_of_mask
from deepmatte.classical.segmentation import Box, segment, strokes_of_box
from deepmatte.errors import InputError

y, x = np.mgrid[:96, :160]
RNG = np.random.default_rng(0)
WARM, COLD = np.array([0.9, 0.6, 0.1]), np.array([0.1, 0.2, 0.7])


def picture(alpha: np.ndarray, noise: float = 0.01) -> np.ndarray:
    """Return the composite of two colours, with some noise."""
    colours = alpha[..., None] * WARM + (1 - alpha[..., None]) * COLD
    return np.clip(colours + noise * RNG.standard_normal(colours.shape), 0, 1)


def edge(ramp: float) -> np.ndarray:
    """Return a matte whose edge, down the middle, is a ramp of that many pixels."""
    return np.clip((x - 79.5) / ramp + 0.5, 0, 1)


def disc(radius: float) -> np.ndarray:
    return np.hypot(y - 48, x - 80) < radius


def doubled(values: np.ndarray) -> np.ndarray:
    """Return a picture at twice its size."""
    return np.repeat(np.repeat(values, 2, 0), 2, 1)


def width_of(trimap: np.ndarray) -> float:
    """Return the mean width of an upright band in pixels."""
    return float((trimap == 128).sum(1).mean())


def test_a_band_of_given_width_has_all_pixels_that_are_as_near_to_the_other_side() -> None:
    mask = disc(30)
    trimap = trimap_of_mask(picture(mask), mask, width=7)
    ours, other = np.argwhere(mask), np.argwhere(~mask)
    for side, value, others in ((ours, 255, other), (other, 0, ours)):
        for pixel in side[:: len(side) // 50]:
            near = np.sqrt(((others - pixel) ** 2).sum(1)).min() <= 7
            assert trimap[tuple(pixel)] == (128 if near else value)


def test_the_band_is_as_wide_as_the_edge_is_blurred() -> None:
    widths = [width_of(trimap_of_mask(picture(edge(ramp)), edge(ramp) >= 0.5)) for ramp in (1, 6, 12)]
    assert widths[0] <= 6
    assert widths[0] + 3 < widths[1] < widths[2] - 1


@pytest.mark.parametrize("ramp", [1, 4, 8])
def test_every_fractional_pixel_of_a_blurred_edge_is_unknown(ramp: float) -> None:
    alpha = edge(ramp)
    trimap = trimap_of_mask(picture(alpha), alpha >= 0.5)
    assert (trimap[(alpha > 0.03) & (alpha < 0.97)] == 128).all()


def test_strands_that_the_mask_cuts_off_are_unknown_and_only_their_side_is_wide() -> None:
    body = disc(25)
    strands = (x >= 80) & (x < 80 + 25 + 7) & (np.abs(y - 48) < 16) & (y % 4 == 0)
    alpha = np.where(strands & ~body, 0.8, body)
    trimap = trimap_of_mask(picture(alpha), body)
    assert (trimap[strands & ~body] == 128).mean() > 0.95
    mirrored = (strands & ~body)[:, ::-1]
    assert (np.roll(trimap, -1, 1)[mirrored] == 128).mean() < 0.45


def test_the_masks_own_edge_is_unknown_even_where_the_picture_shows_none() -> None:
    mask = disc(30)
    trimap = trimap_of_mask(np.full((96, 160, 3), 0.5), mask)
    border = mask & ~np.roll(mask, 1, 1)
    assert (trimap[border] == 128).all()
    assert (trimap[disc(15)] == 255).all()
    assert (trimap[~disc(46)] == 0).all()


def test_a_large_picture_has_the_band_of_its_smaller_self(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = edge(6)
    small = trimap_of_mask(picture(alpha), alpha >= 0.5)
    monkeypatch.setattr(band, "WORKING_SIDE", 160)
    large = trimap_of_mask(doubled(picture(alpha)), doubled(alpha >= 0.5))
    assert width_of(large) == pytest.approx(2 * width_of(small), rel=0.3)


@pytest.mark.parametrize(
    ("mask", "width", "message"),
    [
        (np.zeros((96, 160), bool), "auto", "the mask has no foreground"),
        (np.ones((96, 160), bool), 5, "the mask has no background"),
        (disc(4), 9, "width=9 leaves no foreground known: give a smaller one"),
    ],
)
def test_a_mask_without_an_edge_or_within_it_is_refused(mask: np.ndarray, width: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trimap_of_mask(picture(disc(20)), mask, width)


# ---- masks of boxes and strokes ---------------------------------------------------------------------------


def test_a_box_around_a_disc_cuts_it_out() -> None:
    image = picture(disc(30))
    mask = segment(image, strokes_of_box(Box(40, 10, 80, 76), 96, 160))
    assert (mask != disc(30)).mean() < 0.002


def test_strokes_decide_which_of_two_discs_is_meant_and_are_kept() -> None:
    one, two = np.hypot(y - 48, x - 40) < 20, np.hypot(y - 48, x - 120) < 20
    image = picture(one | two)
    strokes = np.full((96, 160), 128, np.uint8)
    strokes[48, 35:45] = 255
    strokes[5, 20:140] = strokes[30:66, 120] = 0
    strokes[48, 80] = 255  # on the background's colour, where GrabCut may call it what it likes
    mask = segment(image, strokes)
    assert mask[one].all()
    assert mask[48, 80]
    assert not mask[30:66, 120].any()


def test_thin_strokes_survive_the_smaller_working_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "WORKING_SIDE", 80)
    strokes = np.full((192, 320), 128, np.uint8)
    strokes[96, 140:180], strokes[5, 20:300] = 255, 0
    mask = segment(doubled(picture(disc(30))), strokes)
    assert (mask != doubled(disc(30))).mean() < 0.02


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box(3, 3, 0, 5), "box 3,3,0,5: is empty"),
        (Box(3, 3, 5, -2), "is empty"),
        (Box(-1, 0, 5, 5), "reaches beyond the picture of 160x96 pixels"),
        (Box(150, 0, 11, 5), "reaches beyond the picture"),
        (Box(500, 500, 3, 3), "reaches beyond the picture"),
        (Box(0, 0, 160, 96), "is all of the picture"),
    ],
)
def test_a_box_that_can_not_be_is_refused(box: Box, message: str) -> None:
    with pytest.raises(InputError, match=message):
        strokes_of_box(box, 96, 160)


def test_a_box_of_a_single_colour_is_no_crash() -> None:
    with pytest.raises(InputError, match="GrabCut finds no foreground"):
        segment(np.full((96, 160, 3), 0.5), strokes_of_box(Box(40, 10, 80, 76), 96, 160))
