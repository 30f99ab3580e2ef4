"""Mining of hard pixels: the mean over the largest share of the errors, and gradients through those alone."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES
from deepmatte.ops.regions import masked_mean

sys.path.insert(0, str(Path(__file__).parent))
from whole_mattes import whole_matte

MINING = [name for name, term in LOSSES.items() if "hardest" in term.defaults]


def largest(values: np.ndarray, share: float) -> np.ndarray:
    return np.sort(values)[::-1][: math.ceil(share * len(values))]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_mean_of_the_largest_values_sorted(share, channels):
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, channels, 7, 8, generator=generator, dtype=torch.float64)
    mask = torch.rand(3, 1, 7, 8, generator=generator) < torch.tensor([0.2, 0.9, 0.0]).view(3, 1, 1, 1)
    pixels = [row[inside].numpy() for row, inside in zip(values.mean(1), mask[:, 0], strict=True)]
    joined, each = largest(np.concatenate(pixels), share), [largest(p, share) for p in pixels if len(p)]
    wanted = {
        ("batch", "region"): joined.mean(),
        ("sample", "region"): np.mean([p.mean() for p in each]),
        ("batch", "image"): joined.sum() / (3 * 56),
        ("sample", "image"): sum(p.sum() for p in each) / (3 * 56),
    }
    for (reduction, per), value in wanted.items():
        found = masked_mean(values, mask, reduction, per, hardest=share)
        assert float(found) == pytest.approx(value, rel=1e-12), (reduction, per)


@pytest.mark.parametrize("name", MINING)
def test_all_pixels_of_a_region_are_its_hardest_share_of_one(name):
    batch = example_batch(dtype=torch.float64)
    matte = whole_matte(0.1 + 0.7 * batch["alpha"].square())
    for reduction in ("batch", "sample"):
        plain, mined = (
            LOSSES[name].function(matte, batch, reduction=reduction, hardest=share) for share in (None, 1.0)
        )
        torch.testing.assert_close(mined, plain, rtol=1e-12, atol=1e-15)


def test_no_gradient_reaches_the_other_pixels():
    alpha = torch.tensor([0.9, 0.1, 0.5, 0.3]).view(1, 1, 1, 4).requires_grad_()
    batch = Batch(alpha=torch.zeros(1, 1, 1, 4), trimap=torch.full((1, 1, 1, 4), 128, dtype=torch.uint8))
    LOSSES["alpha"].function(Matte(alpha), batch, hardest=0.5, distance="l1").backward()
    assert alpha.grad.flatten().tolist() == [0.5, 0, 0.5, 0]


def test_pixels_that_tie_share_the_last_place():
    alpha = torch.tensor([0.9, 0.4, 0.4, 0.4]).view(1, 1, 1, 4).requires_grad_()
    batch = Batch(alpha=torch.zeros(1, 1, 1, 4), trimap=torch.full((1, 1, 1, 4), 128, dtype=torch.uint8))
    value = LOSSES["alpha"].function(Matte(alpha), batch, hardest=0.5, distance="l1")
    value.backward()
    assert value.item() == pytest.approx((0.9 + 0.4) / 2)
    assert alpha.grad.flatten().tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_a_share_of_whole_pixels_is_not_rounded_up_by_the_computer():
    values = torch.arange(70.0).view(1, 1, 7, 10)
    for share, num in ((0.1, 7), (0.7, 49), (0.101, 8)):
        assert float(masked_mean(values, None, hardest=share)) == pytest.approx(69 - (num - 1) / 2)


@pytest.mark.parametrize("num_bad", [1, 6])
def test_nan_is_never_mined_away(num_bad):
    values = torch.rand(1, 1, 3, 4)
    values.view(-1)[:num_bad] = torch.nan
    assert masked_mean(values, None, hardest=0.25).isnan()
    inside = (~values.isnan()) & (values >= 0)
    assert masked_mean(values, inside, hardest=0.25).isfinite()
