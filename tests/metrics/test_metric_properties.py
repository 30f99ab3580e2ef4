import numpy as np
import pytest
import textbook
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from reference_cases import CASES

from deepmatte.metrics.functional import PROTOCOLS, SCORES, score_image

ERRORS = ("sad", "mse", "mad", "grad", "conn")
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def scores_of(case, protocol="adobe", transform=lambda image: image, swap=False):
    prediction, alpha, trimap = (transform(case.arrays[name]) for name in ("pred_u8", "alpha_u8", "trimap"))
    return score_image(
        *((alpha, prediction) if swap else (prediction, alpha)), trimap, protocol, tuple(SCORES)
    )


@every_case
@pytest.mark.parametrize("protocol", ["adobe", "whole", "float", "gca"])
def test_the_truth_has_no_error(case, protocol):
    """The masked protocols too, wherever the truth agrees with its trimap; P13, P14 and others do not."""
    truth, trimap = case.arrays["alpha_u8"], case.arrays["trimap"].copy()
    trimap[(trimap == 0) & (truth > 0) | (trimap == 255) & (truth < 255)] = 128
    measured = score_image(truth, truth, trimap, protocol, tuple(SCORES))
    assert {name: measured[name] for name in ERRORS} == dict.fromkeys(ERRORS, 0.0)
    assert measured["miou"] == 1


@every_case
@pytest.mark.parametrize("protocol", ["adobe", "whole", "float"])
def test_raw_scores_do_not_tell_prediction_from_truth(case, protocol):
    assert scores_of(case, protocol, swap=True) == pytest.approx(scores_of(case, protocol), rel=1e-12)


@pytest.mark.parametrize(
    "name", [name for name in CASES if name != "P13"]
)  # P13 has two components of exactly equal size
@pytest.mark.parametrize("transform", [np.flipud, np.fliplr, np.transpose])
def test_flips_and_transposition_change_nothing(name, transform):
    case = CASES[name]
    flipped = scores_of(case, transform=lambda image: np.ascontiguousarray(transform(image)))
    assert flipped == pytest.approx(scores_of(case), rel=1e-12)


def test_at_exact_ties_of_component_size_conn_depends_on_the_orientation():
    """Matlab takes the component whose first pixel comes first by column, so mirroring changes the score."""
    case = CASES["P13"]
    assert scores_of(case)["conn"] == pytest.approx(0.0982824, rel=1e-6)
    mirrored = scores_of(case, transform=lambda image: np.ascontiguousarray(np.fliplr(image)))["conn"]
    assert mirrored == pytest.approx(case.value("canonical_f64.conn_rowtie.raw_unknown") / 1000, rel=1e-12)


@every_case
def test_differences_grow_with_a_growing_error(case):
    a = case.arrays
    mixed = [
        score_image(a["alpha"] + t * (a["pred"] - a["alpha"]), a["alpha"], a["trimap"], "float", ERRORS[:3])
        for t in (0.2, 0.5, 1)
    ]
    for name in ERRORS[:3]:
        values = [row[name] for row in mixed]
        assert values == sorted(values)
        assert values[0] < values[-1] or values[-1] == 0
    assert mixed[1]["sad"] == pytest.approx(0.5 * mixed[2]["sad"])
    assert mixed[1]["mse"] == pytest.approx(0.25 * mixed[2]["mse"])


@settings(max_examples=80, deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
def test_grad_and_conn_equal_the_textbook_on_any_8_bit_image(data, shape):
    """Few levels, the thresholds among them, so that components touch, tie and vanish."""
    values = st.sampled_from([0, 25, 26, 51, 76, 77, 102, 128, 152, 153, 154, 204, 229, 230, 254, 255])
    prediction, alpha = (data.draw(arrays(np.uint8, shape, elements=values)) for _ in range(2))
    trimap = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 128, 255])))
    measured = score_image(prediction, alpha, trimap, "adobe", ("grad", "conn"))
    assert 1000 * measured["grad"] == pytest.approx(
        textbook.grad(prediction, alpha, mask=trimap == 128), rel=1e-9, abs=1e-12
    )
    assert 1000 * measured["conn"] == pytest.approx(
        textbook.conn(prediction, alpha, mask=trimap == 128), rel=1e-9, abs=1e-12
    )


@every_case
def test_masking_is_imposing_the_trimap_before_a_raw_comparison(case):
    a = case.arrays
    imposed = np.where(a["trimap"] == 128, a["pred_u8"], a["trimap"])
    assert scores_of(case, "adobe_masked") == score_image(
        imposed, a["alpha_u8"], a["trimap"], "adobe", tuple(SCORES)
    )


def test_an_image_without_unknown_pixels_has_no_error_but_an_iou():
    case = CASES["P09"]
    for name in ("adobe", "adobe_masked", "float", "gca"):
        assert [scores_of(case, name)[score] for score in ERRORS] == [0] * 5
    assert 0 < scores_of(case)["miou"] < 1
    assert all(np.isfinite(value) for name in PROTOCOLS for value in scores_of(case, name).values())


def test_gca_truncates_where_adobe_rounds():
    prediction, alpha, trimap = np.full((5, 5), 0.9 / 255), np.zeros((5, 5)), np.full((5, 5), 128, np.uint8)
    assert score_image(prediction, alpha, trimap, "gca")["sad"] == 0
    assert score_image(prediction, alpha, trimap, "adobe")["sad"] == pytest.approx(25 / 255 / 1000)


def test_sums_of_8_bit_errors_stay_exact_beyond_31_bits():
    prediction, alpha = np.full((4500, 2500), 255, np.uint8), np.zeros((4500, 2500), np.uint8)
    measured = score_image(prediction, alpha, None, "whole", ("sad", "mse", "mad"))
    assert measured == {"sad": 11250.0, "mse": 1000.0, "mad": 1000.0}
