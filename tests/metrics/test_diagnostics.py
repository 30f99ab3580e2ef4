import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from reference_cases import CASES
from scipy import ndimage
from sklearn.calibration import calibration_curve

from deepmatte.metrics import MattingDiagnostics, score_image
from deepmatte.metrics.diagnostics import diagnostics_figure, robustness_figure
from deepmatte.metrics.functional import calibration_error, diagnose, widen_unknown
from deepmatte.metrics.functional.diagnostics import border_distance, unknown_width
from deepmatte.metrics.functional.inputs import prepare

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def images(case):
    return tuple(case.arrays[name] for name in ("pred_u8", "alpha_u8", "trimap"))


@every_case
@pytest.mark.parametrize("name", ["alpha", "border", "width"])
def test_the_parts_of_the_error_add_up_to_sad(case, name):
    table = diagnose(*images(case))[name]
    assert sum(table.columns().values()) == pytest.approx(score_image(*images(case))["sad"], rel=1e-12)
    assert table.num_pixels.sum() == (case.arrays["trimap"] == 128).sum()


def test_error_by_alpha_equals_a_histogram():
    prediction, alpha, trimap = images(CASES["P05"])
    unknown = trimap == 128
    table = diagnose(prediction, alpha, trimap)["alpha"]
    # In integers, so that values on an edge (0.2 = 51 / 255) have one right side.
    bins = np.minimum(alpha[unknown].astype(int) * 20 // 255, 19)
    error = np.abs(prediction[unknown].astype(float) - alpha[unknown]) / 255
    assert table.num_pixels.tolist() == np.bincount(bins, minlength=20).tolist()
    assert np.allclose(table.error, np.bincount(bins, error, minlength=20), rtol=1e-12)


def test_border_distance_equals_scipy():
    for name in ("P01", "P03", "P04", "P11"):
        pair = prepare(*images(CASES[name]))
        assert np.allclose(border_distance(pair), ndimage.distance_transform_edt(pair.unknown), atol=1e-4)


@pytest.mark.parametrize("width", [1, 4, 9, 30])
def test_a_straight_band_of_n_unknown_pixels_has_width_n(width):
    trimap = np.zeros((12, 60), np.uint8)
    trimap[:, 10:] = 255
    trimap[:, 10 : 10 + width] = 128
    measured = unknown_width(prepare(trimap, trimap, trimap))
    assert np.allclose(measured[:, 10 : 10 + width], width, atol=1e-4)


def test_without_foreground_or_known_pixels_distances_are_infinite_and_fall_into_the_last_bin():
    trimap = np.full((8, 8), 128, np.uint8)
    tables = diagnose(np.full((8, 8), 0.5), np.zeros((8, 8)), trimap)
    assert tables["border"].num_pixels.tolist() == [0, 0, 0, 0, 0, 64]
    assert tables["width"].num_pixels.tolist() == [0, 0, 0, 0, 0, 64]


def test_reliability_equals_scikit_learn():
    prediction, alpha, trimap = images(CASES["P05"])
    hard = np.where(alpha >= 128, 255, 0).astype(np.uint8)  # scikit-learn knows binary truths only
    table = diagnose(prediction, hard, trimap)["predicted"]
    unknown = trimap == 128
    # Nudged off the edges: scikit-learn closes its bins on the right.
    values = np.clip(prediction[unknown] / 255 + 1e-6, 0, 1)
    true, predicted = calibration_curve(hard[unknown] > 0, values, n_bins=10)
    assert np.allclose(table.mean("true"), true, atol=1e-9)
    assert np.allclose(table.mean("predicted"), predicted, atol=2e-6)


def test_calibration_error_of_a_constant_bias_is_the_bias():
    truth = np.linspace(0, 0.8, 400).reshape(20, 20)
    trimap = np.full((20, 20), 128, np.uint8)
    assert calibration_error(diagnose(truth + 0.15, truth, trimap, "float")["predicted"]) == pytest.approx(
        0.15, rel=1e-9
    )
    assert calibration_error(diagnose(truth, truth, trimap, "float")["predicted"]) == 0


def test_tables_of_images_add_up_to_that_of_the_dataset():
    metric = MattingDiagnostics()
    for index, name in ((3, "P01"), (1, "P05"), (3, "P01")):
        metric.update(
            *(torch.from_numpy(image)[None, None] for image in images(CASES[name])), torch.tensor([index])
        )
    one, two = diagnose(*images(CASES["P05"])), diagnose(*images(CASES["P01"]))
    for name, table in metric.compute().items():
        joined = one[name] + two[name]
        for field in ("num_pixels", "error", "predicted", "true"):
            assert np.allclose(getattr(table, field), getattr(joined, field), rtol=1e-14)
    first, second = metric.per_image()
    assert (first["index"], second["index"]) == (1, 3)
    assert first["sad_width_0_8"] == pytest.approx(one["width"].columns()["sad_width_0_8"])


def test_figure_has_a_curve_for_each_run_in_each_panel():
    tables = diagnose(*images(CASES["P05"]))
    figure = diagnostics_figure({"alpha": tables, "alpha + dice": tables})
    assert isinstance(figure, Figure)
    assert [len(axis.lines) for axis in figure.axes] == [2, 2, 2, 3]  # the last has its diagonal, too
    assert figure.axes[0].get_legend_handles_labels()[1] == ["alpha", "alpha + dice"]


@pytest.mark.parametrize("radius", [0, 1, 2.5, 13])
def test_widening_makes_all_pixels_within_the_radius_unknown(radius):
    trimap = CASES["P03"].arrays["trimap"]
    distance = ndimage.distance_transform_edt(trimap != 128)
    assert np.array_equal(widen_unknown(trimap, radius), np.where(distance <= radius, 128, trimap))


def test_a_trimap_without_unknown_pixels_stays_as_it_is():
    trimap = CASES["P09"].arrays["trimap"]
    assert np.array_equal(widen_unknown(trimap, 20), trimap)


def test_widening_costs_a_method_only_what_it_gets_wrong_in_the_widened_zone():
    alpha, trimap = CASES["P10"].arrays["alpha"], CASES["P10"].arrays["trimap"]
    wrong_inside = np.where(trimap == 128, 0.5, alpha)
    trivial, steady = [], []
    for radius in (0, 3, 8):
        wide = widen_unknown(trimap, radius)
        row = {"radius": radius, **score_image(np.where(wide == 128, 0.5, wide / 255), alpha, wide)}
        # Every unknown pixel of a hard matte is wrong by one half (128 or 127 levels of 255).
        assert row["sad"] == pytest.approx((wide == 128).sum() / 2000, rel=0.005)
        trivial.append(row)
        steady.append({"radius": radius, **score_image(wrong_inside, alpha, wide)})
    assert [row["sad"] for row in steady] == pytest.approx(
        [score_image(wrong_inside, alpha, trimap)["sad"]] * 3
    )
    assert trivial[0]["sad"] < trivial[1]["sad"] < trivial[2]["sad"]
    curve = robustness_figure({"trivial": trivial, "steady": steady}).axes[0].lines[0]
    assert np.array_equal(curve.get_xydata(), [(row["radius"], row["sad"]) for row in trivial])
