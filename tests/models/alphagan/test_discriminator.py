"""PatchGAN: the published network's outputs, the patch that one logit sees, no batch statistics."""

from __future__ import annotations

import pytest
import torch
from model_cases import assert_as_published, formula_pictures, formula_trimap, formula_weights, model_cases
from torch import nn

from deepmatte.errors import InputError
from deepmatte.models.alphagan import PatchDiscriminator

CASES = model_cases()
THIN = 1 / 16


def awake(*arguments, **options) -> PatchDiscriminator:
    """A discriminator in double precision whose last layer does not start at 0."""
    torch.manual_seed(0)
    network = PatchDiscriminator(*arguments, **options).double().train()
    nn.init.normal_(network.layers[-1].weight)
    return network


@pytest.mark.parametrize(("field", "case"), [(70, "patchgan_n_layers_3"), (34, "patchgan_n_layers_2")])
def test_layers_are_those_of_the_published_network(field: int, case: str) -> None:
    network = PatchDiscriminator(field, norm="batch")
    own = [[f"model.{key}", list(value.shape)] for key, value in network.layers.state_dict().items()]
    assert own == CASES[case]["state_dict"]
    assert sum(p.numel() for p in network.parameters()) == CASES[case]["parameters"]


def test_logits_are_those_of_the_published_network() -> None:
    case = CASES["patchgan_n_layers_3"]
    network = PatchDiscriminator(70, norm="batch").eval()
    state = formula_weights(case["state_dict"])
    network.load_state_dict({key.replace("model.", "layers."): value for key, value in state.items()})
    colours = formula_pictures(2, 96, 128)[0] * network.std + network.mean  # taken as normalised there
    trimap = 255 * formula_trimap(2, 96, 128)
    with torch.no_grad():
        assert_as_published(network(colours, trimap), case["logit"])


@pytest.mark.parametrize("field", [70, 34])
def test_one_logit_sees_exactly_its_patch(field: int) -> None:
    """The support of its gradient, in training; a leaky ReLU lets every path through."""
    network = awake(field, width=THIN)
    picture = torch.rand(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = network(picture, torch.full((1, 1, 160, 160), 128))
    rows, columns = logits.shape[-2:]
    (gradient,) = torch.autograd.grad(logits[0, 0, rows // 2, columns // 2], picture)
    seen = gradient.abs().sum((0, 1)) > 0
    ys, xs = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert (len(ys), len(xs)) == (field, field)
    assert int(ys[-1] - ys[0]) == int(xs[-1] - xs[0]) == field - 1
    assert bool(seen[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].all())


def test_an_untrained_discriminator_says_0_and_pulls_at_nothing() -> None:
    picture = torch.rand(2, 3, 48, 48, requires_grad=True)
    logits = PatchDiscriminator(34, THIN)(picture, torch.full((2, 1, 48, 48), 128))
    assert not logits.any()
    (logits - 1).square().mean().backward()
    assert not picture.grad.any()


@pytest.mark.parametrize("norm", ["none", "group"])
def test_a_verdict_depends_on_no_other_sample(norm: str) -> None:
    """Nor on being one of a batch of real or of predicted composites; with batch normalisation it does."""
    torch.manual_seed(0)
    colours, trimap = torch.rand(3, 3, 48, 48, dtype=torch.float64), torch.full((3, 1, 48, 48), 128)
    network = awake(34, THIN, norm)
    together, alone = network(colours, trimap), network(colours[:1], trimap[:1])
    torch.testing.assert_close(together[:1], alone)
    with_statistics = awake(34, THIN, "batch")
    together, alone = with_statistics(colours, trimap), with_statistics(colours[:1], trimap[:1])
    assert not torch.allclose(together[:1], alone)


@pytest.mark.parametrize(("field", "smallest"), [(70, 24), (34, 12)])
def test_the_smallest_crop_gives_one_logit_and_a_smaller_one_is_refused(field: int, smallest: int) -> None:
    network = PatchDiscriminator(field, THIN)
    crop = torch.rand(1, 3, smallest, smallest), torch.zeros(1, 1, smallest, smallest)
    assert network(*crop).shape == (1, 1, 1, 1)
    with pytest.raises(InputError, match=rf"crops of {smallest} pixels or more, not {smallest - 1} x"):
        network(crop[0][..., 1:, :], crop[1][..., 1:, :])


def test_an_unknown_field_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^model\.field=50: choose 70 or 34$"):
        PatchDiscriminator(50)
