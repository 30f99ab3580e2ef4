"""ResNet, MobileNetV2 and ASPP against the published networks on formula weights: keys, shapes, outputs."""

from __future__ import annotations

import pytest
import torch
from model_cases import (
    assert_as_published,
    formula_pictures,
    formula_trimap,
    formula_weights,
    model_cases,
    part_of,
)

from deepmatte.models.encoders import ASPP, MobileNetV2, ResNet

CASES = model_cases()


@pytest.mark.slow
def test_resnet50_and_aspp_of_background_matting_v2() -> None:
    case = CASES["bgmv2_base_resnet50"]
    state = formula_weights(case["state_dict"], case["overrides"])
    resnet = ResNet(50, inputs=6, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)).eval()
    aspp = ASPP(2048, rates=(3, 6, 9), dropout=0.5).eval()
    for part, prefix in ((resnet, "backbone."), (aspp, "aspp.")):
        assert list(part.state_dict()) == list(part_of(state, prefix))
        part.load_state_dict(part_of(state, prefix))
        assert sum(p.numel() for p in part.parameters()) == case["by_part"][prefix[:-1]]
    with torch.no_grad():
        levels = resnet(torch.cat(formula_pictures(2, 96, 128), 1))
        pyramid = aspp(levels[4])
    for level, name in ((0, "x1"), (1, "x2"), (2, "x3"), (4, "x4")):
        assert_as_published(levels[level], case[f"feature_{name}"])
    assert_as_published(pyramid, case["aspp"])


ASPP_OF_ALPHAGAN = {
    **{f"aspp_{rate}.atrous_conv": f"convs.{i}.0" for i, rate in enumerate((1, 6, 12, 18))},
    **{f"aspp_{rate}.bn": f"convs.{i}.1" for i, rate in enumerate((1, 6, 12, 18))},
    "image_pooling": "convs.4",
    "conv1": "project",
}


@pytest.mark.slow
def test_dilated_resnet50_and_aspp_of_alphagan() -> None:
    """Group normalisation, dilation in the first block of a stage, overlapping pooling with its indices."""
    case = CASES["alphagan_generator_groupnorm"]
    state = formula_weights(case["state_dict"])
    resnet = ResNet(50, inputs=4, norm="group", strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), dilated="first")
    backbone = part_of(state, "encoder.resnet50.")
    resnet.load_state_dict({key.replace("conv_1", "conv1"): value for key, value in backbone.items()})
    aspp = ASPP(2048, rates=(6, 12, 18), norm="group")
    renamed = {}
    for key, value in part_of(state, "encoder.aspp.").items():
        old = max((name for name in ASPP_OF_ALPHAGAN if key.startswith(f"{name}.")), key=len)
        renamed[ASPP_OF_ALPHAGAN[old] + key.removeprefix(old)] = value
    aspp.load_state_dict(renamed)
    picture = torch.cat([formula_pictures(2, 96, 128)[0], formula_trimap(2, 96, 128)], 1)
    with torch.no_grad():
        levels, indices = resnet.with_indices(picture)
        assert_as_published(aspp(levels[4]), case["aspp"])
    assert_as_published(levels[0], case["skip2"])
    assert_as_published(levels[1], case["skip3"])
    planes = indices.flatten(2).flatten(0, 1)
    repeated = 1 - sum(len(plane.unique()) for plane in planes) / planes.numel()
    assert repeated == pytest.approx(case["fraction_of_repeated_unpool_indices"], abs=1e-9)


@pytest.mark.parametrize(("depth", "parameters"), [(50, 23_508_032), (101, 42_500_160)])
def test_resnets_have_torchvisions_parameters(depth: int, parameters: int) -> None:
    """torchvision's 25,557,032 and 44,549,160, less the classifier's 2,049,000."""
    with torch.device("meta"):
        network = ResNet(depth)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_mobilenetv2_of_background_matting_v2() -> None:
    layout = CASES["bgmv2_base_mobilenetv2"]["state_dict"]
    with torch.device("meta"):
        network = MobileNetV2(inputs=6, dilated=True)
    own = [[f"backbone.{key}", list(value.shape)] for key, value in network.state_dict().items()]
    assert own == [row for row in layout if row[0].startswith("backbone.")]
    assert (network.channels, network.strides) == ((16, 24, 32, 320), (2, 4, 8, 16))
    dilations = [block.conv[1][0].dilation[0] for block in network.features[14:]]
    assert dilations == [1, 2, 2, 2]
    assert [block.conv[1][0].stride[0] for block in network.features[14:]] == [1, 1, 1, 1]


def test_mobilenetv2_of_torchvision() -> None:
    """3,504,872 parameters, less the classifier's 1,281,000; the last block has 320 x 1280 + 2 x 1280."""
    with torch.device("meta"):
        whole, network = MobileNetV2(last=True), MobileNetV2()
    count = [sum(p.numel() for p in model.parameters()) for model in (whole, network)]
    assert count == [3_504_872 - 1_281_000, 3_504_872 - 1_281_000 - 412_160]
    assert (network.channels, network.strides) == ((16, 24, 32, 96, 320), (2, 4, 8, 16, 32))
    assert (whole.channels, whole.strides) == ((16, 24, 32, 96, 1280), (2, 4, 8, 16, 32))
