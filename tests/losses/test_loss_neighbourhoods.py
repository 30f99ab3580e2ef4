"""Similarity in windows, consistency with colours and in time, against libraries and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES
from deepmatte.metrics.functional.temporal import dtssd

SEED = 3


def random_pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    truth = example_batch(num=shape[0], size=shape[-1], dtype=torch.float64)["alpha"]
    noise = torch.rand(truth.shape, generator=generator, dtype=torch.float64)
    return (0.6 * truth + 0.4 * noise), truth


def inner(trimap: torch.Tensor, border: int) -> torch.Tensor:
    """Return a trimap that is unknown except for a border."""
    known = torch.zeros_like(trimap)
    known[..., border:-border, border:-border] = 128
    return known


# ---- ssim --------------------------------------------------------------------------------------------------


def test_ssim_of_the_whole_image_is_that_of_torchmetrics_which_reflects_it_at_the_border():
    alpha, truth = random_pair(2, 1, 32, 32)
    batch = Batch(alpha=truth, trimap=torch.zeros(truth.shape, dtype=torch.uint8))
    theirs = structural_similarity_index_measure(alpha, truth, data_range=1.0)
    value = float(LOSSES["ssim"].function(Matte(alpha), batch, border="reflect", region="whole"))
    assert value == pytest.approx(1 - float(theirs), rel=1e-6)


@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
def test_ssim_is_that_of_scikit_image_wherever_the_window_is_in_the_image(border):
    alpha, truth = random_pair(2, 1, 32, 32)
    trimap = inner(truth.to(torch.uint8), 5)
    value = float(LOSSES["ssim"].function(Matte(alpha), Batch(alpha=truth, trimap=trimap), border=border))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    pairs = zip(alpha[:, 0].numpy(), truth[:, 0].numpy(), strict=True)
    assert value == pytest.approx(1 - np.mean([structural_similarity(*pair, **options) for pair in pairs]))


def test_ssim_of_the_whole_image_repeats_the_border_by_default():
    alpha, truth = random_pair(1, 1, 32, 32)
    x = np.arange(-5, 6)
    window = np.outer(*2 * [np.exp(-(x**2) / (2 * 1.5**2))])
    window /= window.sum()

    def blur(picture):
        padded = np.pad(picture, 5, mode="edge")
        return np.array(
            [[(window * padded[y : y + 11, x : x + 11]).sum() for x in range(32)] for y in range(32)]
        )

    p, t = alpha[0, 0].numpy(), truth[0, 0].numpy()
    m, n = blur(p), blur(t)
    v, w, c = blur(p * p) - m * m, blur(t * t) - n * n, blur(p * t) - m * n
    ssim = (2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m * m + n * n + 1e-4) * (v + w + 9e-4))
    batch = Batch(alpha=truth, trimap=torch.full(truth.shape, 128, dtype=torch.uint8))
    value = float(LOSSES["ssim"].function(Matte(alpha), batch))
    assert value == pytest.approx(1 - ssim.mean(), rel=1e-10)


# ---- ddc ---------------------------------------------------------------------------------------------------


def written_out(image, alpha, mask, radius, neighbours):
    """Return the mean over the mask's pixels of one image (H, W, 3), in plain loops."""
    prices = []
    for y, x in np.argwhere(mask):
        pairs = [
            (np.linalg.norm(image[y, x] - image[v, u]), alpha[y, x] - alpha[v, u])
            for v in range(max(0, y - radius), min(len(image), y + radius + 1))
            for u in range(max(0, x - radius), min(image.shape[1], x + radius + 1))
        ]
        nearest = sorted(pairs, key=lambda pair: pair[0])[:neighbours]
        prices.append(np.mean([abs(distance - step) for distance, step in nearest]))
    return float(np.mean(prices))


@pytest.mark.parametrize(("radius", "neighbours"), [(1, 4), (2, 11), (5, 11), (3, 200)])
@pytest.mark.parametrize("region", ["whole", "unknown"])
def test_ddc_is_its_formula(radius, neighbours, region):
    generator = torch.Generator().manual_seed(SEED)
    image, alpha = (torch.rand(1, c, 9, 12, generator=generator, dtype=torch.float64) for c in (3, 1))
    trimap = 128 * torch.randint(0, 2, alpha.shape, generator=generator).to(torch.uint8)
    mask = np.ones((9, 12), bool) if region == "whole" else trimap[0, 0].numpy() == 128
    wanted = written_out(image[0].permute(1, 2, 0).numpy(), alpha[0, 0].numpy(), mask, radius, neighbours)
    batch, options = Batch(image=image, trimap=trimap), {"radius": radius, "neighbours": neighbours}
    value = LOSSES["ddc"].function(Matte(alpha), batch, region=region, **options)
    assert float(value) == pytest.approx(wanted, rel=1e-10)


def test_ddc_of_pixels_whose_window_is_in_the_image_is_the_published_computation():
    """Ten times this is its weight there: unfolded windows of 11x11, the 11 nearest of the 121."""
    generator = torch.Generator().manual_seed(SEED)
    image, alpha = (torch.rand(2, c, 24, 20, generator=generator, dtype=torch.float64) for c in (3, 1))
    colours, steps = (
        torch.nn.functional.unfold(x, 11).reshape(2, x.shape[1], 121, -1) for x in (image, alpha)
    )
    distances = (colours[:, :, 60:61] - colours).norm(dim=1)
    near = distances.topk(11, dim=1, largest=False)
    changes = (steps[:, 0, 60:61] - steps[:, 0]).gather(1, near.indices)
    trimap = inner(torch.zeros(alpha.shape, dtype=torch.uint8), 5)
    value = LOSSES["ddc"].function(Matte(alpha), Batch(image=image, trimap=trimap))
    torch.testing.assert_close(value, (near.values - changes).abs().mean(), rtol=1e-12, atol=0)


def test_ddc_searched_in_blocks_is_the_same(monkeypatch):
    batch = example_batch(size=20, dtype=torch.float64)
    matte = Matte(0.2 + 0.6 * batch["alpha"])
    whole = LOSSES["ddc"].function(matte, batch)
    monkeypatch.setattr("deepmatte.losses.consistency.BLOCK", 7)
    torch.testing.assert_close(LOSSES["ddc"].function(matte, batch), whole, rtol=1e-12, atol=0)


def test_ddc_spreads_alpha_from_the_known_zones_along_the_colours():
    """Two colours, alpha known in a corner of each: descent gives each colour the alpha of its corner."""
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1
    image += 0.01 * torch.rand(image.shape, generator=torch.Generator().manual_seed(SEED))
    trimap = torch.full((1, 1, 8, 8), 128, dtype=torch.uint8)
    trimap[..., :2, :2], trimap[..., :2, -2:] = 0, 255
    batch = Batch(image=image, trimap=trimap, alpha=(trimap == 255).float())
    logit = torch.zeros(1, 1, 8, 8, requires_grad=True)
    optimizer = torch.optim.Adam([logit], lr=0.1)
    for _ in range(200):
        matte = Matte(torch.sigmoid(logit))
        known = LOSSES["alpha"].function(matte, batch, region="known")
        loss = known + 10 * LOSSES["ddc"].function(matte, batch, radius=2, neighbours=5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    alpha = torch.sigmoid(logit)[0, 0]
    assert alpha[:, :4].max() < 0.3
    assert alpha[:, 4:].min() > 0.7


# ---- temporal ----------------------------------------------------------------------------------------------


def test_temporal_is_the_square_of_dtssd():
    alpha, truth = random_pair(2, 1, 16, 16)
    trimap = torch.full(truth.shape, 128, dtype=torch.uint8)
    batch = Batch(alpha=truth, trimap=trimap, previous=torch.tensor([-1, 0]))
    value = LOSSES["temporal"].function(Matte(alpha), batch)
    clip = (x[:, 0].numpy() for x in (alpha, truth, trimap))
    wanted = dtssd(*clip, protocol="float")
    assert float(value) == pytest.approx((wanted / 100) ** 2, rel=1e-9)


def test_temporal_counts_no_frame_without_a_previous_one_and_no_error_that_stays():
    _, truth = random_pair(4, 1, 16, 16)
    batch = Batch(
        alpha=0.5 * truth,
        trimap=torch.full(truth.shape, 128, dtype=torch.uint8),
        previous=torch.tensor([-1, 0, -1, 2]),
    )
    alpha = 0.5 * truth + torch.tensor([0.2, 0.2, 0.1, 0.4], dtype=torch.float64).view(4, 1, 1, 1)
    value = LOSSES["temporal"].function(Matte(alpha), batch, distance="l1")
    assert float(value) == pytest.approx((0 + 0.3) / 2)
    batch["previous"] = torch.full((4,), -1)
    assert float(LOSSES["temporal"].function(Matte(alpha), batch)) == 0
