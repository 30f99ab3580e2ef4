"""AlphaGAN's generator: its options, what learns, and where its skip connections come from."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepmatte.batch import Batch, example_batch
from deepmatte.errors import InputError
from deepmatte.models import AlphaGAN

THIN = 1 / 16
GENERATOR = ("encoder", "aspp", "decoder")


def thin(**options) -> AlphaGAN:
    torch.manual_seed(0)
    return AlphaGAN(width=THIN, field=34, discriminator_width=THIN, **options)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 70), (64, 40)])
@pytest.mark.parametrize("pooling", ["overlapping", "2x2"])
def test_any_image_size_is_kept(height: int, width: int, pooling: str) -> None:
    batch = Batch(
        image=torch.rand(1, 3, height, width),
        trimap=torch.full((1, 1, height, width), 128, dtype=torch.uint8),
    )
    with torch.no_grad():
        matte = thin(pooling=pooling).eval()(batch)
    assert matte.alpha.shape == matte.logit.shape == (1, 1, height, width)
    assert bool(((matte.alpha >= 0) & (matte.alpha <= 1)).all())


@pytest.mark.parametrize(("norm", "dilated"), [("group", "first"), ("batch", "torchvision"), ("none", "all")])
def test_every_parameter_of_the_generator_learns_from_a_single_sample(norm: str, dilated: str) -> None:
    """After a first step, since without normalisation the residuals start at zero."""
    model, batch = thin(norm=norm, dilated=dilated).train(), example_batch(num=1, size=32)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        (model(batch).alpha - batch["alpha"]).square().mean().backward()
        optimizer.step()
    named = [(name, p) for part in GENERATOR for name, p in getattr(model, part).named_parameters()]
    assert not [name for name, p in named if p.grad is None or not p.grad.isfinite().all()]
    silent = [name for name, p in named if not p.grad.any()]
    assert len(silent) < 0.05 * len(named), silent  # a thin layer may have died
    assert all(p.grad is None for p in model.discriminator.parameters())


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_the_untrained_logit_has_the_scale_of_a_sigmoid_s_slope(norm: str) -> None:
    """Twelve of sixteen residual sums at 1/8: unscaled and not normalised, they would saturate alpha."""
    model = AlphaGAN(width=0.125, norm=norm)
    logit = model(example_batch(size=96)).logit
    assert 0.05 < float(logit.std()) < 4


def test_unpooling_puts_features_where_the_stem_s_maxima_were() -> None:
    model = thin(pooling="2x2").eval()
    picture = torch.rand(1, 4, 32, 32)
    seen: list[torch.Tensor] = []
    model.decoder.at_half.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        levels, indices = model.encoder.with_indices(picture)
        model.decoder(model.aspp(levels[4]), levels[1], levels[0], indices, picture[:, :3])
    channels = levels[0].shape[1]
    filled = seen[0][:, :channels].flatten(2) != 0
    chosen = torch.zeros_like(filled).scatter(2, indices.flatten(2), True)
    assert not bool((filled & ~chosen).any())
    _, maxima = F.max_pool2d(levels[0], 2, return_indices=True)
    assert torch.equal(maxima, indices)


def test_the_picture_reaches_the_last_convolutions_past_the_encoder() -> None:
    """Through the last skip connection, a logit sees the colours of 7x7 pixels."""
    model = thin().double().eval()
    batch = example_batch(size=64, dtype=torch.float64)
    inputs = model.inputs(batch)
    image = inputs["image"].requires_grad_()
    levels, indices = model.encoder.with_indices(torch.cat([inputs["image"].detach(), inputs["trimap"]], 1))
    levels = [level.detach() for level in levels]
    model.decoder.at_full = nn.Sequential(
        *[m for m in model.decoder.at_full if not isinstance(m, nn.GroupNorm)]
    )
    logit = model.decoder(model.aspp(levels[4]), levels[1], levels[0], indices, image)
    (gradient,) = torch.autograd.grad(logit[0, 0, 32, 32], image)
    rows, columns = gradient.abs().sum((0, 1)).nonzero().T
    assert (int(rows.min()), int(rows.max())) == (int(columns.min()), int(columns.max())) == (29, 35)


def test_an_unknown_norm_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="norm=instance is invalid"):
        AlphaGAN(width=THIN, norm="instance")  # type: ignore[arg-type]
