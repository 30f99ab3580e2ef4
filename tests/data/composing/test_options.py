"""The options in code are those of the files that a user opens, key by key."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from deepmatte.data import Composition, FolderData
from deepmatte.data.composing.affine import Affine
from deepmatte.data.composing.captured import Captured
from deepmatte.data.composing.clip import Clip
from deepmatte.data.composing.options import Degrade, Hsv, Jitter, group
from deepmatte.data.composing.shadow import Shadow
from deepmatte.errors import InputError
from deepmatte.runs.identity import ADDED_SINCE

CONF = Path(__file__).parents[3] / "conf"
DIM = OmegaConf.to_container(OmegaConf.load(CONF / "composition/dim.yaml"))


def keys_of(kind) -> set[str]:
    return {each.name for each in fields(kind)}


def test_the_file_of_recipes_lists_every_option():
    assert keys_of(Composition) == DIM.keys() - {"_target_"}
    groups = {"foreground_jitter": Jitter, "hsv": Hsv, "affine": Affine, "shadow": Shadow}
    groups |= {"degrade": Degrade, "captured": Captured, "clip": Clip}
    for key, kind in groups.items():
        assert keys_of(kind) == DIM[key].keys()


def test_ranges_that_are_left_out_are_those_of_the_file():
    for kind, keys in asdict(Degrade()).items():
        assert {key: list(value) if isinstance(value, tuple) else value for key, value in keys.items()} == (
            DIM["degrade"][kind]
        )
    assert asdict(Shadow()) == {
        key: tuple(value) if isinstance(value, list) else value for key, value in DIM["shadow"].items()
    }


def test_captured_backgrounds_have_the_ranges_of_the_file_and_runs_without_them_their_hashes():
    assert group(Captured, DIM["captured"], "x") == Captured()
    assert DIM["captured"] == ADDED_SINCE["composition.captured"]


def test_clips_have_the_speeds_of_the_file_and_runs_without_them_their_hashes():
    assert group(Clip, DIM["clip"], "x") == Clip()
    assert DIM["clip"] == ADDED_SINCE["composition.clip"]


def test_the_file_of_folders_lists_every_option_but_those_of_finished_pictures():
    listed = OmegaConf.load(CONF / "data/folder.yaml").source.keys() - {"_target_"}
    assert keys_of(FolderData) - listed == {"image", "trimap", "captured_background"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"blur": {"sigma": [3, 1]}}, r"^x\.blur\.sigma=\[3, 1\]: give the smallest and the largest value"),
        ({"blur": 3}, r"^x\.blur=3: has to be keys with values"),
        ({"blur": {"sigma": [1]}}, r"^x\.blur\.sigma=\[1\]: has to be two numbers"),
        ({"blur": {"probability": [0.1, 0.2]}}, r"^x\.blur\.probability=\[0\.1, 0\.2\]: has to be a number"),
    ],
)
def test_a_group_names_the_key_that_is_wrong(keys, message):
    with pytest.raises(InputError, match=message):
        group(Degrade, keys, "x")
