"""Every figure of the paragraph that corrects the guides (`study.text` of losses_for_mattes), computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deepmatte.batch import Batch, Matte
from deepmatte.losses.classification import focal_loss
from deepmatte.losses.lovasz import lovasz_loss
from deepmatte.losses.overlap import dice_loss, jaccard_loss
from deepmatte.losses.regression import alpha_loss
from deepmatte.losses.regularisers import smoothness_loss

FILE = Path(__file__).parents[2] / "experiments" / "losses_for_mattes.yaml"
STUDY = yaml.safe_load(FILE.read_text(encoding="utf-8"))["study"]
TEXT = " ".join(STUDY["text"].split())


def price(
    loss: Callable[..., torch.Tensor], predicted: Sequence[float], true: Sequence[float], **options: object
) -> float:
    """The loss of a row of pixels, all of them unknown."""
    p, t = (torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1) for values in (predicted, true))
    return float(
        loss(Matte(p), Batch(alpha=t, trimap=torch.full(t.shape, 128, dtype=torch.uint8)), **options)
    )


def test_textbook_dice_is_least_at_ones() -> None:
    truth = (0.8, 0.4)
    values = {
        matte: price(dice_loss, matte, truth, form="textbook", smooth=0) for matte in (truth, (1, 0), (1, 1))
    }
    # By hand, 1 - 2 sum p t / (sum p + sum t): 1 - 1.6 / 2.4, 1 - 1.6 / 2.2, 1 - 2.4 / 3.2.
    assert list(values.values()) == pytest.approx([1 / 3, 3 / 11, 1 / 4])
    grid = itertools.product(np.linspace(0, 1, 21), repeat=2)
    assert min(grid, key=lambda matte: price(dice_loss, matte, truth, form="textbook", smooth=0)) == (1, 1)
    assert (
        "loss of the truth is 0.33, that of the hard matte 1 and 0 is 0.27, "
        "and that of 1 and 1, the least, 0.25" in TEXT
    )


def test_proper_dice_is_a_relative_sad() -> None:
    assert price(dice_loss, (1, 0), (0.8, 0.4), smooth=0) == pytest.approx((0.2 + 0.4) / (1 + 1.2))


@pytest.mark.parametrize("form", ["proper", "textbook"])
def test_jaccard_is_a_function_of_dice_and_has_its_direction(form: str) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.rand(2, 3, 1, 5, 5, generator=generator, dtype=torch.float64)
    predicted.requires_grad_()
    batch = Batch(alpha=true, trimap=torch.full(true.shape, 128, dtype=torch.uint8))
    dice, jaccard = (loss(Matte(predicted), batch, form=form) for loss in (dice_loss, jaccard_loss))
    torch.testing.assert_close(jaccard, 2 * dice / (1 + dice), rtol=1e-12, atol=0)
    first, second = (
        torch.autograd.grad(value, predicted, retain_graph=True)[0].flatten()
        for value in (dice, dice + jaccard)
    )
    torch.testing.assert_close(torch.cosine_similarity(first, second, 0).item(), 1.0, rtol=0, atol=1e-12)


def test_of_the_published_focal_losses_one_hardens_one_greys_and_one_is_least_at_alpha() -> None:
    grid = np.linspace(0.001, 0.999, 999)
    found = {}
    for true in (0.95, 0.7):
        one = [price(focal_loss, [p], [true], form="textbook", gamma=2.0) for p in grid]
        two = -true * (1 - grid) ** 2 * np.log(grid) - (1 - true) * grid**2 * np.log(
            1 - grid
        )  # Lin et al., a term for each class
        entropy = -true * np.log(grid) - (1 - true) * np.log(1 - grid)
        exponential = (1 - np.exp(-entropy)) ** 2 * entropy  # segmentation-models-pytorch
        proper = [price(focal_loss, [p], [true], gamma=2.0) for p in grid]
        assert grid[np.argmin(proper)] == pytest.approx(true)
        assert grid[np.argmin(exponential)] == pytest.approx(true)
        found[true] = grid[np.argmin(one)], grid[np.argmin(two)]
    assert (
        f"least at {found[0.95][0]:.3f} where alpha is 0.95 "
        f"and at {found[0.7][0]:.2f} where it is 0.7: it hardens" in TEXT
    )
    assert f"least at {found[0.95][1]:.2f} and at {found[0.7][1]:.2f}: it greys" in TEXT
    assert "as a function of the cross-entropy (segmentation-models-pytorch's) it is least at alpha" in TEXT


def test_textbook_lovasz_is_0_for_a_hard_matte_and_not_for_the_truth() -> None:
    truth = [0.8, 0.4, 0.6]
    assert (
        price(lovasz_loss, [1.0, 0.0, 1.0], truth, form="textbook")
        == 0
        < price(lovasz_loss, truth, truth, form="textbook")
    )
    assert price(lovasz_loss, truth, truth) == 0 < price(lovasz_loss, [1.0, 0.0, 1.0], truth)


def test_a_strand_is_dropped_from_a_smoothness_of_a_half_on() -> None:
    true = torch.zeros(1, 1, 4, 401, dtype=torch.float64)
    true[..., 200] = 1
    batch = Batch(alpha=true, trimap=torch.full(true.shape, 128, dtype=torch.uint8))
    kept, dropped = (alpha_loss(Matte(matte), batch) for matte in (true, 0 * true))
    weight = (dropped - kept) / smoothness_loss(Matte(true), batch)  # a constant matte has no total variation
    assert float(weight) == pytest.approx(0.5, rel=0.01)
    assert "cheaper dropped than kept from a weight of 0.5 on (alpha_smooth has 0.1)" in TEXT
    assert STUDY["losses"]["alpha_smooth"]["smoothness"]["weight"] == 0.1
