"""Clips: samples in a row that show the same layers, each moved by what was drawn for it."""

import numpy as np
import pytest
import torch
from small_pictures import photograph, refused, soft_matte

from deepmatte.batch import Matte
from deepmatte.data import Composition, CompositionDataset, FolderData, collate
from deepmatte.data.composing.clip import Clip, Frame
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.resize import Window
from deepmatte.errors import InputError
from deepmatte.losses.consistency import temporal_loss

STILL = {"shift": 0, "rotation": 0, "scale": 0, "background": 0}
SMALL = {"crop_sizes": [64], "size": 64, "erode": [1, 5], "dilate": [1, 5]}


def frames(num: int = 2, seed: int = 0, recipe: dict | None = None, **clip):
    """The frames of one clip of a disc on noise, over noise."""
    made = Composition(**SMALL | {"flip": 0} | (recipe or {}), clip={"frames": num, **STILL, **clip})
    cutout = Cutout(photograph(150, 140, 1), soft_matte(150, 140, 2))
    behind = photograph(130, 160, 3)
    return [made.sample(cutout, behind, np.random.default_rng(seed), frame=frame) for frame in range(num)]


def places(num: int = 2, seed: int = 0, **clip) -> list[np.ndarray]:
    """Where pixels of the frames are in their pictures, (x, y): what foreground and background show.

    The pictures are ramps, whose colours are the places. Of a foreground, the matte is a ramp, too.
    """
    y, x = np.mgrid[:150, :140].astype(np.uint8)
    ramps, alpha = np.dstack([x, y, x]), x + 1
    made = Composition(**SMALL | {"flip": 0}, clip={"frames": num, **STILL, **clip})
    found = []
    for frame in range(num):
        sample = made.sample(Cutout(ramps, alpha), ramps, np.random.default_rng(seed), frame=frame)
        shown = [(255 * sample[key][:2]).round().numpy() for key in ("foreground", "background")]
        np.testing.assert_allclose(255 * sample["alpha"][0].numpy() - 1, shown[0][0], atol=1)  # it moves, too
        found.append(np.stack(shown))
    return found


def test_without_motion_all_frames_are_the_same_but_for_their_own_noise():
    layers = ("composite", "foreground", "background", "alpha", "trimap")
    jitter = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}
    recipe = {
        "flip": 0.5,
        "foreground_jitter": jitter,
        "background_jitter": jitter,
        "affine": {"probability": 0.5, "rotation": 20},
        "degrade": {"noise": {"probability": 1, "sigma": [5, 5]}},
    }
    for seed in range(6):
        one, two = frames(seed=seed, recipe=recipe)
        assert all(torch.equal(one[key], two[key]) for key in layers)
        noise, other = (made["image"] - made["composite"] for made in (one, two))
        assert noise.std() > 0.01
        assert abs(np.corrcoef(noise.flatten(), other.flatten())[0, 1]) < 0.05


def test_a_shift_moves_foreground_and_matte_together_at_most_as_far_as_it_says_and_evenly():
    speeds = []
    for seed in range(40):
        one, two, three = places(3, seed, shift=0.05)
        assert np.array_equal(one[1], three[1])  # the background stays
        steps = [np.median(after[0] - before[0], (1, 2)) for before, after in ((one, two), (two, three))]
        np.testing.assert_allclose(*steps, atol=1)  # rounded to whole colours, before and after
        speeds.append(np.mean(steps, 0))
    assert np.abs(speeds).max() <= 0.05 * 64 + 0.5
    np.testing.assert_allclose(np.std(speeds, axis=0), 0.05 * 64 / np.sqrt(3), rtol=0.25)  # uniform


def test_the_background_has_a_motion_of_its_own_and_stops_at_the_border_of_its_picture():
    speeds = []
    for seed in range(40):
        one, two = places(2, seed, background=0.1)
        assert np.array_equal(one[0], two[0])
        step = (two[1] - one[1]).reshape(2, -1)
        assert np.array_equal(step.min(1), step.max(1))
        speeds.append(step[:, 0])
    assert 2 < np.abs(speeds).max() <= 0.1 * 64 + 1
    clip = Clip(frames=2, background=1)
    for seed in range(50):
        seen = Frame(clip, np.random.default_rng(seed), 1).background(Window(3, 5, 20, 30), 25, 40)
        assert 0 <= seen.top <= 5
        assert 0 <= seen.left <= 10
        assert (seen.height, seen.width) == (20, 30)


@pytest.mark.parametrize(("key", "limit"), [("rotation", 8), ("scale", 0.1)])
def test_turns_and_growth_have_the_angle_and_the_size_of_the_key_at_most(key, limit):
    found = []
    y, x = np.mgrid[:64, :64] - 31.5
    for seed in range(60):
        maps = []
        for shown in places(2, seed, **{key: limit}):
            inside = (shown[0] > 0).all(0) & (shown[0, 0] < 139) & (shown[0, 1] < 149)
            steps = np.column_stack([x[inside], y[inside], np.ones(inside.sum())])
            maps.append(np.linalg.lstsq(steps, shown[0][:, inside].T, rcond=None)[0][:2].T)
        between = np.linalg.inv(maps[1]) @ maps[0]  # from steps in the first frame to those in the second
        angle = np.degrees(np.arctan2(between[1, 0], between[0, 0]))
        growth = np.log(np.linalg.det(between)) / 2
        found.append(angle / limit if key == "rotation" else growth / np.log(1 + limit))
        assert (growth if key == "rotation" else angle) == pytest.approx(
            0, abs=0.01 if key == "rotation" else 0.1
        )
    assert np.abs(found).max() <= 1.03
    assert np.std(found) == pytest.approx(1 / np.sqrt(3), rel=0.2)


def test_every_frame_composes_exactly_and_its_trimap_is_that_of_its_matte():
    for made in frames(
        4, 1, {"affine": {"probability": 1, "rotation": 20}}, shift=0.05, rotation=5, scale=0.05
    ):
        alpha, foreground, background = (made[key].double() for key in ("alpha", "foreground", "background"))
        assert (made["composite"] - (alpha * foreground + (1 - alpha) * background)).abs().max() <= 1e-6
        assert (alpha[made["trimap"] == 0] == 0).all()
        assert (alpha[made["trimap"] == 255] == 1).all()


def test_without_clips_samples_stay_what_they_were_and_the_middle_frame_is_a_still():
    cutout, behind = Cutout(photograph(150, 140, 1), soft_matte(150, 140, 2)), photograph(130, 160, 3)
    plain, single = Composition(**SMALL), Composition(**SMALL, clip={"frames": 1, "shift": 0.5})
    for seed in range(4):
        one, two = (made.sample(cutout, behind, np.random.default_rng(seed)) for made in (plain, single))
        assert all(torch.equal(one[key], two[key]) for key in one)
        for affine in ({}, {"probability": 1, "rotation": 40, "shear": 20, "scale": [0.6, 1.6]}):
            recipe = {"flip": 0, "affine": affine}
            still = Composition(**SMALL | recipe).sample(cutout, behind, np.random.default_rng(seed))
            middle = frames(3, seed, recipe, shift=0.2, rotation=20, scale=0.2, background=0.2)[1]
            torch.testing.assert_close(middle["alpha"], still["alpha"], rtol=0, atol=1 / 255)
            assert torch.equal(middle["background"], still["background"])


def training(root, num: int, **options) -> CompositionDataset:
    source = FolderData(root, val_fraction=0, test_fraction=0)
    recipe = Composition([32], 32, erode=[1, 5], dilate=[1, 5], clip={"frames": num, **options})
    return CompositionDataset(source.foregrounds("train"), source.backgrounds("train"), recipe, 0)


def test_samples_in_a_row_are_frames_of_one_clip_and_a_batch_knows_the_row_of_the_frame_before(tree):
    dataset = training(tree(), 3)
    assert "previous" in dataset.serves
    assert "previous" not in training(tree(), 1).serves
    samples = [dataset[0, index] for index in range(6)]
    assert len({sample["name"] for sample in samples[:3]}) == 1
    assert not torch.equal(samples[0]["alpha"], samples[3]["alpha"])
    assert not torch.equal(samples[0]["alpha"], samples[1]["alpha"])
    assert torch.equal(dataset[0, 4]["image"], samples[4]["image"])
    assert collate(samples)["previous"].tolist() == [-1, 0, 1, -1, 3, 4]
    assert collate(samples[4:] + samples[:2])["previous"].tolist() == [-1, 0, -1, 2]
    stills = training(tree(), 1)
    assert [stills[0, index]["name"] for index in range(2)] == [samples[0]["name"], samples[3]["name"]]


def test_the_temporal_loss_of_such_a_batch_is_0_only_where_an_error_stays(tree):
    dataset = training(tree(), 2, shift=0.1)
    batch = collate([dataset[0, index] for index in range(4)])
    assert float(temporal_loss(Matte(batch["alpha"]), batch, region="whole")) == 0
    flicker = torch.tensor([0.0, 0.1, 0.0, 0.0]).view(4, 1, 1, 1)
    found = temporal_loss(Matte(batch["alpha"] + flicker), batch, region="whole")
    assert float(found) == pytest.approx(0.1**2 / 2, rel=1e-5)  # of two pairs, one


def test_what_does_not_fit_is_refused_in_one_line():
    for clip, words in (
        ({"frames": 0}, ("composition.clip.frames=0", "a whole number")),
        ({"frames": 2.5}, ("composition.clip.frames=2.5", "a whole number")),
        ({"shift": 2}, ("composition.clip.shift=2", "between 0 and 1")),
        ({"scale": 1}, ("composition.clip.scale=1", "below 1")),
        ({"speed": 1}, ("composition.clip.speed: unknown", "frames, shift, rotation")),
    ):
        refused(lambda clip=clip: Composition(**SMALL, clip=clip), *words)
    Clip(frames=2).check(8, 2)
    with pytest.raises(InputError, match=r"^data\.batch_size=6:, 3 a process, has to be a multiple of comp"):
        Clip(frames=2).check(6, 2)
    with pytest.raises(InputError, match=r"^data\.batch_size=3: has to be a multiple of composition\.clip\."):
        Clip(frames=2).check(3, 1)
