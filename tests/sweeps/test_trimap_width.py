"""The experiment `trimap_width` changes the unknown zones of training, and nothing of what is scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepmatte.data import Composition
from deepmatte.data.composing.cutout import Cutout
from deepmatte.errors import InputError


def layers(widen: float, training: bool) -> dict[str, torch.Tensor]:
    """Return a sample of a disc of 60 pixels' radius."""
    y, x = np.mgrid[:160, :160]
    alpha = ((np.hypot(x - 80, y - 80) < 60) * 255).astype(np.uint8)
    cutout = Cutout(np.full((160, 160, 3), 200, np.uint8), alpha, "disc")
    recipe = Composition(crop_sizes=[160], size=160, erode=[9, 9], dilate=[9, 9], flip=0.0, widen=widen)
    make = recipe.sample if training else recipe.fixed
    return make(cutout, np.zeros((160, 160, 3), np.uint8), np.random.default_rng(0))


def test_the_training_zone_grows_by_the_factor_and_the_scored_one_stays() -> None:
    """A kernel of k pixels moves a straight edge by (k - 1) / 2: 9 and 9 give 8 pixels, 27 and 27 give 26."""
    area = {widen: float((layers(widen, True)["trimap"] == 128).sum()) for widen in (1.0, 3.0)}
    assert area[3.0] / area[1.0] == pytest.approx(26 / 8, rel=0.1)
    assert torch.equal(layers(3.0, False)["trimap"], layers(1.0, False)["trimap"])
    assert torch.equal(layers(3.0, True)["alpha"], layers(1.0, True)["alpha"])
    with pytest.raises(InputError, match=r"composition\.widen=0"):
        Composition(widen=0)
