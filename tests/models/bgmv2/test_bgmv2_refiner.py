"""The identities of the refiner's modes, what its gradients reach, and where training starts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.errors import InputError
from deepmatte.models import BackgroundMattingV2

SMALL = {"backbone": "mobilenetv2", "width": 0.125}
LIVE = {"decoder.conv4.bias": 0.4, "refiner.conv4.bias": 0.5}
"""Biases that keep predictions away from 0 and 1, where they are clamped."""


def pictures(num: int = 2, height: int = 48, width: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    image, plate = torch.rand(2, num, 3, height, width, generator=generator)
    return Batch(image=image, captured_background=plate)


def network(**options) -> BackgroundMattingV2:
    torch.manual_seed(0)
    model = BackgroundMattingV2(**SMALL, **options).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in LIVE:
                parameter.fill_(LIVE[name])
    return model


def enlarged_coarse(matte, size) -> Tensor:
    return F.interpolate(matte.coarse.alpha, size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("refinement", ["replace", "correct"])
@torch.no_grad()
def test_full_is_thresholding_of_everything_to_the_bit(refinement):
    full, every = (network(refine_mode=mode, refinement=refinement) for mode in ("full", "thresholding"))
    for part in full, every:  # weights that correct something
        torch.nn.init.normal_(
            part.refiner.get_submodule("conv4" if refinement == "replace" else "correction").weight,
            std=0.05,
            generator=torch.Generator().manual_seed(3),
        )
    every.refiner.threshold = -1
    one, two = full(pictures()), every(pictures())
    assert torch.equal(one.alpha, two.alpha)
    assert torch.equal(one.foreground, two.foreground)


@torch.no_grad()
def test_more_samples_than_patches_select_all_where_an_error_is_expected():
    full, sampling = network(refine_mode="full"), network(sample_pixels=10**9)
    matte = sampling(pictures())
    errors = F.interpolate(matte.coarse.error, (12, 16), mode="bilinear", align_corners=False)
    expected = F.interpolate((errors > 0).float(), (48, 64), mode="nearest").bool()
    assert 0.3 < expected.float().mean() < 1
    assert torch.equal(full(pictures()).alpha[expected], matte.alpha[expected])
    tiny = Batch(image=torch.rand(1, 3, 3, 2), captured_background=torch.rand(1, 3, 3, 2))
    assert sampling(tiny).alpha.shape == (1, 1, 3, 2)


@torch.no_grad()
def test_nothing_above_the_threshold_is_the_enlarged_coarse_matte():
    model = network(refine_mode="thresholding", threshold=1.0)
    matte = model(pictures())
    assert torch.equal(matte.alpha, enlarged_coarse(matte, (48, 64)).clamp(0, 1))
    assert torch.equal(matte.alpha, model(pictures(), refine=False).alpha)


@torch.no_grad()
def test_only_selected_patches_differ_from_the_enlarged_coarse_matte():
    model = network(sample_pixels=16 * 20)
    matte = model(pictures())
    errors = F.interpolate(matte.coarse.error, (12, 16), mode="bilinear", align_corners=False)
    selected = model.refiner.select(errors)
    assert selected.flatten(1).sum(1).tolist() == [20, 20]
    left = errors[:, 0][~selected].view(2, -1)
    assert (errors[:, 0][selected].view(2, -1).amin(1) >= left.amax(1)).all()
    changed = (matte.alpha != enlarged_coarse(matte, (48, 64)).clamp(0, 1))[:, 0]
    assert torch.equal(changed.unflatten(1, (12, 4)).unflatten(3, (16, 4)).amax((2, 4)), selected)


def test_a_pixel_of_the_image_moves_only_outputs_within_seven_pixels():
    model = network(refine_mode="full")
    generator = torch.Generator().manual_seed(2)
    coarse, error, hidden = (torch.rand(1, c, 12, 16, generator=generator) for c in (4, 1, 4))
    layers = torch.rand(1, 6, 48, 64, generator=generator, requires_grad=True)
    refined, _ = model.refiner(layers, coarse, error, hidden)
    for row, column in ((20, 30), (23, 33)):
        (gradient,) = torch.autograd.grad(refined[0, 0, row, column], layers, retain_graph=True)
        rows, columns = gradient.abs().sum((0, 1)).nonzero().unbind(1)
        assert (rows - row).abs().max() <= 7
        assert (columns - column).abs().max() <= 7
        assert (rows - row).abs().max() >= 6


def reached(output: Tensor, model: BackgroundMattingV2) -> dict[str, bool]:
    """Return which parts, and which rows of the decoder's last convolution, a gradient reaches."""
    model.zero_grad()
    output.sum().backward()
    weight = model.decoder.conv4.weight.grad
    rows = torch.zeros(5) if weight is None else weight.abs().sum((1, 2, 3))
    parts = {
        part: any(p.grad is not None and p.grad.any() for p in getattr(model, part).parameters())
        for part in ("refiner", "backbone")
    }
    named = {"alpha": rows[0], "colours": rows[1:4].sum(), "error": rows[4], "hidden": rows[5:].sum()}
    return parts | {name: bool(value) for name, value in named.items()}


def test_gradients_reach_what_they_should():
    model = network(sample_pixels=16 * 60)
    matte = model(pictures())
    everything = dict.fromkeys(("refiner", "backbone", "alpha", "colours", "hidden"), True) | {"error": False}
    assert reached(matte.alpha, model) == everything
    alone = dict.fromkeys(everything, False) | {"backbone": True}
    assert reached(model(pictures()).coarse.alpha, model) == alone | {"alpha": True}
    assert reached(model(pictures()).coarse.error, model) == alone | {"error": True}


def test_training_selects_a_patch_of_every_picture_even_where_no_error_is_expected():
    for options in ({"refine_mode": "thresholding", "threshold": 1.0}, {"sample_pixels": 160}):
        model = network(**options).train()
        with torch.no_grad():
            model.decoder.conv4.weight[4].zero_()
            model.decoder.conv4.bias[4] = -1  # no error is expected anywhere
        matte = model(pictures())
        matte.alpha.sum().backward()
        assert all(parameter.grad is not None for parameter in model.refiner.parameters())
        assert model.refiner.conv3.weight.grad.any()
        assert model.refiner.select(torch.zeros(2, 1, 12, 16)).flatten(1).sum(1).tolist() == [1, 1]
        assert not model.eval().refiner.select(torch.zeros(2, 1, 12, 16)).any()


def test_joint_training_starts_with_the_coarse_matte_and_the_refiner_learns():
    model = network(refinement="correct").train()
    model.eval()
    matte = model(pictures())
    assert torch.equal(matte.alpha, model(pictures(), refine=False).alpha)
    target = torch.zeros_like(matte.alpha)
    F.l1_loss(matte.alpha, target).backward()
    assert model.refiner.correction.weight.grad.any()
    assert "refiner.conv4.weight" not in model.state_dict()  # published weights do not fit it unnoticed


def test_a_pixel_that_is_clamped_on_the_wrong_side_learns_with_the_inward_clamp_alone():
    for clamp, learns in (("hard", False), ("inward", True)):
        model = network(clamp=clamp)
        values = torch.tensor([-0.5, 0.5, 1.5], requires_grad=True)
        for target in (0.0, 1.0):
            values.grad = None
            found = model._clamped(values)
            assert found.tolist() == [0, 0.5, 1]
            F.mse_loss(found, torch.full((3,), target), reduction="sum").backward()
            wrong, right = (0, 2) if target else (2, 0)
            assert bool(values.grad[wrong]) is learns
            assert values.grad[1] != 0
            assert values.grad[right] == 0


@pytest.mark.parametrize("size", [(5, 7), (37, 50), (64, 33)])
def test_any_size_of_picture(size):
    for refine in (True, False):
        matte = network()(pictures(1, *size), refine=refine)
        assert matte.alpha.shape[-2:] == matte.foreground.shape[-2:] == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone_scale": 0.75}, r"^model\.backbone_scale=0\.75: has to be above 0 and at most 0\.5"),
        ({"backbone": "resnet18"}, r"^model\.backbone=resnet18: choose one of resnet50, resnet101,"),
        ({"refine_mode": "all"}, r"^model\.refine_mode=all: choose one of sampling, thresholding, full"),
        ({"sample_pixels": 8}, r"^model\.sample_pixels=8: a patch has 16 pixels; give at least that many"),
        ({"threshold": 7}, r"^model\.threshold=7: expected errors lie between 0 and 1"),
        ({"refinement": "add"}, r"^model\.refinement=add: choose replace or correct"),
        ({"clamp": "soft"}, r"^model\.clamp=soft: choose one of hard, inward"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        BackgroundMattingV2(**{**SMALL, **options})
