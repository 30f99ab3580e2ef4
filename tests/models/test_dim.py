"""Deep Image Matting: published size, identity of the untrained refiner, ImageNet weights, any image size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from deepmatte.batch import example_batch
from deepmatte.errors import InputError
from deepmatte.models import DeepImageMatting
from deepmatte.models.vgg import VGG16_BLOCKS

SMALL = 1 / 16


def vgg16_state(first: int = 3, width: float = 1.0) -> dict[str, torch.Tensor]:
    """A state dict with the keys and shapes of torchvision's vgg16: features.0, .2, pool at .4, and so on."""
    generator = torch.Generator().manual_seed(0)
    state, layer, channels = {}, 0, first
    for block in VGG16_BLOCKS:
        for out in (round(width * c) for c in block):
            state[f"features.{layer}.weight"] = torch.randn(out, channels, 3, 3, generator=generator) * 0.05
            state[f"features.{layer}.bias"] = torch.randn(out, generator=generator)
            layer, channels = layer + 2, out
        layer += 1
    state["classifier.0.weight"] = torch.zeros(1, 1)
    return state


def test_parameters_count_as_published() -> None:
    model = DeepImageMatting()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    encoder = sum(p.numel() for p in model.encoder_decoder.encoder.blocks.parameters())
    # VGG-16's 13 convolutions have 14,714,688 parameters; the fourth input channel adds 64 * 9.
    assert encoder == 14_714_688 + 576
    assert round(sum(count.values()) / 1e6, 1) == 26.3
    assert round(count["refiner"] / 1e6, 3) == 0.077


def test_untrained_refiner_is_the_identity() -> None:
    torch.manual_seed(0)
    model = DeepImageMatting(width=SMALL)
    batch = example_batch(size=64)
    with torch.no_grad():
        coarse, refined = model(batch, refine=False), model(batch, refine=True)
    assert torch.equal(coarse.alpha, refined.alpha)
    assert torch.equal(refined.coarse.alpha, coarse.alpha)


def test_trained_refiner_adds_to_the_logit() -> None:
    torch.manual_seed(0)
    model = DeepImageMatting(width=SMALL)
    nn.init.normal_(model.refiner.convs[-1].weight, std=0.1)
    batch = example_batch(size=64)
    with torch.no_grad():
        coarse, refined = model(batch, refine=False), model(batch, refine=True)
        residual = model.refiner(model.normalise(batch["image"]), coarse.alpha)
    torch.testing.assert_close(refined.alpha, torch.sigmoid(coarse.logit + residual))
    assert not torch.equal(refined.alpha, coarse.alpha)


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 70), (64, 64), (17, 200)])
def test_any_image_size_is_kept(height: int, width: int, skips: bool) -> None:
    model = DeepImageMatting(width=SMALL, skips=skips)
    batch = {
        "image": torch.rand(1, 3, height, width),
        "trimap": torch.full((1, 1, height, width), 128, dtype=torch.uint8),
    }
    with torch.no_grad():
        matte = model(batch)
    assert matte.alpha.shape == (1, 1, height, width)
    assert bool(((matte.alpha >= 0) & (matte.alpha <= 1)).all())


def test_only_skips_bring_detail_past_the_deepest_features() -> None:
    """With deconv6 zeroed, the logit depends on the image only through skips."""
    torch.manual_seed(0)
    one, other = example_batch(size=64, seed=1), example_batch(size=64, seed=2)
    for skips in (False, True):
        model = DeepImageMatting(width=SMALL, skips=skips)
        nn.init.zeros_(model.encoder_decoder.decoder.deconv6.weight)
        with torch.no_grad():
            same = torch.equal(model(one, refine=False).logit, model(other, refine=False).logit)
        assert same is not skips


def test_multiples_of_32_are_not_padded() -> None:
    """The encoder-decoder applied to the unpadded input gives the model's logit."""
    torch.manual_seed(0)
    model = DeepImageMatting(width=SMALL)
    batch = example_batch(size=64)
    with torch.no_grad():
        by_hand = model.encoder_decoder(
            torch.cat([model.normalise(batch["image"]), batch["trimap"] / 255], 1)
        )
        assert torch.equal(model(batch).logit, by_hand)


def test_unpooling_restores_the_positions_of_pooled_values() -> None:
    """Each block's maximum returns to its position, with zeros elsewhere."""
    x = torch.rand(1, 2, 8, 8)
    pooled, index = nn.functional.max_pool2d(x, 2, return_indices=True)
    restored = nn.functional.max_unpool2d(pooled, index, 2)
    blocks = x.reshape(1, 2, 4, 2, 4, 2).amax((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(restored, torch.where(x == blocks, x, 0))


def test_vgg16_weights_are_copied_and_the_trimap_channel_starts_at_zero(tmp_path: Path) -> None:
    state = vgg16_state()
    torch.save(state, tmp_path / "vgg16.pth")
    model = DeepImageMatting(pretrained=str(tmp_path / "vgg16.pth"))
    blocks = model.encoder_decoder.encoder.blocks
    convolutions = [layer for block in blocks for layer in block if isinstance(layer, nn.Conv2d)]
    weights = [value for key, value in state.items() if key.startswith("features") and key.endswith("weight")]
    assert torch.equal(convolutions[0].weight[:, :3], weights[0])
    assert not convolutions[0].weight[:, 3].any()
    for convolution, weight in zip(convolutions[1:], weights[1:], strict=True):
        assert torch.equal(convolution.weight, weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.pth", "no such file"),
        (lambda folder: _write(folder / "text.pth", b"hello"), "not a readable PyTorch state dict"),
        (lambda folder: _save(folder / "half.pth", vgg16_state(width=0.5)), "require model.width=1"),
        (lambda folder: _save(folder / "other.pth", {"features.0.weight": torch.zeros(1)}), "1 convolutions"),
    ],
)
def test_unsuitable_weights_are_rejected_in_one_line(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        DeepImageMatting(pretrained=str(make(tmp_path)))
    assert "\n" not in str(error.value)


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _save(path: Path, state: dict) -> Path:
    torch.save(state, path)
    return path
