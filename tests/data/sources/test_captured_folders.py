"""Photographs with plates of their backgrounds: matched by name, read, and refused where they do not fit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from layout_trees import captured, save, trimap
from small_pictures import photograph, soft_matte
from tiny_run import compose

from deepmatte.data import FolderData, ImageDataset
from deepmatte.data.inspection.verify import verify
from deepmatte.data.sources.images import read_image
from deepmatte.data.sources.plates import agreement, check_plate
from deepmatte.errors import InputError
from deepmatte.scoring.evaluate import evaluate


def source(root, **options) -> FolderData:
    keys = {"image": "image", "alpha": "alpha", "captured_background": "captured"}
    return FolderData(root, **{**keys, **options})


@pytest.mark.parametrize("with_trimaps", [False, True])
def test_a_sample_has_the_plate_of_its_name(tmp_path, with_trimaps):
    captured(tmp_path)
    options = {}
    if with_trimaps:
        for i in range(1, 4):
            trimap(tmp_path / "trimap" / f"scene {i}.png", seed=i)
        options["trimap"] = "trimap"
    dataset = ImageDataset(source(tmp_path, **options).images("test"), name="x", version="1")
    assert "captured_background" in dataset.serves
    sample = dataset[1]
    plate = read_image(tmp_path / "captured" / "scene 2.jpg")
    assert np.array_equal(sample["captured_background"].permute(1, 2, 0), plate / np.float32(255))
    assert (sample["trimap"] == 128).any()
    without = ImageDataset(source(tmp_path, captured_background=None).images("test"), name="x", version="1")
    assert "captured_background" not in without.serves
    assert without.digest() != dataset.digest()


def test_photographs_of_one_scene_share_its_plate_and_its_matte(tmp_path):
    plate, alpha = photograph(40, 56, seed=3), soft_matte(40, 56, seed=1)
    for i in (1, 2):
        image = np.where(alpha[..., None] > 0, photograph(40, 56, seed=10 + i), plate)
        save(tmp_path / "image" / f"room_{i}.png", image)
    save(tmp_path / "alpha" / "room.png", alpha)
    save(tmp_path / "captured" / "room.png", plate)
    images = source(tmp_path, identity=r"(.+)_\d+").images("test")
    assert len(images) == 2
    assert np.array_equal(images.load(0).captured_background, images.load(1).captured_background)


def test_a_plate_of_another_size_or_a_missing_one_is_named(tmp_path):
    captured(tmp_path)
    save(tmp_path / "captured" / "scene 2.jpg", photograph(40, 50, seed=0))
    with pytest.raises(InputError, match=r"scene 2\.jpg: .*40"):
        source(tmp_path).images("test")
    (tmp_path / "captured" / "scene 2.jpg").unlink()
    with pytest.raises(InputError, match=r"scene 2\.jpg: there is no captured background of the same name"):
        source(tmp_path).images("test")


def another_plate(root, name: str = "scene 2") -> None:
    """Put a plate of noise beside a picture: no pixel and its neighbours agree but by a rare chance."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    save(root / "captured" / f"{name}.jpg", noise, quality=100)


WRONG = (
    r"captured/scene 2\.jpg: agrees with .*image/scene 2\.jpg in 0\.0 % of its background, "
    "so it shows another background; put the plate of that picture there, or leave the picture out$"
)


def test_a_plate_of_another_scene_is_refused_when_it_is_read_or_left_out(tmp_path):
    captured(tmp_path)
    another_plate(tmp_path)
    images = source(tmp_path).images("test")
    assert images.load(0).captured_background is not None
    with pytest.raises(InputError, match=WRONG):
        images.load(1)
    another_plate(tmp_path, "scene 1")  # the first picture of a set is read at once
    with pytest.raises(InputError, match=r"captured/scene 1\.jpg: agrees with "):
        source(tmp_path).images("test")
    skipping = source(tmp_path, on_error="skip")
    assert skipping.images("test").names == ["scene 3"]
    assert len(skipping.problems) == 2


def test_where_the_subject_is_everywhere_no_plate_is_another_one():
    image, plate = photograph(40, 56, seed=1), np.zeros((40, 56, 3), np.uint8)
    full = np.full((40, 56), 255, np.uint8)
    assert not check_plate(image, plate, Path("a.jpg"), Path("b.jpg"), full)
    strip = full.copy()
    strip[:, :5] = 0  # the share is that of the strip's pixels, not of the picture's
    plate[:, :5] = image[:, :5]
    assert agreement(image, plate, strip == 0) == pytest.approx(
        4 / 5
    )  # the fifth column has other neighbours
    with pytest.raises(InputError, match=r"0\.0 % of its background"):
        check_plate(image, 255 - plate, Path("a.jpg"), Path("b.jpg"), strip)


def test_verify_names_the_plate_of_another_scene_and_notes_one_that_hardly_agrees(tmp_path):
    captured(tmp_path)
    sound = verify(source(tmp_path, on_error="skip"), processes=1)
    assert (sound.num_items, sound.problems, sound.notes[:-1]) == (3, [], [])
    another_plate(tmp_path)
    plate = read_image(tmp_path / "captured" / "scene 3.jpg").copy()
    plate[:, 2:] = np.random.default_rng(1).integers(0, 256, (40, 54, 3))  # of 56 columns one agrees
    save(tmp_path / "captured" / "scene 3.jpg", plate, quality=100, subsampling=0)
    verdict = verify(source(tmp_path, on_error="skip"), processes=1)
    (problem,) = verdict.problems
    assert re.search(WRONG, problem)
    assert "captured/scene 3.jpg: agrees with " in verdict.notes[0]
    assert "if it shows another background, or the camera has moved" in verdict.notes[0]


@pytest.mark.slow
def test_an_evaluation_is_refused_by_the_plate_of_another_scene(tmp_path):
    captured(tmp_path)
    another_plate(tmp_path)
    words = ["method=trivial", "data=captured", f"data.root={tmp_path}", "data.num_workers=0"]
    with pytest.raises(InputError, match=WRONG):
        evaluate(compose("evaluate", [*words, f"output={tmp_path / 'out'}"]))
