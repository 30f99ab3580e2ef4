"""Scenes of several objects: visible alphas, label maps, scores and the page's section, computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepmatte.compare.records.reading import Run
from deepmatte.data.composing.trimaps import TrimapRecipe
from deepmatte.errors import InputError
from deepmatte.metrics.functional.instances import score_scene
from deepmatte.ops.compositing import composite
from deepmatte.ops.layers import class_map, instance_map, layered, visible_alphas
from deepmatte.studies.instances import InstanceScenes, Scene, digest
from deepmatte.studies.scene_page import picture, section, summary
from deepmatte.studies.scenes import (
    MERGED,
    TRUTH,
    Contender,
    _each,
    _method,
    _score,
    best_of,
    merged,
    read_scores,
)

RECIPE = TrimapRecipe("kernels", (1, 5), (1, 5)).middle()


class Discs:
    """Discs of one colour each, six of class round and two of class dot; the last touches a side."""

    def __init__(self) -> None:
        self.names = [f"disc_{number}" for number in range(9)]

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[:96, :96]
        centre = 20 if index == 8 else 48
        alpha = np.clip(255 * (40 - np.hypot(x - centre, y - 48)) / 6, 0, 255).astype(np.uint8)
        return np.full((96, 96, 3), 25 * (index + 1), np.uint8), alpha

    def category(self, index: int) -> str:
        return "dot" if index in (6, 7) else "round"


class Greys:
    """Backgrounds of one grey each."""

    def __init__(self) -> None:
        self.names = ["dark", "light"]

    def __len__(self) -> int:
        return 2

    def load(self, index: int) -> np.ndarray:
        return np.full((50, 70, 3), (10, 240)[index], np.uint8)


def scenes(seed: int = 0, instances: int = 3) -> InstanceScenes:
    return InstanceScenes(Discs(), Greys(), RECIPE, size=96, instances=instances, seed=seed)


def test_layers_look_like_one_composite_after_the_other() -> None:
    rng = np.random.default_rng(0)
    alphas, colours, background = rng.random((3, 4, 5)), rng.random((3, 4, 5, 3)), rng.random((4, 5, 3))
    expected = background
    for alpha, colour in reversed(
        list(zip(alphas, colours, strict=True))
    ):  # the last object is painted first
        expected = composite(colour, expected, alpha[..., None])
    np.testing.assert_allclose(layered(colours, visible_alphas(alphas), background), expected, atol=1e-12)


def test_two_thirds_of_a_class_outweigh_the_background_that_outweighs_each() -> None:
    visible = np.array([0.3, 0.3, 0.0]).reshape(3, 1, 1)
    assert instance_map(visible).item() == 0
    assert class_map(visible, [2, 2, 1]).item() == 2


def test_objects_that_claim_a_pixel_twice_leave_nothing_to_the_background() -> None:
    assert instance_map(np.array([0.45, 0.6]).reshape(2, 1, 1)).item() == 2


def test_scores_of_a_scene_are_those_done_by_hand() -> None:
    """Four pixels: background, objects 1 and 2 (class a), 3 (class b); object 2's pixel goes to object 1."""
    true = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)[:, None]
    predicted = np.array([[0, 1, 0.8, 0], [0, 0, 0.2, 0], [0, 0, 0, 0.6]])[:, None]
    scores = score_scene(predicted, true, np.full((3, 1, 4), 128, np.uint8), [1, 1, 2], 2, protocol="whole")
    assert scores.confusion.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]  # by class nothing is wrong
    assert scores.iou.tolist() == [0.5, 0.0, 1.0]
    assert scores.sad.tolist() == pytest.approx([0.8e-3, 0.8e-3, 0.4e-3])
    assert (scores.objects, scores.strayed) == (3, 1)


def test_what_does_not_fit_together_is_refused() -> None:
    alphas, trimaps = np.zeros((2, 3, 3)), np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(InputError, match="make them equal"):
        score_scene(alphas, alphas, trimaps, [1], 1)
    with pytest.raises(InputError, match="give each of them one"):
        class_map(alphas, [0, 1])
    with pytest.raises(InputError, match="need two foregrounds of one class"):
        InstanceScenes(_Only(Discs(), 1), Greys(), RECIPE)


class _Only:
    """The first items of a set."""

    def __init__(self, items: Discs, count: int) -> None:
        self.items, self.names = items, items.names[:count]

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.items.load(index)

    def category(self, index: int) -> str:
        return self.items.category(index)


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return [scenes().scene(index) for index in range(6)]


def test_scenes_are_a_function_of_seed_and_index(drawn: list[Scene]) -> None:
    assert digest([scenes().scene(index) for index in range(6)]) == digest(drawn)
    assert digest([scenes(seed=1).scene(index) for index in range(6)]) != digest(drawn)


def test_two_objects_of_one_class_touch_and_each_is_seen(drawn: list[Scene]) -> None:
    for scene in drawn:
        labels = instance_map(scene.alphas)
        twins = [number + 1 for number, kind in enumerate(scene.kinds) if scene.kinds.count(kind) == 2]
        assert len(twins) == 2
        steps = [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()]),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()]),
        ]
        corners = [
            np.stack([labels[:-1, :-1].ravel(), labels[1:, 1:].ravel()]),
            np.stack([labels[1:, :-1].ravel(), labels[:-1, 1:].ravel()]),
        ]
        assert any((np.sort(pairs, 0) == np.array(twins)[:, None]).all(0).any() for pairs in steps + corners)
        assert np.bincount(labels.ravel(), minlength=4)[1:].min() >= 0.01 * labels.size
        assert "disc_8" not in scene.names  # the side of its picture cuts it
        assert scene.alphas.sum(0).max() <= 1 + 1e-6


def test_where_an_object_is_opaque_the_picture_has_its_colour(drawn: list[Scene]) -> None:
    for scene in drawn:
        for name, alpha, trimap in zip(scene.names, scene.alphas, scene.trimaps, strict=True):
            assert set(scene.image[alpha == 1].ravel()) <= {25 * (int(name[-1]) + 1)}
            assert (alpha[trimap == 255] == 1).all()
            assert (alpha[trimap == 0] == 0).all()


def test_the_class_map_alone_is_right_by_class_and_wrong_by_object(
    drawn: list[Scene], tmp_path: Path
) -> None:
    records = {}
    for label, predict in (
        (TRUTH, lambda scene: scene.alphas),
        (MERGED, merged),
        ("half", lambda scene: scene.alphas / 2),
    ):
        kind = "network" if label == "half" else "truth"
        _score(Contender(label, label, lambda predict=predict: predict, kind), drawn, tmp_path / label)
        records[label] = summary(read_scores(tmp_path / label) or {})
    assert records[TRUTH] == {
        "semantic": 1.0,
        "instance": 1.0,
        "same": 1.0,
        "alone": 1.0,
        "strayed": 0.0,
        "sad": 0.0,
    }
    assert records[MERGED]["semantic"] == 1.0
    assert (
        records[MERGED]["alone"] > 0.99
    )  # two soft edges of a class may outweigh a third one's where each did not
    # One of the two gets all, the other nothing: 0 and a / (a + b) with a >= b.
    assert 0.25 <= records[MERGED]["same"] <= 0.5
    text = section([tmp_path / label for label in records])
    assert "6 images with 18 objects of the test set in 2 classes (dot, round)" in text
    assert "| half | " in text
    assert text.index("| half |") < text.index(f"| {MERGED} |")
    assert len(picture([tmp_path / label for label in records]).axes) == 6 * 3


def test_known_zones_hold_whatever_a_network_says(drawn: list[Scene]) -> None:
    alphas = _each(lambda image, trimap: np.full(trimap.shape, 0.3))(drawn[0])
    expected = np.select([drawn[0].trimaps == 0, drawn[0].trimaps == 255], [0.0, 1.0], 0.3)
    np.testing.assert_array_equal(alphas, expected)


def test_a_method_mattes_each_object_by_its_trimap(drawn: list[Scene]) -> None:
    contender = _method("method=trivial")
    assert contender.label == "trivial"
    expected = np.select([drawn[0].trimaps == 0, drawn[0].trimaps == 255], [0.0, 1.0], 0.5)
    np.testing.assert_array_equal(contender.prepare()(drawn[0]), expected)


def test_the_best_run_has_the_largest_miou_and_the_least_sad() -> None:
    runs = [
        Run(Path(name), {"scores": {"val/sad": sad, "val/miou": miou}}, pd.DataFrame())
        for name, sad, miou in (("a", 1, 0.3), ("b", 2, 0.9))
    ]
    assert [best_of(runs, metric).path.name for metric in ("sad", "miou")] == ["a", "b"]
