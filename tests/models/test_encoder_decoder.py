"""Any encoder with detail capture: sizes, what starts without influence, what a batch shares, bad input."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from deepmatte.batch import Batch, example_batch
from deepmatte.errors import InputError
from deepmatte.models import EncoderDecoderMatting
from deepmatte.models.detail_capture import DetailCapture
from deepmatte.models.encoders import ENCODERS, catalogue, timm

THIN = {"width": 1 / 8, "decoder_width": 1 / 8}


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_any_size_gives_a_matte_and_every_parameter_a_gradient(encoder: str) -> None:
    model = EncoderDecoderMatting(encoder, **THIN)
    matte = model(example_batch(size=45))
    assert matte.alpha.shape == matte.logit.shape == (2, 1, 45, 45)
    torch.testing.assert_close(matte.alpha, torch.sigmoid(matte.logit))
    matte.alpha.mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_the_trimap_starts_without_influence_on_the_encoder_and_gets_it_by_learning(encoder: str) -> None:
    encoder = EncoderDecoderMatting(encoder, **THIN).encoder
    first = next(part for part in encoder.modules() if isinstance(part, nn.Conv2d))
    assert first.in_channels == 4
    assert not first.weight[:, 3].any()
    encoder(torch.rand(1, 4, 64, 64))[-1].sum().backward()
    assert first.weight.grad[:, 3].any()


def test_a_sample_does_not_depend_on_the_others_of_its_batch() -> None:
    torch.manual_seed(0)
    model = EncoderDecoderMatting(**THIN).double().train()
    batch = example_batch(size=64, dtype=torch.float64)
    one = Batch(image=batch["image"][:1], trimap=batch["trimap"][:1])
    with torch.no_grad():
        torch.testing.assert_close(model(batch).alpha[:1], model(one).alpha)


def test_a_detail_of_one_pixel_reaches_the_matte_past_the_encoder() -> None:
    """With the encoder's features held, a changed pixel changes the matte at that pixel alone and around."""
    torch.manual_seed(0)
    decoder = DetailCapture((8, 8), (2, 4), norm="none").eval()
    features = [torch.rand(1, 8, 16, 16), torch.rand(1, 8, 8, 8)]
    picture = torch.rand(1, 4, 32, 32, requires_grad=True)
    decoder(features, picture)[0, 0, 16, 16].backward()
    reached = picture.grad.abs().sum((0, 1)).nonzero()
    assert reached.min(0).values.tolist() == [14, 14]  # two 3x3 convolutions
    assert reached.max(0).values.tolist() == [18, 18]


def test_sizes_that_the_encoder_lacks_come_from_a_stream_of_convolutions() -> None:
    """ViTMatte's, for a transformer with one level; the last of several levels of one size counts."""
    for strides in [(16,), (16, 16)]:
        decoder = DetailCapture((384,) * len(strides), strides, norm="batch")
        assert sum(p.numel() for p in decoder.parameters()) == 2_068_961
    levels = [torch.zeros(1, 8, 2, 2), torch.rand(1, 8, 2, 2)]
    twice = DetailCapture((8, 8), (16, 16), width=0.25)
    once = DetailCapture((8,), (16,), width=0.25)
    once.load_state_dict(twice.state_dict())
    picture = torch.rand(1, 4, 32, 32)
    assert torch.equal(twice(levels, picture), once(levels[1:], picture))


@pytest.mark.parametrize("strides", [(14,), (4, 16), (32,)])
def test_features_of_sizes_that_do_not_fit_are_refused(strides) -> None:
    with pytest.raises(InputError, match=r"model.encoder: its features at 1/.* don't fit the decoder"):
        DetailCapture((8,) * len(strides), strides)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "lite"}, "is none of lite0, .*did you mean `model.encoder=lite0`.*extra `timm`"),
        ({"pretrained": "imagenet", "width": 0.5}, r"model.width=0.5: pretrained weights need 1"),
        ({"norm": "instance"}, "norm=instance is invalid"),
        ({"encoder": "resnet50", "pretrained": "nowhere.pth"}, "nowhere.pth: no such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(monkeypatch, options, message) -> None:
    monkeypatch.setattr(timm, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=message) as error:
        EncoderDecoderMatting(**options)
    assert "\n" not in str(error.value)


needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra `timm`")


@needs_timm
@pytest.mark.parametrize(
    "name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"]
)
def test_networks_of_timm_are_encoders(name: str) -> None:
    torch.manual_seed(0)
    model = EncoderDecoderMatting(name, decoder_width=0.125)
    matte = model(example_batch(size=70))
    assert matte.alpha.shape == (2, 1, 70, 70)
    matte.alpha.mean().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    first = next(part for part in model.encoder.modules() if isinstance(part, nn.Conv2d))
    assert first.weight.shape[1] == 4
    assert not first.weight[:, 3].any()


@needs_timm
def test_a_network_of_timm_sees_the_colours_as_it_does_there() -> None:
    from timm import create_model

    torch.manual_seed(0)
    own = catalogue.make_encoder("timm/resnet18", norm="frozen")
    other = create_model("resnet18", features_only=True)
    state = own.network.state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :3]
    other.load_state_dict(state)
    picture = torch.rand(1, 4, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(own.train()(picture), other.eval()(picture[:, :3]), strict=True):
            torch.testing.assert_close(ours, theirs)


@needs_timm
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "convnxt_tiny"}, "nor a network of timm; did you mean `model.encoder=convnext_tiny`"),
        ({"encoder": "resnet18", "width": 0.5}, "networks of timm have a width of their own"),
        ({"encoder": "resnet18", "norm": "group"}, "networks of timm keep their own"),
        ({"encoder": "resnet18", "pretrained": "nowhere.pth"}, "nowhere.pth: no such file"),
        ({"encoder": "vit_small_patch14_dinov2"}, "at 1/14, .*don't fit the decoder"),
    ],
)
def test_what_timm_cannot_do_is_refused_in_one_line(options, message) -> None:
    with pytest.raises(InputError, match=message) as error:
        EncoderDecoderMatting(**options)
    assert "\n" not in str(error.value)
