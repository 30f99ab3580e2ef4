"""Options of the encoders: dilations, poolings, norms, widths."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepmatte.errors import InputError
from deepmatte.models.encoders import ASPP, MobileNetV2, ResNet
from deepmatte.models.encoders.layers import NormLayers

THIN = 1 / 16


@pytest.mark.parametrize(
    ("dilated", "expected"),
    [
        ("torchvision", [[1, 2, 2, 2, 2, 2], [2, 4, 4]]),
        ("first", [[2, 1, 1, 1, 1, 1], [4, 1, 1]]),
        ("all", [[2, 2, 2, 2, 2, 2], [4, 4, 4]]),
    ],
)
def test_which_blocks_are_dilated(dilated, expected) -> None:
    network = ResNet(50, width=THIN, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), dilated=dilated)
    assert [[block.conv2.dilation[0] for block in s] for s in (network.layer3, network.layer4)] == expected
    assert [tuple(x.shape[-2:]) for x in network(torch.rand(1, 3, 32, 48))] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (4, 6),
        (4, 6),
    ]


def test_windows_of_2x2_never_choose_a_pixel_twice() -> None:
    torch.manual_seed(0)
    network = ResNet(50, width=THIN, pooling="2x2")
    levels, indices = network.with_indices(torch.rand(2, 3, 32, 32))
    for plane in indices.flatten(2).flatten(0, 1):
        assert len(plane.unique()) == plane.numel()
    unpooled = F.max_unpool2d(F.max_pool2d(levels[0], 2), indices, 2)
    assert torch.equal(unpooled[unpooled != 0], levels[0][unpooled != 0])


@pytest.mark.parametrize("make", [ResNet, MobileNetV2])
@pytest.mark.parametrize("norm", ["group", "none"])
def test_without_batch_statistics_a_sample_does_not_see_its_neighbours(make, norm) -> None:
    torch.manual_seed(0)
    network = make(inputs=4, width=THIN, norm=norm).double().train()
    images = torch.rand(2, 4, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        for together, alone in zip(network(images), network(images[:1]), strict=True):
            torch.testing.assert_close(together[:1], alone)
    # The bias of a convolution is needed exactly where no normalisation has one.
    biases = [part.bias is not None for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert set(biases) == {norm == "none"}


@pytest.mark.parametrize("size", [(64, 96), (33, 47)])
@pytest.mark.parametrize("make", [ResNet, MobileNetV2])
def test_levels_have_the_channels_and_strides_that_the_network_states(make, size) -> None:
    network = make(width=THIN).eval()
    levels = network(torch.rand(1, 3, *size))
    assert [level.shape[1] for level in levels] == list(network.channels)
    for level, stride in zip(levels, network.strides, strict=True):
        assert tuple(level.shape[-2:]) == tuple(-(-side // stride) for side in size)


def test_aspp_trains_with_one_sample() -> None:
    """PyTorch's batch normalisation raises in the pooled branch, where each channel has one value."""
    torch.manual_seed(0)
    aspp = ASPP(8, 4, norm="batch").train()
    aspp(torch.rand(1, 8, 6, 6)).sum().backward()
    assert all(p.grad is not None for p in aspp.parameters())
    pooled = aspp.convs[4]
    x = torch.rand(1, 8, 6, 6)
    with torch.no_grad():
        assert torch.equal(pooled(x), pooled.eval()(x))


def test_the_pooled_branch_of_a_thin_aspp_has_a_deviation_to_normalise_by() -> None:
    """Eight channels to a group; with one channel to a group every picture would be the bias."""
    torch.manual_seed(0)
    pooled = ASPP(8, 32, norm="group").train().convs[4]
    x = torch.rand(2, 8, 6, 6)
    assert not torch.allclose(pooled(x)[:1], pooled(x)[1:])
    values = pooled[1](x.mean((2, 3), keepdim=True)).reshape(2, 4, 8)
    wanted = (values - values.mean(2, keepdim=True)) / (
        values.var(2, keepdim=True, unbiased=False) + 1e-5
    ).sqrt()
    torch.testing.assert_close(pooled(x)[..., 0, 0], wanted.relu().flatten(1))


def test_a_group_of_a_single_value_becomes_its_bias() -> None:
    norm = NormLayers("group")(32)
    nn.init.normal_(norm.bias)
    torch.testing.assert_close(norm(torch.rand(1, 32, 1, 1)).flatten(), norm.bias, rtol=0, atol=1e-4)


def test_an_unknown_norm_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="norm=instance is invalid; expected batch, frozen, group, none"):
        ResNet(50, width=THIN, norm="instance")  # type: ignore[arg-type]
