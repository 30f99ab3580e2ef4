"""Photographs with plates of their backgrounds: matched by name, read, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from layout_trees import captured, save, trimap
from small_pictures import photograph, soft_matte

from deepmatte.data import FolderData, ImageDataset
from deepmatte.data.sources.images import read_image
from deepmatte.errors import InputError


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
    for name in ("room_1", "room_2"):
        save(tmp_path / "image" / f"{name}.png", photograph(40, 56, seed=len(name)))
    save(tmp_path / "alpha" / "room.png", soft_matte(40, 56, seed=1))
    save(tmp_path / "captured" / "room.png", photograph(40, 56, seed=3))
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
