"""Background Matting V2 against the published network on formula weights: keys, parameters, outputs."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from model_cases import assert_as_published, formula_pictures, formula_weights, model_cases

from deepmatte.batch import Batch
from deepmatte.models import BackgroundMattingV2

CASES = model_cases()
PARAMETERS = {"resnet50": 40_247_703, "resnet101": 59_239_831, "mobilenetv2": 5_006_839}
ENTRIES = {"resnet50": 394, "resnet101": 700, "mobilenetv2": 382}
MODES = {"full": {}, "sampling": {"sample_pixels": 1600}, "thresholding": {"threshold": 0.418}}


@cache
def published_weights():
    layout = [
        *CASES["bgmv2_base_resnet50"]["state_dict"],
        *CASES["bgmv2_refine_resnet50_state_dict"],
    ]
    return formula_weights(layout, CASES["bgmv2_refine_resnet50_full"]["overrides"])


def published_network(**options) -> BackgroundMattingV2:
    with torch.device("meta"):
        model = BackgroundMattingV2(**options)
    model.load_state_dict(published_weights(), assign=True)
    model.mean, model.std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)  # buffers that no state dict has
    return model.eval()


@pytest.mark.parametrize("backbone", PARAMETERS)
def test_parameters_and_keys_are_those_of_the_published_weights(backbone):
    with torch.device("meta"):
        model = BackgroundMattingV2(backbone)
    state = model.state_dict()
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[backbone]
    assert len(state) == ENTRIES[backbone]
    if f"bgmv2_base_{backbone}" in CASES:
        layout = CASES[f"bgmv2_base_{backbone}"]["state_dict"] + CASES[f"bgmv2_refine_{backbone}_state_dict"]
        assert [[key, list(tensor.shape)] for key, tensor in state.items()] == layout


@torch.inference_mode()
def test_the_base_predicts_what_the_published_one_does():
    case = CASES["bgmv2_base_resnet50"]
    image, plate = formula_pictures(2, 96, 128)
    found = published_network().base(torch.cat([image, plate], 1))
    colours = (found.residual + image).clamp(0, 1)
    for name, planes in (("pha", found.alpha), ("fgr", colours), ("err", found.error), ("hid", found.hidden)):
        assert_as_published(planes, case[name])


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_the_refined_matte_is_the_published_one_in_every_mode(mode):
    case = CASES[f"bgmv2_refine_resnet50_{mode}"]
    image, plate = formula_pictures(2, 256, 320)
    model = published_network(refine_mode=mode, **MODES[mode])
    matte = model(Batch(image=image, captured_background=plate))
    assert_as_published(matte.alpha, case["pha"])
    assert_as_published(matte.foreground, case["fgr"])
    assert_as_published(matte.coarse.alpha, case["pha_sm"])
    assert_as_published(matte.coarse.foreground, case["fgr_sm"])
    assert_as_published(matte.coarse.error, case["err_sm"])
    errors = torch.nn.functional.interpolate(matte.coarse.error, (64, 80), mode="bilinear")
    selected = model.refiner.select(errors) if mode != "full" else torch.ones(2, 64, 80)
    assert selected.flatten(1).sum(1).tolist() == case["selected_patches"]
    if mode == "sampling":
        cells = case["first_selected_patches_row_col_of_sample_0"]
        assert selected[0].nonzero()[: len(cells)].tolist() == cells
