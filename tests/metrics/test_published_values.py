from dataclasses import replace

import numpy as np
import pytest
from reference_cases import CASES

from deepmatte.metrics.functional import PROTOCOLS, score_image

FACTOR = {
    "sad": 1,
    "mse": 1e-3,
    "mad": 1e-3,
    "grad": 1,
    "conn": 1,
    "miou": 1,
}  # our unit of mse and mad is a thousandth
SUM = {
    "sad": 1,
    "mse": 1e-3,
    "mad": 1e-3,
    "grad": 1e3,
    "conn": 1e3,
}  # the catalogue's grad and conn are not divided by 1000
UNIT_SAD = {**SUM, "sad": 1e3}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def assert_scores(measured, case, names, factors, rtol, atol=1e-12):
    """Compare with published values; a mean over no pixels, NaN in Matlab, is 0 here by definition."""
    for score, value in measured.items():
        published = np.nan_to_num(case.value(names.format(score)), nan=0.0)
        assert value * factors[score] == pytest.approx(published, rel=rtol, abs=atol), names.format(score)


@every_case
@pytest.mark.parametrize("region", ["unknown", "whole"])
@pytest.mark.parametrize("prediction", ["raw", "masked"])
def test_scores_equal_the_matlab_evaluation(case, prediction, region):
    protocol = replace(PROTOCOLS["adobe"], masked=prediction == "masked", region=region, error_region=region)
    a = case.arrays
    measured = score_image(a["pred_u8"], a["alpha_u8"], a["trimap"], protocol, ("sad", "mse", "grad", "conn"))
    assert_scores(measured, case, f"dim_matlab.{{}}.{prediction}_{region}", SUM, rtol=2e-6, atol=2e-9)
    assert_scores(measured, case, f"canonical_f64.{{}}.{prediction}_{region}", SUM, rtol=1e-9)
    mad = score_image(a["pred_u8"], a["alpha_u8"], a["trimap"], protocol, ("mad",))
    assert_scores(mad, case, f"canonical_f64.{{}}.{prediction}_{region}", SUM, rtol=1e-9)


@every_case
@pytest.mark.parametrize("region", ["unknown", "whole"])
def test_row_major_ties_equal_the_published_python_tie_break(case, region):
    protocol = replace(PROTOCOLS["adobe"], region=region, tie="row")
    a = case.arrays
    measured = score_image(a["pred_u8"], a["alpha_u8"], a["trimap"], protocol, ("conn",))
    assert_scores(measured, case, f"canonical_f64.{{}}_rowtie.raw_{region}", SUM, rtol=1e-9)


@every_case
@pytest.mark.parametrize("region", ["unknown", "whole"])
def test_float_protocol_equals_the_definition_on_unrounded_mattes(case, region):
    protocol = replace(PROTOCOLS["float"], region=region, error_region=region)
    a = case.arrays
    measured = score_image(a["pred"], a["alpha"], a["trimap"], protocol, ("sad", "mse", "grad", "conn"))
    assert_scores(measured, case, f"canonical_f64_float.{{}}.raw_{region}", UNIT_SAD, rtol=1e-9)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_mattes_are_rounded_to_8_bit_under_adobe(case, dtype):
    a = case.arrays
    measured = score_image(
        a["pred"].astype(dtype),
        a["alpha"].astype(dtype),
        a["trimap"],
        "adobe",
        ("sad", "mse", "grad", "conn"),
    )
    assert_scores(measured, case, "canonical_f64.{}.raw_unknown", SUM, rtol=1e-9)


@every_case
def test_mmagic_protocol_reproduces_mmagic(case):
    a = case.arrays
    measured = score_image(a["pred_u8"], a["alpha_u8"], a["trimap"], "mmagic", ("sad", "mse", "grad", "conn"))
    assert_scores(measured, case, "mmagic.{}", FACTOR, rtol=1e-9)


@every_case
@pytest.mark.parametrize("prediction", ["raw", "masked"])
def test_gca_protocol_reproduces_its_python_code(case, prediction):
    a = case.arrays
    protocol = replace(PROTOCOLS["gca"], masked=prediction == "masked")
    measured = score_image(a["pred_u8"], a["alpha_u8"], a["trimap"], protocol, ("sad", "mse", "grad", "conn"))
    assert_scores(measured, case, f"gca.{{}}.{prediction}", FACTOR, rtol=1e-9)


@every_case
def test_whole_protocol_reproduces_robust_video_matting(case):
    a = case.arrays
    measured = score_image(a["pred_u8"], a["alpha_u8"], None, "whole", ("mad", "mse", "grad", "conn"))
    unscaled = {**FACTOR, "mad": 1, "mse": 1}
    assert_scores(measured, case, "rvm.{}.u8", unscaled, rtol=2e-6, atol=1e-9)  # it computes in float32
    # P3M's errors are plain means of 8-bit mattes over the whole image.
    errors = score_image(a["pred_u8"], a["alpha_u8"], None, "whole", ("sad", "mse", "mad"))
    assert_scores(errors, case, "p3m.{}.whole", FACTOR, rtol=1e-9)


def test_protocols_differ_by_the_0_6_threshold_and_the_competing_background():
    a = CASES["P12"].arrays
    images = a["pred_u8"], a["alpha_u8"], a["trimap"]
    conn = {name: score_image(*images, name)["conn"] for name in PROTOCOLS}
    case = CASES["P12"]
    assert conn["adobe_masked"] == pytest.approx(case.value("canonical_f64.conn.masked_unknown") / 1e3)
    assert conn["mmagic"] == pytest.approx(case.value("mmagic.conn"))
    assert conn["gca"] == pytest.approx(case.value("gca.conn.masked"))
    assert conn["mmagic"] > 1.1 * conn["adobe_masked"] > 1.3 * conn["gca"]


def test_the_published_example_of_a_large_image():
    """The figures of the reference notes for 1080x1920, 22 % unknown (masked, as there)."""
    y, x = np.mgrid[0:1080, 0:1920].astype(np.float64)
    s = 0.5 + (380 + 40 * np.sin(x / 41) * np.cos(y / 37) - np.hypot(x - 900, y - 560)) / 90
    distance = np.hypot(x - 900, y - 560)
    hair = np.where((distance > 330) & (distance < 470), 0.35 * (0.5 + 0.5 * np.sin(x / 3.3 + y / 11)), 0)
    waves = 0.8 * hair * np.sin(x / 50) ** 2 + 0.03 * np.sin(x / 5) * np.cos(y / 7)
    alpha, prediction = (
        np.where(f <= 0, 0, np.where(f >= 1, 1, (np.floor(f * 4096) + 0.5) / 4096))
        for f in (s + hair, 0.95 * s + 0.02 + waves)
    )
    trimap = np.where(s > 1.1, 255, np.where(s < -0.9, 0, 128)).astype(np.uint8)
    scores = ("sad", "mse", "grad", "conn")
    table = {name: score_image(prediction, alpha, trimap, name, scores) for name in PROTOCOLS}
    masked = table["adobe_masked"]
    assert masked["sad"] == pytest.approx(24.8293, rel=1e-5)
    assert masked["mse"] == pytest.approx(9.76692, rel=1e-5)
    assert masked["grad"] == pytest.approx(9.99065, rel=1e-5)
    assert masked["conn"] == pytest.approx(23.5848, rel=1e-5)
    assert table["mmagic"]["conn"] == pytest.approx(23.6637, rel=1e-5)
