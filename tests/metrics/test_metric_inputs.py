import subprocess
import sys

import numpy as np
import pytest
import torch
from reference_cases import CASES

from deepmatte.errors import InputError
from deepmatte.metrics import score_image
from deepmatte.metrics.functional import inputs
from deepmatte.ops import regions

GOOD = np.full((6, 8), 0.25)
TRIMAP = np.full((6, 8), 128, np.uint8)


@pytest.mark.parametrize(
    ("prediction", "alpha", "trimap", "message"),
    [
        (GOOD[:, :7], GOOD, TRIMAP, "alpha is 8x6, the prediction 7x6 pixels"),
        (GOOD, GOOD, TRIMAP[:5], "trimap is 8x5, the prediction 8x6 pixels"),
        (np.where(GOOD, np.nan, 0), GOOD, TRIMAP, "prediction has NaN or infinite values"),
        (GOOD, GOOD * np.inf, TRIMAP, "alpha has NaN or infinite values"),
        (GOOD * 255, GOOD, TRIMAP, "prediction has values from 63.75 to 63.75: give float in"),
        (GOOD - 0.5, GOOD, TRIMAP, "prediction has values from -0.25"),
        (GOOD, GOOD.astype(np.int64), TRIMAP, "alpha has values of type int64"),
        (GOOD, GOOD, TRIMAP - 1, "trimap has the value 127"),
        (GOOD, GOOD, TRIMAP / 255, "trimap has values of type float64"),
        (GOOD, GOOD, None, "trimap is missing: protocol adobe needs one"),
        (np.stack([GOOD] * 3), GOOD, TRIMAP, r"prediction has shape \(3, 6, 8\)"),
        (GOOD[:0], GOOD, TRIMAP, r"prediction has shape \(0, 8\)"),
    ],
)
def test_bad_input_is_refused_in_one_line(prediction, alpha, trimap, message):
    with pytest.raises(InputError, match=message) as caught:
        score_image(prediction, alpha, trimap)
    assert "\n" not in str(caught.value)


def test_bad_tensors_are_refused_too():
    with pytest.raises(InputError, match="NaN or infinite"):
        score_image(
            torch.full((1, 6, 8), torch.nan),
            torch.zeros(1, 6, 8),
            torch.full((1, 6, 8), 128, dtype=torch.uint8),
        )


@pytest.mark.parametrize("protocol", ["adobe", "adobe_masked", "float", "gca"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_tensors_and_arrays_give_the_same_numbers(dtype, protocol):
    a = CASES["P03"].arrays
    suffix = "_u8" if dtype == torch.uint8 else ""
    prediction, alpha = (torch.from_numpy(a[name + suffix]).to(dtype) for name in ("pred", "alpha"))
    trimap = torch.from_numpy(a["trimap"])
    as_arrays = score_image(prediction.numpy(), alpha.numpy(), trimap.numpy(), protocol)
    assert (
        score_image(
            prediction[None, None].requires_grad_(dtype.is_floating_point),
            alpha[None],
            trimap[None],
            protocol,
        )
        == as_arrays
    )


def test_half_precision_predictions_are_read():
    a = CASES["P03"].arrays
    half = torch.from_numpy(a["pred"]).half()
    expected = score_image(half.double().numpy(), a["alpha"], a["trimap"])
    assert score_image(half, a["alpha"], a["trimap"]) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_levels_are_rounded_in_the_precision_of_the_matte_halves_to_even(dtype):
    """Beside every half, nearer than single precision can tell in the case of doubles."""
    halves = (np.arange(255) + 0.5) / 255
    mattes = np.stack([halves - 1e-12, halves, halves + 1e-12]).astype(dtype)
    expected = np.rint(mattes * dtype(255)).astype(np.uint8)
    assert np.array_equal(inputs.quantise(mattes), expected)
    assert np.array_equal(inputs.quantise(torch.from_numpy(mattes)), expected)
    if dtype == np.float64:
        assert np.array_equal(expected[0], np.arange(255))
        assert np.array_equal(expected[2], np.arange(1, 256))


@pytest.mark.parametrize("rounding", ["nearest", "truncate"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_rounding_on_a_gpu_equals_rounding_on_the_cpu(dtype, rounding, monkeypatch):
    """There need not be one here: what would stay a tensor there is kept a tensor."""
    matte = torch.from_numpy(CASES["P04"].arrays["pred"]).to(dtype)
    on_cpu = inputs.quantise(matte, rounding=rounding)
    monkeypatch.setattr(inputs, "_plane", lambda image, name: image)
    assert np.array_equal(inputs.quantise(matte, rounding=rounding), on_cpu)


def test_16_bit_and_boolean_mattes_have_their_own_full_scale():
    a = CASES["P01"].arrays
    deep = np.round(a["pred"] * 65535).astype(np.uint16)
    assert score_image(deep, a["alpha"], a["trimap"], "float") == score_image(
        deep / 65535, a["alpha"], a["trimap"], "float"
    )
    hard = a["pred"] >= 0.5
    assert score_image(hard, a["alpha"], a["trimap"]) == score_image(
        hard.astype(np.float64), a["alpha"], a["trimap"]
    )


def test_views_that_are_not_contiguous_are_read_rightly():
    a = CASES["P04"].arrays
    parts = [a[name][::2, 1::3] for name in ("pred_u8", "alpha_u8", "trimap")]
    assert score_image(*parts) == score_image(*(part.copy() for part in parts))


@pytest.mark.parametrize("protocol", ["adobe_masked", "mmagic", "float"])
def test_the_callers_arrays_are_left_alone(protocol):
    a = {name: array.copy() for name, array in CASES["P14"].arrays.items()}
    for prediction, alpha in (("pred_u8", "alpha_u8"), ("pred", "alpha")):
        score_image(a[prediction], a[alpha], a["trimap"], protocol)
    assert all(np.array_equal(a[name], array) for name, array in CASES["P14"].arrays.items())


def test_the_trimap_s_values_are_those_of_the_house():
    ours = (inputs.BACKGROUND, inputs.UNKNOWN, inputs.FOREGROUND)
    assert ours == (regions.BACKGROUND, regions.UNKNOWN, regions.FOREGROUND)


def test_an_unknown_protocol_names_the_valid_ones():
    with pytest.raises(
        ValueError, match="'matlab' is unknown: choose among adobe, adobe_masked, whole, float, mmagic, gca"
    ):
        score_image(GOOD, GOOD, TRIMAP, "matlab")


def test_the_pure_functions_load_no_torch():
    code = "import sys; from deepmatte.metrics import score_image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
