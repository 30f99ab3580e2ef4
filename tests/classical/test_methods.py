"""What all methods share, GrabCut, and pymatting's solvers."""

from __future__ import annotations

import itertools
import os
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf
from two_colours import disc

from deepmatte.classical import (
    KNN,
    METHODS,
    Blend,
    ClosedForm,
    FastClosedForm,
    FastInformationFlow,
    FastKNN,
    GrabCut,
    InformationFlow,
    KMeans,
    LearningBased,
    MattingWarning,
    RandomWalk,
    Trivial,
)
from deepmatte.classical.method import ClassicalMethod, colour_overlap, downscale
from deepmatte.config.places import conf_dir
from deepmatte.data.sources.images import read_alpha, read_image, read_trimap
from deepmatte.errors import InputError
from deepmatte.metrics import score_image
from deepmatte.ops.zones import impose_trimap

SOLVERS = (
    *(ClosedForm, FastClosedForm, KNN, FastKNN, LearningBased, RandomWalk),
    *(InformationFlow, FastInformationFlow),
)


# ---- shared behaviour --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Red(ClassicalMethod):
    """Alpha is the red channel; images above 100 pixels are too large."""

    name: ClassVar[str] = "red"
    max_megapixels: ClassVar[float] = 1e-4

    def solve(self, image, trimap):
        assert image.shape[:2] == trimap.shape
        assert trimap.size <= 100
        return image[..., 0]


def test_large_images_are_solved_smaller_with_a_warning() -> None:
    """A ramp survives shrinking and enlarging, except for the outermost pixels."""
    ramp = np.linspace(0, 1, 40)[None].repeat(20, 0)
    image, trimap = ramp[..., None].repeat(3, 2), np.full(ramp.shape, 128, np.uint8)
    with pytest.warns(MattingWarning, match="solved at 14x7"):
        alpha = Red()(image, trimap)
    np.testing.assert_allclose(alpha[:, 3:-3], ramp[:, 3:-3], atol=0.01)


def test_a_trimap_without_unknown_pixels_is_the_matte() -> None:
    trimap = np.array([[0, 255]], np.uint8)
    for method in METHODS.values():
        assert method(np.zeros((1, 2, 3)), trimap).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("image", "trimap", "message"),
    [
        (np.zeros((4, 4)), np.full((4, 4), 128, np.uint8), r"\(height, width, 3\)"),
        (np.zeros((4, 4, 3)), np.full((4, 5), 128, np.uint8), "5x4, its image 4x4"),
        (np.zeros((4, 4, 3)), np.full((4, 4), 100, np.uint8), "values other than 0, 128 and 255; convert"),
        (
            np.zeros((4, 4, 3)),
            np.full((4, 4, 3), 128, np.uint8),
            r"shape \(4, 4, 3\); expected \(height, width\)",
        ),
        (np.zeros((4, 4, 3)), None, "needs a trimap"),
        (
            np.zeros((4, 4, 3), np.uint8),
            np.full((4, 4), 128, np.uint8),
            "image is uint8; .* divide 8-bit values by 255",
        ),
        (np.full((4, 4, 3), 1.5), np.full((4, 4), 128, np.uint8), "from 1.5 to 1.5; expected"),
        (
            np.where(np.eye(4)[..., None] == 1, np.nan, np.ones(3)),
            np.full((4, 4), 128, np.uint8),
            "from nan to nan",
        ),
        (np.full((4, 4, 3), -np.inf), np.full((4, 4), 128, np.uint8), "from -inf to -inf"),
    ],
)
@pytest.mark.parametrize("name", METHODS)
def test_invalid_input_is_rejected_in_one_line(name: str, image, trimap, message: str) -> None:
    with pytest.raises(InputError, match=f"^method={name}: .*{message}") as error:
        METHODS[name](image, trimap)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", [KMeans(trimap=False), GrabCut(trimap=False)])
def test_invalid_images_are_rejected_without_a_trimap_too(method) -> None:
    for image in (np.zeros((4, 4)), np.full((4, 4, 3), np.nan), np.full((4, 4, 3), 255.0)):
        with pytest.raises(InputError, match=f"^method={method.name}: the image has "):
            method(image)


def thirds(size: int = 9) -> np.ndarray:
    """Background, unknown and foreground side by side."""
    return np.repeat(np.array([0, 128, 255], np.uint8), size // 3)[None].repeat(size, 0)


@pytest.mark.parametrize("case", ["one colour", "the same colours in both zones"])
@pytest.mark.parametrize(
    "method", [GrabCut(), *(pytest.param(solver(), marks=pytest.mark.slow) for solver in SOLVERS)], ids=str
)
def test_a_trimap_that_contradicts_the_image_is_reported(method, case: str) -> None:
    image = (
        np.full((24, 24, 3), 0.4)
        if case == "one colour"
        else np.tile(np.random.default_rng(0).random((24, 8, 3)), (1, 3, 1))
    )
    with pytest.warns(MattingWarning, match="known foreground and background have the same colours"):
        alpha = impose_trimap(method(image, thirds(24)), thirds(24))
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_colour_overlap_is_that_counted_by_hand() -> None:
    """Dark pixels: two of three in the background, one of two in the foreground; overlap min(2/3, 1/2)."""
    row = np.array([0.1, 0.1, 0.5, 0.9, 0.1])[None, :, None].repeat(3, 2)
    assert colour_overlap(row, np.array([[0, 0, 0, 255, 255]], np.uint8)) == pytest.approx(1 / 2)
    assert colour_overlap(row, np.array([[0, 0, 0, 128, 128]], np.uint8)) == 0


@pytest.mark.parametrize("name", METHODS)
def test_the_configuration_states_the_defaults(name: str) -> None:
    config = OmegaConf.to_container(OmegaConf.load(conf_dir() / "method" / f"{name}.yaml"))
    target = config.pop("_target_").rpartition(".")[2]
    assert target == type(METHODS[name]).__name__
    assert list(config) == [field.name for field in fields(METHODS[name])] or set(config) == {
        f.name for f in fields(METHODS[name])
    }
    assert type(METHODS[name])(**config) == METHODS[name]


# ---- GrabCut -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trimap_given", [True, False])
def test_grabcut_cuts_between_two_colours(trimap_given: bool) -> None:
    image, trimap, alpha = disc(noise=0.02)
    found = GrabCut(trimap=trimap_given)(image, trimap)
    assert np.array_equal(found, alpha)


@pytest.mark.parametrize(
    ("image", "trimap"),
    [
        (np.zeros((1, 1, 3)), np.full((1, 1), 128, np.uint8)),
        (np.random.default_rng(0).random((9, 9, 3)), np.full((9, 9), 128, np.uint8)),
        (
            np.random.default_rng(0).random((9, 9, 3)),
            np.pad(np.full((7, 7), 128, np.uint8), 1, constant_values=255),
        ),
    ],
)
def test_grabcut_without_background_gives_the_trivial_matte(image, trimap) -> None:
    with pytest.warns(MattingWarning, match="too few pixels"):
        assert np.array_equal(GrabCut()(image, trimap), Trivial()(image, trimap))


def test_grabcut_without_foreground_warns() -> None:
    for method, image in (
        (GrabCut(trimap=False), np.full((24, 24, 3), 0.4)),
        (GrabCut(), np.random.default_rng(0).random((24, 24, 3))),
    ):
        with pytest.warns(MattingWarning, match="found no foreground"):
            assert not method(image, np.where(thirds(24) == 255, 128, thirds(24)).astype(np.uint8)).any()


# ---- pymatting's solvers -----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("known", [0, 255])
def test_without_one_of_the_zones_a_solver_gives_the_trivial_matte(solver, known: int) -> None:
    trimap = np.array([[known, 128]], np.uint8)
    with pytest.warns(MattingWarning, match="no known foreground or no known background"):
        assert solver()(np.zeros((1, 2, 3)), trimap).tolist() == [[known / 255, 0.5]]


@pytest.mark.slow
@pytest.mark.parametrize("solver", [ClosedForm, LearningBased])
def test_a_blend_of_two_colours_is_separated(solver) -> None:
    """If all colours lie on one line, alpha is linear in them, as both methods assume."""
    image, trimap, alpha = disc(softness=6)
    np.testing.assert_allclose(solver()(image, trimap), alpha, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (3, 3), (1, 40), (12, 12)])
def test_tiny_and_flat_images_give_a_matte(solver, shape: tuple[int, int]) -> None:
    trimap = np.full(shape, 128, np.uint8)
    trimap[0, 0], trimap[-1, -1] = 0, 255
    trimap[0, shape[1] // 2] = 128
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        alpha = solver()(np.full((*shape, 3), 0.4), trimap)
    assert alpha.shape == shape
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert {item.category for item in caught} == {MattingWarning}  # each is degenerate in some way


@pytest.mark.parametrize("solver", [ClosedForm, FastClosedForm, LearningBased, InformationFlow])
def test_an_image_smaller_than_a_window_gives_the_trivial_matte(solver) -> None:
    """Without a window there is no equation: pymatting would return 0, or 0 / 0."""
    image, trimap = np.random.default_rng(0).random((2, 6, 3)), thirds(6)[:2]
    with pytest.warns(MattingWarning, match="smaller than the windows of .*, 3 pixels"):
        assert np.array_equal(solver()(image, trimap), Trivial()(image, trimap))


@pytest.mark.slow
def test_a_blend_is_the_mean_of_its_methods() -> None:
    image, trimap, _ = disc(softness=6, noise=0.05)
    found = Blend(methods=["closed_form", "random_walk"])(image, trimap)
    parts = [impose_trimap(method(image, trimap), trimap) for method in (ClosedForm(), RandomWalk())]
    np.testing.assert_allclose(found, (parts[0] + parts[1]) / 2, atol=1e-12)
    assert np.abs(parts[0] - parts[1]).max() > 0.01


@pytest.mark.parametrize("methods", ["knn", ["knn"], ["knn", "knn"], ["knn", "kmeans"], []])
def test_a_blend_of_fewer_than_two_methods_is_refused(methods) -> None:
    with pytest.raises(
        InputError, match=r"^method=blend: method\.methods=.*expected two or more of closed_form"
    ):
        Blend(methods=methods)


@pytest.mark.slow
def test_the_fast_method_is_closer_than_the_enlarged_matte_of_half_the_size() -> None:
    """In such an image alpha is linear in the colours, which is all that the filter assumes."""
    image, trimap, alpha = disc(size=96, softness=6)
    half = ClosedForm()(*downscale(image, trimap, (48, 48)))
    enlarged = impose_trimap(cv2.resize(half, (96, 96), interpolation=cv2.INTER_LINEAR), trimap)
    fast = impose_trimap(FastClosedForm()(image, trimap), trimap)
    assert np.abs(fast - alpha).mean() < 0.1 * np.abs(enlarged - alpha).mean()


@dataclass(frozen=True)
class OfSmallPictures(ClosedForm):
    """Closed form for 48 x 48 pixels at most."""

    max_megapixels: ClassVar[float] = 48 * 48 / 1e6


@pytest.mark.slow
def test_a_picture_above_the_limit_is_enlarged_by_its_colours() -> None:
    """In such an image alpha is linear in the colours: more is not lost than by the grid."""
    image, trimap, alpha = disc(size=96, softness=6)
    half = ClosedForm()(*downscale(image, trimap, (48, 48)))
    enlarged = impose_trimap(cv2.resize(half, (96, 96), interpolation=cv2.INTER_LINEAR), trimap)
    with pytest.warns(MattingWarning, match="solved at 48x48 and enlarged"):
        found = impose_trimap(OfSmallPictures()(image, trimap), trimap)
    assert np.abs(found - alpha).mean() < 0.1 * np.abs(enlarged - alpha).mean()


@pytest.mark.slow
def test_the_fast_method_is_closed_form_where_half_the_size_has_no_known_zone() -> None:
    """A line of known foreground one pixel wide is no longer known at half the size."""
    image, trimap, _ = disc(softness=6, noise=0.02)
    trimap[trimap == 255] = 128
    trimap[23] = np.where(trimap[23] == 128, 255, trimap[23])
    assert np.array_equal(FastClosedForm()(image, trimap), ClosedForm()(image, trimap))


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0333, 0.1])
def test_sigma_weighs_the_steps_of_a_random_walk(sigma: float) -> None:
    """Oracle: the graph's Laplacian as a dense matrix, solved for the unknown pixels."""
    image, size = 0.05 * np.random.default_rng(0).random((6, 6, 3)), 6
    trimap = np.full((size, size), 128, np.uint8)
    trimap[0, 0], trimap[-1, -1] = 0, 255
    colours, (y, x) = image.reshape(-1, 3), np.mgrid[:size, :size]
    weights = np.zeros((size**2, size**2))
    for down, right in itertools.product((-1, 0, 1), repeat=2):  # steps across the border end at it
        ends = (np.clip(y + down, 0, size - 1) * size + np.clip(x + right, 0, size - 1)).ravel()
        np.add.at(
            weights, (np.arange(size**2), ends), np.exp(-((colours - colours[ends]) ** 2).sum(1) / sigma**2)
        )
    laplacian, unknown = np.diag(weights.sum(1)) - weights, trimap.ravel() == 128
    alpha = (trimap.ravel() == 255).astype(float)
    alpha[unknown] = np.linalg.solve(
        laplacian[np.ix_(unknown, unknown)], -laplacian[np.ix_(unknown, ~unknown)] @ alpha[~unknown]
    )
    found = RandomWalk(sigma=sigma)(image, trimap).ravel()
    np.testing.assert_allclose(found, alpha, atol=2e-3)


@pytest.mark.slow
def test_conjugate_gradients_that_do_not_converge_are_reported() -> None:
    image, trimap, _ = disc(noise=0.1)
    with pytest.warns(MattingWarning, match="no solution"):
        assert np.array_equal(KNN(max_iterations=1)(image, trimap), Trivial()(image, trimap))


ROOT = os.environ.get("DEEPMATTE_REAL_DATA")
PUBLISHED = {
    (ClosedForm, "tight"): (5.077, 18.541, 7.719, 4.651),
    (ClosedForm, "loose"): (6.553, 16.774, 9.185, 5.890),
    (KNN, "tight"): (5.101, 12.200, 4.440, 4.572),
    (KNN, "loose"): (7.194, 12.938, 6.425, 6.211),
    (LearningBased, "tight"): (4.919, 17.661, 7.232, 4.488),
    (LearningBased, "loose"): (6.103, 15.034, 7.434, 5.432),
}
"""SAD, MSE, Grad and Conn of 13 photographs, computed by other programs from pymatting's mattes."""


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="DEEPMATTE_REAL_DATA is not set to a folder of photographs")
@pytest.mark.parametrize(("solver", "kind"), PUBLISHED)
def test_photographs_score_as_known(solver, kind: str) -> None:
    folder, rows = Path(str(ROOT)) / "alphamatting", []
    for file in sorted((folder / "alpha").iterdir()):
        image = read_image(next((folder / "image").glob(f"{file.stem}.*"))) / 255
        trimap = read_trimap(folder / f"trimap_{kind}" / file.name)
        alpha = impose_trimap(solver()(image, trimap), trimap)
        rows.append(
            list(
                score_image(alpha, read_alpha(file), trimap, "adobe", ("sad", "mse", "grad", "conn")).values()
            )
        )
    assert len(rows) == 13
    assert np.mean(rows, axis=0) == pytest.approx(PUBLISHED[solver, kind], rel=0.01)


def test_labels_distinguish_options() -> None:
    assert KMeans(clusters="auto", position=0.5).label == "kmeans clusters=auto position=0.5"
    assert KNN(neighbours=[20, 10]).label == "knn"
    assert GrabCut(trimap=False).label == "grabcut trimap-free"
