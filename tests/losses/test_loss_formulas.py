"""Terms that no published program computes as we do, against their formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES


@pytest.mark.parametrize("term", ["laplacian", "gradient", "grad_metric"])
@pytest.mark.parametrize("region", ["unknown", "known", "band:2", "whole"])
def test_the_edge_of_the_region_makes_no_edge_in_the_error(term, region):
    """A constant offset has no detail, so it costs nothing; masking the error first would give it some."""
    batch = example_batch(size=40, dtype=torch.float64)
    batch["alpha"] = 0.1 + 0.5 * batch["alpha"]
    assert float(LOSSES[term].function(Matte(batch["alpha"] + 0.3), batch, region=region)) < 1e-12


@pytest.mark.parametrize("edge_scale", [0.0, 10.0])
@pytest.mark.parametrize("per", ["region", "image"])
def test_smoothness_is_the_mean_step_between_neighbours_that_both_lie_in_the_region(edge_scale, per):
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(2, 1, 5, 6, generator=generator, dtype=torch.float64)
    image = torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    trimap = torch.tensor([0, 128, 128], dtype=torch.uint8)[
        torch.randint(0, 3, alpha.shape, generator=generator)
    ]
    wanted = 0.0
    for dy, dx in ((0, 1), (1, 0)):
        prices, num_pairs = [], 0
        for n, y, x in np.ndindex(2, 5 - dy, 6 - dx):
            num_pairs += 1
            here, there = (n, slice(None), y, x), (n, slice(None), y + dy, x + dx)
            if trimap[here].item() == 128 == trimap[there].item():
                weight = np.exp(-edge_scale * (image[there] - image[here]).abs().mean().item())
                prices.append(weight * abs(alpha[there].item() - alpha[here].item()))
        wanted += sum(prices) / (len(prices) if per == "region" else num_pairs)
    batch = Batch(alpha=alpha, trimap=trimap, image=image)
    value = LOSSES["smoothness"].function(Matte(alpha), batch, edge_scale=edge_scale, per=per)
    assert float(value) == pytest.approx(wanted, rel=1e-12)


def test_terms_that_read_single_pixels_see_only_the_region():
    """What is predicted outside the region has no influence on the terms that read each pixel by itself."""
    batch = example_batch(dtype=torch.float64)
    inside = batch["trimap"] == 128
    for name in ("alpha", "composition", "bce", "focal", "dice", "jaccard", "tversky", "lovasz"):
        values = [
            LOSSES[name].function(Matte(torch.where(inside, 0.4, outside)), batch) for outside in (0.1, 0.9)
        ]
        assert float(values[0]) == float(values[1])
