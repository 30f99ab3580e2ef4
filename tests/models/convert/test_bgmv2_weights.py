"""Published weights of Background Matting V2: recognised by their names, with or without a refiner."""

from __future__ import annotations

import pytest
import torch
from model_cases import formula_weights, model_cases

from deepmatte.errors import InputError
from deepmatte.models import BackgroundMattingV2
from deepmatte.models.convert import CONVERTERS

CASES = model_cases()
CONVERT = CONVERTERS["bgmv2"]


def meta(*options: object) -> BackgroundMattingV2:
    with torch.device("meta"):
        return BackgroundMattingV2(*options)


def published(backbone: str, refiner: bool = True) -> dict[str, torch.Tensor]:
    layout = CASES[f"bgmv2_base_{backbone}"]["state_dict"]
    layout = layout + (CASES[f"bgmv2_refine_{backbone}_state_dict"] if refiner else [])
    return formula_weights(layout) if backbone == "mobilenetv2" else {k: torch.empty(s) for k, s in layout}


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50"])
def test_weights_are_recognised_and_taken_over_as_they_are(backbone):
    theirs = published(backbone)
    assert CONVERT.overrides(theirs) == [
        "model=bgmv2",
        f"model.backbone={backbone}",
        "model.refinement=replace",
    ]
    ours, absent = CONVERT(theirs, meta(backbone))
    assert list(ours) == list(theirs)
    assert all(ours[name] is theirs[name] for name in theirs)
    assert not absent
    _, absent = CONVERT(published(backbone, refiner=False), meta(backbone))
    assert absent == ["refiner"]


def test_resnet101_is_told_by_its_depth():
    names = dict.fromkeys(meta("resnet101").state_dict())
    assert CONVERT.overrides(names)[1] == "model.backbone=resnet101"


def test_weights_of_another_network_are_named():
    theirs = published("mobilenetv2")
    with pytest.raises(InputError, match=r"^classifier\.weight: no entry of Background Matting V2"):
        CONVERT({**theirs, "classifier.weight": torch.zeros(1)}, meta("mobilenetv2"))
    with pytest.raises(InputError, match=r"^backbone\.features\.0\.0\.weight: is "):
        CONVERT(theirs, meta("mobilenetv2", 0.5))
    del theirs["refiner.conv4.bias"]
    with pytest.raises(InputError, match=r"^refiner\.conv4\.bias: "):
        CONVERT(theirs, meta("mobilenetv2"))
