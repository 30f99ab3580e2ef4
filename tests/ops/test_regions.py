"""Regions, and the sums, means and ratios over them, in one process and in several."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from scipy.ndimage import distance_transform_cdt

from deepmatte.batch import example_batch
from deepmatte.ops.regions import (
    REGIONS,
    global_gather,
    global_sum,
    masked_mean,
    parse_region,
    ratio,
    region_mask,
)


def values_and_mask(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(3, 2, 5, 7, generator=generator, dtype=torch.float64)
    mask = torch.rand(3, 1, 5, 7, generator=generator) < 0.3
    mask[1] = False
    return values, mask


def test_regions_divide_the_image():
    trimap = example_batch()["trimap"]
    mask = {region: region_mask(trimap, region) for region in REGIONS}
    assert torch.equal(mask["unknown"] ^ mask["known"], mask["whole"])
    assert torch.equal(mask["foreground"] ^ mask["background"], mask["known"])
    assert torch.equal(mask["band"], region_mask(trimap, "band:10"))


@pytest.mark.parametrize("width", [1, 3, 40])
def test_band_is_the_chessboard_neighbourhood_of_the_unknown_zone(width):
    trimap = example_batch(num=1, size=41)["trimap"]
    distance = distance_transform_cdt(trimap[0, 0].numpy() != 128, metric="chessboard")
    assert np.array_equal(region_mask(trimap, f"band:{width}")[0, 0].numpy(), distance <= width)


@pytest.mark.parametrize("region", ["edge", "band:0", "band:-1", "band:x", "unknown:3", "band:"])
def test_unknown_region_is_refused_by_name(region):
    with pytest.raises(ValueError, match=f"region '{region}' is none of unknown, known"):
        parse_region(region)


def test_means_equal_numpys_masked_means():
    values, mask = values_and_mask()
    hidden = np.ma.array(values.numpy(), mask=~mask.expand_as(values).numpy())
    assert float(masked_mean(values, mask)) == pytest.approx(float(hidden.mean()))
    assert float(masked_mean(values, mask, "sample")) == pytest.approx(
        np.mean([float(hidden[i].mean()) for i in (0, 2)])
    )
    assert float(masked_mean(values, mask, per="image")) == pytest.approx(
        float(hidden.sum()) / values.numel()
    )
    assert float(masked_mean(values, mask, "sample", "image")) == pytest.approx(
        float(hidden.sum()) / values.numel()
    )
    assert float(masked_mean(values, None)) == pytest.approx(float(values.mean()))


def test_terms_over_complementary_regions_per_image_add_up_to_the_whole():
    values, mask = values_and_mask()
    parts = masked_mean(values, mask, per="image") + masked_mean(values, ~mask, per="image")
    torch.testing.assert_close(parts, values.mean())


@pytest.mark.parametrize("reduction", ["batch", "sample"])
def test_empty_mask_gives_zero_with_zero_gradient_and_hidden_values_have_no_influence(reduction):
    values = torch.tensor([[[[1.0, torch.nan, torch.inf]]]], requires_grad=True)
    empty = masked_mean(values, torch.zeros(1, 1, 1, 3, dtype=torch.bool), reduction)
    (gradient,) = torch.autograd.grad(empty, values)
    assert empty.item() == 0
    assert not gradient.any()
    assert masked_mean(values, torch.tensor([[[[True, False, False]]]]), reduction).item() == 1


def test_ratio_counts_every_pixel_alike_or_every_sample_alike():
    sums, counts = torch.tensor([6.0, 0.0, 5.0]), torch.tensor([2, 0, 1])
    assert ratio(sums, counts).item() == pytest.approx(11 / 3)
    assert ratio(sums, counts, "sample").item() == pytest.approx((6 / 2 + 5 / 1) / 2)
    assert ratio(torch.zeros(2), torch.zeros(2)).item() == 0


def check_processes(rank: int, world: int, store: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    own = (
        torch.arange(rank, dtype=torch.float64).mul(2).add(10 * rank).requires_grad_()
    )  # rank 0 holds nothing
    joined = torch.cat(
        [torch.arange(r, dtype=torch.float64).mul(2).add(10 * r) for r in range(world)]
    ).requires_grad_()
    start = sum(range(rank))
    for shared, alone in [
        (global_sum(own.square().sum()).sqrt(), joined.square().sum().sqrt()),
        (global_gather(own).cumsum(0).log1p().sum(), joined.cumsum(0).log1p().sum()),
    ]:
        torch.testing.assert_close(shared, alone)
        (gradient,) = torch.autograd.grad(shared, own)
        (wanted,) = torch.autograd.grad(alone, joined)
        torch.testing.assert_close(
            gradient / world, wanted[start : start + rank]
        )  # DDP averages over the processes
    with torch.no_grad():
        if rank == 0:  # no communication without gradients: it would wait for the others for ever
            assert global_sum(torch.ones(1)).item() == 1
            assert global_gather(torch.ones(2)).shape == (2,)
    dist.destroy_process_group()


def test_global_sum_and_gather_equal_one_process_with_uneven_and_empty_ranks(tmp_path):
    multiprocessing.set_forkserver_preload(["deepmatte.losses", "pytest", "scipy.ndimage"])
    mp.start_processes(
        check_processes, args=(3, str(tmp_path / "store")), nprocs=3, start_method="forkserver"
    )
