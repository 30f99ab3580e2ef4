"""SegNet on VGG-16: its size by hand, ImageNet weights, any image size, gradients everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_dim import vgg16_state
from torch import nn

from deepmatte.batch import example_batch
from deepmatte.errors import InputError
from deepmatte.models import VggSegNet

SMALL = 1 / 16


def test_the_number_of_parameters_is_that_of_the_layers() -> None:
    def convolution(inputs: int, outputs: int, size: int) -> int:
        return inputs * outputs * size**2 + outputs

    decoder = (
        convolution(512, 512, 1)
        + convolution(512, 512, 5)
        + convolution(512, 256, 5)
        + convolution(256, 128, 5)
    )
    decoder += convolution(128, 64, 5) + convolution(64, 64, 5)
    expected = (
        convolution(4, 3, 3) + 14_714_688 + decoder + convolution(64, 1, 5)
    )  # VGG-16's 13 convolutions have 14,714,688
    assert sum(p.numel() for p in VggSegNet().encoder_decoder.parameters()) == expected


def test_there_are_four_pools_and_six_decoder_convolutions() -> None:
    net = VggSegNet(width=SMALL).encoder_decoder
    assert len(net.convolutions()) == 13
    decoder = [
        module
        for part in (net.deconv6, net.deconv5, net.deconvs)
        for module in part.modules()
        if isinstance(module, nn.Conv2d)
    ]
    assert [layer.kernel_size[0] for layer in decoder] == [1, 5, 5, 5, 5, 5]
    sizes = []
    net.deconv6.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-2:]))
    net(torch.rand(1, 4, 48, 32))
    assert sizes == [(3, 2)]  # a sixteenth


@pytest.mark.parametrize(("height", "width"), [(1, 1), (28, 28), (17, 70), (32, 48)])
def test_any_image_size_is_kept(height: int, width: int) -> None:
    model = VggSegNet(width=SMALL)
    batch = {
        "image": torch.rand(1, 3, height, width),
        "trimap": torch.full((1, 1, height, width), 128, dtype=torch.uint8),
    }
    with torch.no_grad():
        alpha = model(batch).alpha
    assert alpha.shape == (1, 1, height, width)
    assert bool(((alpha >= 0) & (alpha <= 1)).all())


def test_images_of_28_pixels_are_padded_to_32() -> None:
    """By hand: reflected to the next multiple of 16, through the network, cropped."""
    torch.manual_seed(0)
    model = VggSegNet(width=SMALL)
    batch = example_batch(size=28)
    with torch.no_grad():
        layers = torch.cat([model.normalise(batch["image"]), batch["trimap"] / 255], 1)
        by_hand = model.encoder_decoder(F.pad(layers, (0, 4, 0, 4), mode="reflect"))[..., :28, :28]
        assert torch.equal(model(batch, refine=False).logit, by_hand)


def test_untrained_refiner_is_the_identity() -> None:
    model = VggSegNet(width=SMALL)
    batch = example_batch(size=32)
    with torch.no_grad():
        assert torch.equal(model(batch, refine=False).alpha, model(batch, refine=True).alpha)


def test_with_imagenet_weights_vgg_sees_the_colours(tmp_path: Path) -> None:
    state = vgg16_state()
    torch.save(state, tmp_path / "vgg16.pth")
    net = VggSegNet(pretrained=str(tmp_path / "vgg16.pth")).encoder_decoder
    weights = [value for key, value in state.items() if key.startswith("features") and key.endswith("weight")]
    for convolution, weight in zip(net.convolutions(), weights, strict=True):
        assert torch.equal(convolution.weight, weight)
    layers = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(net.entry(layers), layers[:, :3])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_every_parameter_learns(norm: str) -> None:
    torch.manual_seed(0)
    model, batch = VggSegNet(width=SMALL, norm=norm), example_batch(size=32)
    nn.init.normal_(model.refiner.convs[-1].weight, std=0.1)
    (model(batch).alpha - batch["alpha"]).abs().mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias has no effect before batch normalisation.
    assert all(norm == "batch" and name.endswith("0.bias") for name in silent), silent


def test_two_samples_are_memorised() -> None:
    torch.manual_seed(0)
    model, batch = VggSegNet(width=1 / 16, norm="batch"), example_batch(num=2, size=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(batch).alpha - batch["alpha"]).square().mean()
        loss.backward()
        optimizer.step()
    constant = (batch["alpha"] - batch["alpha"].mean()).square().mean()
    assert loss < 0.1 * constant


def test_an_unknown_normalisation_is_rejected() -> None:
    with pytest.raises(InputError, match=r"model\.norm=layers"):
        VggSegNet(norm="layers")
