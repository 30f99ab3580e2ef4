import numpy as np
import pytest
import torch
from reference_cases import CASES, reference

import deepmatte.metrics as metrics
from deepmatte.batch import example_batch
from deepmatte.errors import InputError
from deepmatte.metrics import MattingMetrics, score_image


def tensors(name, kind="u8"):
    """Return prediction, alpha and trimap of a case as batches of one."""
    suffix = "_u8" if kind == "u8" else ""
    a = CASES[name].arrays
    return tuple(
        torch.from_numpy(a[key])[None, None] for key in ("pred" + suffix, "alpha" + suffix, "trimap")
    )


def test_images_of_different_sizes_are_averaged_and_kept_by_index():
    metric = MattingMetrics()
    for index, name in ((7, "P01"), (2, "P05"), (4, "P14")):
        metric.update(*tensors(name), torch.tensor([index]))
    expected = {index: score_image(*tensors(name)) for index, name in ((2, "P05"), (4, "P14"), (7, "P01"))}
    assert metric.per_image() == [{"index": index, **scores} for index, scores in expected.items()]
    for name, value in metric.compute().items():
        assert float(value) == pytest.approx(
            np.mean([scores[name] for scores in expected.values()]), rel=1e-14
        )
    assert metric.num_images == 3


def test_published_values_come_out_of_the_class_too():
    metric = MattingMetrics(scores=("sad", "grad", "conn"))
    names = [name for name in CASES if name != "P09"]
    for name in names:
        metric.update(*tensors(name))
    for score, unit in (("sad", 1), ("grad", 1e-3), ("conn", 1e-3)):
        published = unit * np.mean([CASES[name].value(f"dim_matlab.{score}.raw_unknown") for name in names])
        assert float(metric.compute()[score]) == pytest.approx(published, rel=2e-6)


def test_an_image_that_a_sampler_repeats_counts_once():
    batch = example_batch(3)
    once, repeated = MattingMetrics(), MattingMetrics()
    once.update(0.8 * batch["alpha"], batch["alpha"], batch["trimap"], batch["index"])
    repeated.update(0.8 * batch["alpha"], batch["alpha"], batch["trimap"], batch["index"])
    repeated.update(0.8 * batch["alpha"][:1], batch["alpha"][:1], batch["trimap"][:1], batch["index"][:1])
    assert repeated.compute() == once.compute()
    assert repeated.per_image() == once.per_image()


def test_images_without_an_index_all_count():
    batch = example_batch(1)
    metric = MattingMetrics()
    metric.update(0.5 * batch["alpha"], batch["alpha"], batch["trimap"])
    metric.update(batch["alpha"], batch["alpha"], batch["trimap"])
    assert metric.num_images == 0
    assert float(metric.compute()["sad"]) == pytest.approx(
        score_image(0.5 * batch["alpha"], batch["alpha"], batch["trimap"])["sad"] / 2
    )
    assert metric.num_images == 2


def test_images_without_unknown_pixels_count_with_no_error_and_are_reported():
    metric = MattingMetrics()
    metric.update(*tensors("P09"), torch.tensor([0]))
    metric.update(*tensors("P01"), torch.tensor([1]))
    assert float(metric.compute()["mse"]) == pytest.approx(
        1000 * CASES["P01"].value("dim_matlab.mse.raw_unknown") / 2, rel=2e-6
    )
    assert metric.num_images_without_unknown == 1


def test_reset_forgets_everything():
    metric = MattingMetrics()
    metric.update(*tensors("P01"), torch.tensor([0]))
    metric.compute()
    metric.reset()
    assert (metric.num_images, metric.num_images_without_unknown) == (0, 0)
    metric.update(*tensors("P08"), torch.tensor([0]))
    assert float(metric.compute()["sad"]) == 0


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_no_image_at_all_is_an_error_and_no_nan():
    with pytest.raises(InputError, match="has seen no images"):
        MattingMetrics().compute()


def test_a_nan_prediction_is_refused_by_the_image_s_index():
    batch = example_batch(2)
    prediction = batch["alpha"].clone()
    prediction[1, 0, 3, 3] = torch.nan
    with pytest.raises(InputError, match="image with index 9: prediction has NaN or infinite values"):
        MattingMetrics().update(prediction, batch["alpha"], batch["trimap"], torch.tensor([5, 9]))
    with pytest.raises(InputError, match="image 1 of the batch: prediction"):
        MattingMetrics().update(prediction, batch["alpha"], batch["trimap"])


def test_a_misspelt_score_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="'sda' is unknown: choose among sad, mse, mad, grad, conn, miou"):
        MattingMetrics(scores=["sda"])


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("SumOfAbsoluteDifferences", "sad"),
        ("MeanSquaredError", "mse"),
        ("MeanAbsoluteDifference", "mad"),
        ("GradientError", "grad"),
        ("Connectivity", "conn"),
        ("MeanIoU", "miou"),
    ],
)
def test_each_score_has_a_class_of_its_own(name, score):
    metric = getattr(metrics, name)(protocol="adobe_masked")
    for case in ("P03", "P14"):
        metric.update(*tensors(case, "float"))
    expected = [
        score_image(*tensors(case, "float"), "adobe_masked", (score,))[score] for case in ("P03", "P14")
    ]
    assert float(metric.compute()) == pytest.approx(np.mean(expected), rel=1e-14)


def test_dtssd_equals_published_values_per_clip():
    values = []
    metric, unknown = metrics.DTSSD(), metrics.DTSSD("adobe")
    for name in ("P01", "P02"):
        a, case = CASES[name].arrays, CASES[name]
        clips = [
            torch.from_numpy(np.stack([a[f"{key}_prev_u8"], a[f"{key}_u8"]]))[:, None]
            for key in ("pred", "alpha")
        ]
        trimap = torch.from_numpy(np.stack([a["trimap"]] * 2))[:, None]
        metric.update(*clips)
        unknown.update(*clips, trimap)
        values.append([case.value(f"canonical_f64.dtssd.{region}") for region in ("whole", "unknown")])
        one = metrics.DTSSD()
        one.update(*clips)
        assert float(one.compute()) == pytest.approx(case.value("rvm.dtssd.u8"), rel=1e-5)
        tcvom = case.value("tcvom.dtssd.u8") / np.sqrt(
            (a["trimap"] == 128).sum()
        )  # it sums where others average
        assert tcvom == pytest.approx(values[-1][1], rel=1e-5)
    assert float(metric.compute()) == pytest.approx(100 * np.mean([row[0] for row in values]), rel=1e-9)
    assert float(unknown.compute()) == pytest.approx(100 * np.mean([row[1] for row in values]), rel=1e-9)


def test_the_coherence_loss_of_the_reference_is_the_square_of_dtssd():
    """RVM's training term: 5 x the mean squared difference of changes over 2 frames; the first has none."""
    terms = [term["value"] for term in reference()["video"] if term["id"] == "rvm.pha_coherence"]
    for name, term in zip(("P01", "P02"), terms, strict=True):
        a = CASES[name].arrays
        clips = (np.stack([a[f"{key}_prev_u8"], a[f"{key}_u8"]]) for key in ("pred", "alpha"))
        assert 5 * (metrics.functional.dtssd(*clips) / 100) ** 2 == pytest.approx(term, rel=1e-9)


def test_a_clip_needs_two_frames_of_one_size():
    frame = np.zeros((1, 4, 4))
    with pytest.raises(InputError, match="at least 2"):
        metrics.functional.dtssd(frame, frame)
    with pytest.raises(InputError, match="at least 2"):
        metrics.functional.dtssd(np.zeros((3, 4, 4)), np.zeros((2, 4, 4)))
    with pytest.raises(InputError, match="differ in size"):
        metrics.functional.dtssd([np.zeros((4, 4)), np.zeros((4, 5))], [np.zeros((4, 4)), np.zeros((4, 5))])


def test_foreground_error_counts_visible_pixels_only():
    a = CASES["P01"].arrays
    truth, alpha = torch.from_numpy(a["fg"]).permute(2, 0, 1)[None], torch.from_numpy(a["alpha"])[None, None]
    prediction = torch.where(
        alpha > 0.5 / 255, truth.round(decimals=2), 1 - truth
    )  # far off where nothing shows
    metric = metrics.ForegroundError()
    metric.update(prediction, truth, alpha)
    rounded = [np.rint(255 * colours.numpy()[0]) / 255 for colours in (prediction, truth)]
    difference = (rounded[0] - rounded[1])[:, a["alpha_u8"] > 0]
    assert float(metric.compute()["foreground_mse"]) == pytest.approx(1000 * (difference**2).mean(), rel=1e-9)
    assert float(metric.compute()["foreground_mad"]) == pytest.approx(
        1000 * np.abs(difference).mean(), rel=1e-9
    )


def test_foregrounds_of_another_size_are_refused():
    with pytest.raises(InputError, match="predicted foreground has shape"):
        metrics.functional.foreground_mse(np.zeros((3, 4, 5)), np.zeros((3, 4, 4)), np.zeros((4, 4)))
    with pytest.raises(InputError, match=r"give one colour image \(3, H, W\)"):
        metrics.functional.foreground_mse(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.zeros((4, 4)))


def test_the_foreground_error_of_the_unknown_zone_is_that_of_the_published_code():
    """BGMv2's benchmark.m, written anew: products with alpha > 0, a mean over unknown pixels by channel."""
    generator = np.random.default_rng(0)
    prediction, truth = generator.integers(0, 256, (2, 3, 12, 16), dtype=np.uint8)
    alpha = generator.integers(0, 3, (12, 16), dtype=np.uint8) * 100
    trimap = generator.choice(np.array([0, 128, 255], np.uint8), (12, 16))
    shown, zone = (alpha > 0).astype(float), (trimap == 128).astype(float)
    errors = (prediction * shown - truth * shown) / 255
    squares = (errors**2 * zone).sum((1, 2)) / zone.sum()
    sizes = (np.abs(errors) * zone).sum((1, 2)) / zone.sum()
    images = prediction, truth, alpha
    assert metrics.functional.foreground_mse(*images, trimap) == pytest.approx(
        1000 * squares.mean(), rel=1e-9
    )
    assert metrics.functional.foreground_mad(*images, trimap) == pytest.approx(1000 * sizes.mean(), rel=1e-9)
    metric = metrics.ForegroundError(unknown=True)
    batch = [torch.from_numpy(image)[None] for image in (prediction, truth, alpha[None])]
    metric.update(*batch, index=torch.tensor([7]), trimap=torch.from_numpy(trimap)[None, None])
    [row] = metric.per_image()
    assert row["index"] == 7
    assert row["foreground_mse_unknown"] == pytest.approx(1000 * squares.mean(), rel=1e-9)
    assert row["foreground_mse"] == metrics.functional.foreground_mse(*images)
    with pytest.raises(InputError, match=r"^trimap is missing: the foreground error of the unknown zone"):
        metric.update(*batch)


def test_an_image_without_unknown_pixels_has_no_foreground_error():
    colours, zone = np.full((3, 2, 2), 0.5), np.zeros((2, 2), np.uint8)
    assert metrics.functional.foreground_mse(colours, 0 * colours, np.ones((2, 2)), zone) == 0
