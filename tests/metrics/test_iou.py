import numpy as np
import pytest
import torch
from reference_cases import CASES
from sklearn.metrics import confusion_matrix, jaccard_score

from deepmatte.errors import InputError
from deepmatte.metrics import LabelIoU, MatteIoU
from deepmatte.metrics.functional import iou_per_class, label_confusion, mean_iou
from deepmatte.metrics.functional.inputs import prepare
from deepmatte.metrics.functional.iou import binary_confusion, miou_of, three_class_confusion

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def flat(case, label):
    return label(case.arrays["alpha_u8"]).ravel(), label(case.arrays["pred_u8"]).ravel()


@every_case
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.6, 0.9])
def test_binary_iou_equals_scikit_learn_at_every_threshold(case, threshold):
    pair = prepare(case.arrays["pred_u8"], case.arrays["alpha_u8"], None, "whole")
    true, predicted = flat(case, lambda image: image / 255 >= threshold)
    assert np.array_equal(
        binary_confusion(pair, threshold), confusion_matrix(true, predicted, labels=[False, True])
    )
    present = np.unique(np.concatenate([true, predicted]))
    assert miou_of(pair, threshold) == pytest.approx(
        jaccard_score(true, predicted, labels=present, average="macro")
    )


@every_case
def test_three_class_iou_equals_scikit_learn(case):
    pair = prepare(case.arrays["pred_u8"], case.arrays["alpha_u8"], None, "whole")
    true, predicted = flat(case, lambda image: np.digitize(image, [1, 255]))
    confusion = three_class_confusion(pair)
    assert np.array_equal(confusion, confusion_matrix(true, predicted, labels=[0, 1, 2]))
    present = np.unique(np.concatenate([true, predicted]))
    assert mean_iou(confusion) == pytest.approx(
        jaccard_score(true, predicted, labels=present, average="macro")
    )


def test_label_map_iou_equals_scikit_learn_and_counts_images_once():
    rng = np.random.default_rng(3)
    truth, prediction = rng.integers(0, 5, (3, 20, 30)), rng.integers(0, 5, (3, 20, 30))
    truth[0, :4] = 255
    metric = LabelIoU(6, ignore=255)
    metric.update(torch.from_numpy(prediction), torch.from_numpy(truth), torch.tensor([0, 1, 2]))
    metric.update(torch.from_numpy(prediction[1:2]), torch.from_numpy(truth[1:2]), torch.tensor([1]))
    counted = truth != 255
    expected = jaccard_score(truth[counted], prediction[counted], labels=range(5), average=None)
    assert np.allclose(metric.compute()["iou"][:5], expected, rtol=1e-12)
    assert metric.compute()["iou"][5].isnan()  # the sixth class never occurs
    assert float(metric.compute()["miou"]) == pytest.approx(expected.mean())


def test_a_dataset_s_iou_comes_from_one_confusion_matrix():
    metric = MatteIoU(classes=3)
    names = ("P01", "P10", "P06")
    for index, name in enumerate(names):
        images = [
            torch.from_numpy(CASES[name].arrays[key])[None, None] for key in ("pred_u8", "alpha_u8", "trimap")
        ]
        metric.update(*images, torch.tensor([index]))
    pixels = [
        np.concatenate(part)
        for part in zip(
            *(flat(CASES[n], lambda image: np.digitize(image, [1, 255])) for n in names), strict=True
        )
    ]
    assert np.allclose(metric.compute()["iou"], jaccard_score(*pixels, average=None), rtol=1e-12)


def test_classes_that_neither_image_has_do_not_count():
    confusion = label_confusion(np.array([1, 1]), np.array([1, 1]), 3)
    assert np.isnan(iou_per_class(confusion)[[0, 2]]).all()
    assert mean_iou(confusion) == 1
    assert mean_iou(np.zeros((2, 2))) == 0


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.array([0, 3]), np.array([0, 1]), "prediction has other values than integers in 0.."),
        (np.array([0, 1]), np.array([0, -1]), "truth has other values than integers in 0.."),
        (np.array([0.0, 1.0]), np.array([0, 1]), "prediction has other values than integers in 0.."),
        (np.array([0, 1]), np.array([0, 1, 1]), "give one size"),
    ],
)
def test_labels_that_are_no_classes_are_refused(prediction, truth, message):
    with pytest.raises(InputError, match=message):
        label_confusion(prediction, truth, 3)
