"""Hard masks from mattes: what `HardComposition` changes in a sample, and what losses become on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.data.composing.composition import Composition
from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.hard import HardComposition
from deepmatte.losses.classification import bce_loss, focal_loss

KEYS = {"crop_sizes": [48], "size": 32, "erode": [1, 5], "dilate": [1, 5]}


@pytest.fixture
def layers() -> tuple[Cutout, np.ndarray]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    alpha = np.clip(160 - 8 * (np.hypot(x - 32, y - 32) - 20), 0, 255).astype(np.uint8)
    return Cutout(rng.integers(0, 256, (64, 64, 3), np.uint8), alpha), rng.integers(
        0, 256, (80, 80, 3), np.uint8
    )


@pytest.mark.parametrize("make", ["sample", "fixed"])
def test_a_hard_sample_is_the_soft_one_with_its_alpha_cut_at_a_half(
    layers: tuple[Cutout, np.ndarray], make: str
) -> None:
    soft, hard = (
        getattr(recipe(**KEYS), make)(*layers, np.random.default_rng(7))
        for recipe in (Composition, HardComposition)
    )
    assert ((soft["alpha"] > 0) & (soft["alpha"] < 1)).any()
    assert torch.equal(hard["alpha"], (soft["alpha"] >= 0.5).float())
    for layer in ("foreground", "background"):  # the same crop, jitter and background: nothing more was drawn
        assert torch.equal(hard[layer], soft[layer])
    assert torch.equal(hard["image"], torch.where(hard["alpha"] == 1, hard["foreground"], hard["background"]))
    assert set(hard["alpha"][hard["trimap"] == 255].tolist()) == {1.0}
    assert set(hard["alpha"][hard["trimap"] == 0].tolist()) == {0.0}


def test_hard_pictures_are_another_test_set() -> None:
    assert HardComposition(**KEYS).fixed_options() == Composition(**KEYS).fixed_options() | {"hard": True}


@pytest.mark.parametrize("options", [{"positive_weight": 3.0}, {"positive_weight": "auto"}])
def test_on_hard_masks_both_forms_of_weighted_cross_entropy_are_one(options: dict[str, float | str]) -> None:
    matte, batch = hard_batch()
    proper, textbook = (bce_loss(matte, batch, form=form, **options) for form in ("proper", "textbook"))
    torch.testing.assert_close(proper, textbook, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_on_hard_masks_both_forms_of_focal_loss_are_one(gamma: float) -> None:
    matte, batch = hard_batch()
    proper, textbook = (
        focal_loss(matte, batch, form=form, gamma=gamma, balance=0.25) for form in ("proper", "textbook")
    )
    torch.testing.assert_close(proper, textbook, rtol=1e-12, atol=0)


def hard_batch() -> tuple[Matte, Batch]:
    batch = example_batch(dtype=torch.float64)
    batch["alpha"] = (batch["alpha"] >= 0.5).double()
    logit = torch.randn(batch["alpha"].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Matte(torch.sigmoid(logit), logit), batch
