"""Captured backgrounds: drawn for each sample, apart from all else, in the published order and ranges."""

import math

import numpy as np
import pytest
import torch
from small_pictures import photograph, soft_matte

from deepmatte.data import Composition, FixedCompositionDataset
from deepmatte.data.composing.captured import Captured, Capturing
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.options import group
from deepmatte.data.sources.protocols import OwnBackground
from deepmatte.errors import InputError

OFF = {"shadow": {"probability": 0}, "noise": {"probability": 0}, "jitter": {"probability": 0}}
NOTHING = {**OFF, "affine": {"probability": 0}}
LAYERS = ("image", "composite", "foreground", "background", "alpha", "trimap")


def sample(seed: int = 0, **captured):
    made = Composition([64], 64, erode=[1, 9], dilate=[1, 9], captured={"plate": True, **captured})
    rng = np.random.default_rng(seed)
    cutout = Cutout(photograph(90, 120, seed), soft_matte(90, 120, seed))
    return made.sample(cutout, photograph(100, 90, seed + 7), rng)


def test_without_a_plate_samples_stay_what_they_are_and_with_one_all_else_does():
    plain = Composition([64], 64, erode=[1, 9], dilate=[1, 9], shadow={"probability": 0.5})
    for captured in ({}, {"plate": True, **NOTHING}):
        made = Composition(
            [64], 64, erode=[1, 9], dilate=[1, 9], shadow={"probability": 0.5}, captured=captured
        )
        for seed in range(4):
            cutout = Cutout(photograph(90, 120, seed), soft_matte(90, 120, seed))
            one, two = (
                recipe.sample(cutout, photograph(100, 90, 7), np.random.default_rng(seed))
                for recipe in (plain, made)
            )
            assert all(torch.equal(one[key], two[key]) for key in LAYERS)
            assert ("captured_background" in two) is bool(captured)


def test_an_undisturbed_plate_is_the_background_and_the_shadow_of_the_recipe_spares_it():
    made = sample(**NOTHING)
    assert torch.equal(made["captured_background"], made["background"])
    composition = Composition([64], 64, shadow={"probability": 1}, captured={"plate": True, **NOTHING})
    cutout = Cutout(photograph(90, 120, 0), soft_matte(90, 120, 0))
    made = composition.sample(cutout, photograph(100, 90, 7), np.random.default_rng(0))
    assert (made["captured_background"] >= made["background"]).all()
    assert (made["captured_background"] > made["background"]).any()


def test_the_shadow_darkens_the_background_of_the_image_alone_by_at_most_its_strength():
    options = {**NOTHING, "shadow": {"probability": 1, "strength": [0.3, 0.3]}}
    loss = torch.stack(
        [
            made["captured_background"] - made["background"]
            for made in (sample(seed, **options) for seed in range(6))
        ]
    )
    assert loss.min() >= 0
    assert 0.2 < loss.max() <= 0.3 + 1 / 255
    for seed in range(3):
        made = sample(seed, **options)
        exact = made["alpha"] * made["foreground"] + (1 - made["alpha"]) * made["background"]
        assert torch.equal(made["composite"], exact)
        assert torch.equal(made["image"], made["composite"])


def test_noise_is_drawn_for_each_sample_and_apart_for_image_and_plate():
    grains = []
    for seed in range(40):
        made = sample(seed, **{**NOTHING, "noise": {"probability": 1}})
        inside = (made["composite"] > 0.15) & (made["composite"] < 0.85)
        plain = (made["background"] > 0.15) & (made["background"] < 0.85)
        grains.append(
            (
                float((made["image"] - made["composite"])[inside].std()) * 255,
                float((made["captured_background"] - made["background"])[plain].std()) * 255,
            )
        )
    image, plate = np.array(grains).T
    for deviations in (image, plate):  # U(0, 7.65)
        assert deviations.max() < 8
        assert deviations.mean() == pytest.approx(3.83, abs=1)
        assert deviations.std() == pytest.approx(7.65 / math.sqrt(12), abs=0.7)
    assert (np.abs(image - plate) > 1).sum() > 20  # not one draw for both


def test_misalignment_moves_the_plate_by_at_most_a_degree_and_a_hundredth():
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    capturing = Capturing(group(Captured, {**OFF, "affine": {"probability": 1}}, "x"), "opencv")
    bound = 2 + math.tan(math.radians(1)) * 100 + 1
    moved = []
    for seed in range(30):
        capturing.options.__dict__.update(
            group(Captured, {**OFF, "affine": {"probability": 1}}, "x").__dict__
        )
        _, plate = capturing.disturbed(np.random.default_rng(seed), torch.zeros(3, 1, 1), ramp)
        inner = plate[10:-10, 10:-10].astype(float) - ramp[10:-10, 10:-10]
        moved.append(np.abs(inner).max())
    assert max(moved) <= bound
    assert np.median(moved) > 0.5
    assert len(set(moved)) > 1


def test_the_published_probabilities_and_ranges_are_the_defaults():
    options = Captured()
    assert (options.shadow.probability, options.noise.probability) == (0.3, 0.4)
    assert (options.jitter.probability, options.affine.probability) == (0.8, 0.3)
    assert options.noise.sigma == (0, pytest.approx(0.03 * 255))


class Pictures:
    names = ("one", "two")

    def __len__(self):
        return 2

    def load(self, index):
        return photograph(60, 80, index), soft_matte(60, 80, index)

    def category(self, index):
        return ""


class Backgrounds(Pictures):
    def load(self, index):
        return photograph(70, 90, index + 5)


def fixed(captured):
    composition = Composition([32], 32, erode=[3, 3], dilate=[3, 3], captured=captured)
    layers = Pictures(), Backgrounds()
    return FixedCompositionDataset(*layers, composition, name="x", version="1", split="test")


def test_scored_plates_are_the_background_itself_or_always_disturbed_alike():
    plain, with_plate = fixed(None), fixed({"plate": True})
    disturbed, again = (
        fixed({"plate": True, "in_evaluation": True, "shadow": {"probability": 1}}) for _ in "ab"
    )
    assert "captured_background" in with_plate.serves
    assert "captured_background" not in plain.serves
    for index in range(2):
        assert torch.equal(with_plate[index]["captured_background"], with_plate[index]["background"])
        assert torch.equal(with_plate[index]["image"], plain[index]["image"])
        assert not torch.equal(disturbed[index]["image"], plain[index]["image"])
        assert torch.equal(disturbed[index]["captured_background"], again[index]["captured_background"])
    # Comparable with runs without plates, as long as the pictures are the same.
    assert plain.digest() == with_plate.digest() != disturbed.digest() == again.digest()


def test_photographs_over_their_own_background_have_no_plate():
    composition = Composition([32], 32, captured={"plate": True})
    with pytest.raises(InputError, match=r"^composition\.captured\.plate=True: needs layers"):
        FixedCompositionDataset(Pictures(), OwnBackground(), composition, name="x", version="1", split="test")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"plate": 1}, r"^composition\.captured\.plate=1: give true or false"),
        (
            {"noise": {"sigma": [3, 1]}},
            r"^composition\.captured\.noise\.sigma=\[3, 1\]: numbers between 0 and 255",
        ),
        ({"affine": {"shift": 2}}, r"^composition\.captured\.affine\.shift=2: numbers between 0 and 1"),
        ({"blur": {}}, r"^composition\.captured\.blur: unknown; there are plate,"),
    ],
)
def test_bad_options_are_named(keys, message):
    with pytest.raises(InputError, match=message):
        Composition(captured=keys)
