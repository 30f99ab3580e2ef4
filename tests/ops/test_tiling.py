"""Tiles give the result of the whole picture if the receptive field fits the blending, and never a seam."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmatte.ops.tiling import ramp, starts, tiled

layouts = st.sampled_from([(64, 32, 32), (64, 0, 32), (96, 32, 32), (96, 64, 32), (24, 8, 4), (20, 16, 4)])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 200), st.integers(1, 200), layouts)
def test_whatever_the_size_weights_sum_to_one_and_leave_no_pixel_out(
    height: int, width: int, layout: tuple[int, int, int]
) -> None:
    tile, overlap, multiple = layout
    picture = torch.rand(1, 1, height, width)
    torch.testing.assert_close(
        tiled(torch.clone, picture, tile=tile, overlap=overlap, multiple=multiple), picture
    )


@pytest.mark.parametrize("layout", [(64, 32, 32), (64, 0, 32), (96, 32, 32), (24, 8, 4)])
def test_weights_of_two_neighbours_sum_to_one_before_any_division(layout: tuple[int, int, int]) -> None:
    tile, overlap, multiple = layout
    length = tile + 3 * (tile - overlap)
    begins = starts(length, tile, overlap, multiple)
    assert begins == [i * (tile - overlap) for i in range(4)]
    total = torch.zeros(length)
    for begin in begins:
        total[begin : begin + tile] += ramp(begin, tile, length, overlap)
    torch.testing.assert_close(total, torch.ones(length))


@pytest.mark.parametrize(("height", "width"), [(130, 97), (64, 200), (40, 50)])
def test_a_network_that_sees_a_quarter_of_the_overlap_gives_the_whole_pictures_result(
    height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    kernels = [
        torch.randn(shape, generator=generator) for shape in ((3, 2, 5, 5), (1, 3, 5, 5))
    ]  # together 4 pixels to each side

    def network(x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(x, kernels[0], padding=2).relu(), kernels[1], padding=2)

    picture = torch.rand(2, 2, height, width, generator=generator)
    torch.testing.assert_close(
        tiled(network, picture, tile=64, overlap=16, multiple=16), network(picture), rtol=1e-5, atol=1e-4
    )
    if width > 64:  # and the blending is needed for it
        narrow = tiled(network, picture, tile=64, overlap=0, multiple=16)
        assert (narrow - network(picture)).abs().max() > 0.1


def test_tiles_lie_on_the_grid_of_a_network_that_pools() -> None:
    def network(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(F.avg_pool2d(x, 8, ceil_mode=True), scale_factor=8)[
            ..., : x.shape[-2], : x.shape[-1]
        ]

    picture = torch.rand(1, 1, 100, 161)
    torch.testing.assert_close(tiled(network, picture, tile=64, overlap=32, multiple=8), network(picture))


def test_what_every_tile_says_of_itself_goes_over_without_a_seam() -> None:
    levels = iter(torch.arange(100.0))
    result = tiled(
        lambda x: torch.zeros_like(x) + next(levels), torch.zeros(1, 1, 32, 512), tile=128, overlap=64
    )[0, 0, 0]
    assert result[0] == 0
    assert result[-1] == 7 - 1  # tiles begin at 0, 64, ..., 384
    assert result.diff().max() <= 1 / 32 + 1e-5  # one level in half an overlap


def test_tiles_that_leave_the_grid_are_refused() -> None:
    for tile, overlap in ((100, 32), (128, 10), (64, 64)):
        with pytest.raises(ValueError, match="multiples of 32"):
            tiled(torch.sqrt, torch.rand(1, 1, 8, 8), tile=tile, overlap=overlap)
