"""K-means and Gaussian mixtures against formulas and scikit-learn; foreground by trimap or position."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn import cluster
from sklearn.datasets import load_sample_image
from two_colours import disc

from deepmatte.classical import GaussianMixture, KMeans, MattingWarning
from deepmatte.classical.clustering import features, foreground_clusters
from deepmatte.classical.sampling import stratified
from deepmatte.errors import InputError

BOTH = pytest.mark.parametrize("method", [KMeans, GaussianMixture])


@BOTH
@pytest.mark.parametrize("trimap_given", [True, False])
@pytest.mark.parametrize("options", [{}, {"colour": "rgb"}, {"position": 0.2}, {"output": "hard"}])
def test_two_colours_are_separated(method, trimap_given, options) -> None:
    image, trimap, alpha = disc(noise=0.02)
    found = method(clusters=2, trimap=trimap_given, **options)(image, trimap if trimap_given else None)
    assert np.array_equal(found > 0.5, alpha > 0.5)
    if "output" in options:
        assert set(np.unique(found)) == {0.0, 1.0}


def test_fuzzy_memberships_are_those_of_the_formula() -> None:
    """Distances 1 and 3: weights 1, 1/9 for m = 2 and 1, 1/3 for m = 3; on a centre, 1 and 0."""
    centres, pixels = np.array([[0.0, 0, 0], [4.0, 0, 0]]), np.array([[1.0, 0, 0], [4.0, 0, 0]])
    np.testing.assert_allclose(KMeans().memberships(centres, pixels)[0], [0.9, 0.1])
    np.testing.assert_allclose(KMeans(fuzziness=3).memberships(centres, pixels)[0], [0.75, 0.25])
    np.testing.assert_allclose(KMeans().memberships(centres, pixels)[1], [0, 1], atol=1e-12)


def test_hard_clusters_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((500, 3)).astype(np.float32)
    method = KMeans(clusters=5, seed=3)
    found = method.memberships(method.fit(pixels, 5), pixels).argmax(1)
    expected = cluster.KMeans(5, n_init=3, max_iter=100, random_state=3).fit_predict(pixels)
    assert np.array_equal(found, expected)


def test_mini_batches_are_those_of_scikit_learn_and_less_tight_than_a_sample() -> None:
    """Tightness is the inertia, the objective of K-means, over all pixels of a photograph."""
    pixels = features(load_sample_image("china.jpg")[::2, ::2] / 255, "lab", 0)
    sampled, batched = KMeans(fit_pixels=20_000), KMeans(fit_pixels=10**9, mini_batch=4096)
    centres = [method.fit(stratified(pixels, method.fit_pixels, 0), 8) for method in (sampled, batched)]
    expected = cluster.MiniBatchKMeans(
        8, batch_size=4096, n_init=3, max_iter=100, random_state=0, compute_labels=False
    ).fit(pixels)
    np.testing.assert_array_equal(centres[1], expected.cluster_centers_)
    by_sample, by_batches = (((pixels[:, None] - found) ** 2).sum(2).min(1).sum() for found in centres)
    assert by_sample < by_batches


def test_a_mixture_starts_the_same_for_a_sample_and_for_all_pixels() -> None:
    """Both reach the same maximum of the likelihood; with separate starts, means differ by 0.1 and more."""
    pixels = features(load_sample_image("china.jpg")[::5, ::5] / 255, "lab", 0)
    sampled, every = (
        GaussianMixture(fit_pixels=number).fit(pixels, 5).means_ for number in (6000, len(pixels))
    )
    np.testing.assert_allclose(sampled, every, atol=0.02)


def test_responsibilities_are_those_of_bayes() -> None:
    rng = np.random.default_rng(2)
    pixels = np.concatenate([rng.normal(0, 0.1, (200, 3)), rng.normal(1, 0.2, (100, 3))])
    method = GaussianMixture(clusters=2)
    model = method.fit(pixels, 2)
    joint = np.stack(
        [
            w * multivariate_normal(m, c).pdf(pixels)
            for w, m, c in zip(model.weights_, model.means_, model.covariances_, strict=True)
        ],
        1,
    )
    np.testing.assert_allclose(
        method.memberships(model, pixels), joint / joint.sum(1, keepdims=True), rtol=1e-9, atol=1e-12
    )


@BOTH
@pytest.mark.parametrize("number", [2, 3, 5])
def test_auto_finds_the_number_of_colours(method, number: int) -> None:
    rng = np.random.default_rng(number)
    centres = rng.permutation(np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(8, 3))[:number]
    pixels = np.repeat(centres, 100, axis=0) + rng.normal(0, 0.03, (100 * number, 3))
    assert method(clusters="auto").number_of_clusters(pixels) == number


def test_the_trimap_overrides_the_position() -> None:
    """The disc in the middle is background where the trimap says so."""
    image, trimap, alpha = disc()
    found = KMeans(clusters=2)(image, 255 - np.where(trimap == 128, 127, trimap).astype(np.uint8))
    assert np.array_equal(found > 0.5, alpha < 0.5)


def test_a_cluster_without_known_pixels_follows_the_nearest() -> None:
    labels = np.array([[0, 1, 2, 3]])
    centres = np.array([[0.0], [1.0], [0.8], [0.1]])
    trimap = np.array([[0, 255, 128, 128]], np.uint8)
    assert foreground_clusters(labels, centres, trimap).tolist() == [False, True, True, False]


def test_positions_are_fractions_of_the_longer_side() -> None:
    pixels = features(np.zeros((2, 4, 3)), "rgb", 0.5).reshape(2, 4, 5)
    np.testing.assert_allclose(pixels[1, 3, 3:], [0.5 * 1 / 4, 0.5 * 3 / 4])


def test_lab_distances_are_those_of_cie() -> None:
    """Black and white are 1 apart; pure red is L* 53.24, a* 80.09, b* 67.20."""
    black, white, red = features(np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0]]], float), "lab", 0)
    assert np.linalg.norm(white - black) == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(red, [0.5324, 0.8009, 0.6720], atol=2e-3)


@BOTH
def test_a_sample_of_the_pixels_gives_the_same_matte_and_is_reproducible(method) -> None:
    image, trimap, alpha = disc(size=64, noise=0.05)
    exact, quick = method(clusters=4), method(clusters=4, fit_pixels=500)
    assert np.array_equal(quick(image, trimap), quick(image, trimap))
    for matte in (exact(image, trimap), quick(image, trimap)):
        assert np.array_equal(matte > 0.5, alpha > 0.5)


# ---- degenerate images -------------------------------------------------------------------------------


def degenerate() -> dict[str, tuple[np.ndarray, np.ndarray, dict, str]]:
    image, trimap, _ = disc(16, softness=2, noise=0.1)
    flat = np.full((9, 9, 3), 0.3)
    thirds = np.repeat(np.array([0, 128, 255], np.uint8), 3)[None].repeat(9, 0)
    nearly = np.tile(np.eye(3), (99, 3, 1))
    nearly[0, 6] = nearly[0, 7]  # one of 297 foreground pixels has another colour than its counterpart
    return {
        "one colour": (flat, thirds, {}, "nothing to cluster"),
        "one pixel": (flat[:1, :1], np.full((1, 1), 128, np.uint8), {}, "nothing to cluster"),
        "fewer colours than clusters": (
            np.where(thirds[..., None] == 0, 0.1, 0.9) * np.ones(3),
            thirds,
            {},
            "2 distinct pixels",
        ),
        "no known foreground": (image, np.where(trimap == 255, 128, trimap), {}, "no known foreground"),
        "nothing known": (image, np.full_like(trimap, 128), {}, "no known foreground"),
        "zones of the same colours": (np.tile(np.eye(3), (9, 3, 1)), thirds, {"clusters": 3}, "same colours"),
        "zones of nearly the same colours": (
            nearly,
            thirds[:1].repeat(99, 0),
            {"clusters": 3},
            "nearly the same",
        ),
        "no cluster in the centre": (
            np.tile(np.eye(2)[:, [0, 0, 1]], (1, 1, 1)),
            thirds[:1, 2:4],
            {"clusters": 2},
            "clusters' positions",
        ),
        "no convergence": (image, trimap, {"max_iterations": 1, "clusters": 6}, "its last state"),
    }


@BOTH
@pytest.mark.parametrize("case", degenerate())
@pytest.mark.parametrize("trimap_given", [True, False])
def test_a_degenerate_image_gives_a_matte_and_a_message(method, case: str, trimap_given: bool) -> None:
    image, trimap, options, message = degenerate()[case]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        alpha = method(**options, trimap=trimap_given)(image, trimap)
    assert alpha.shape == trimap.shape
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert {item.category for item in caught} <= {MattingWarning}
    if trimap_given:
        assert message in "; ".join(str(item.message) for item in caught)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"clusters": 1}, "clusters=1"),
        ({"clusters": "many"}, "clusters=many"),
        ({"max_clusters": 1}, "max_clusters=1"),
        ({"colour": "hsv"}, "colour=hsv"),
        ({"position": -1}, "position=-1"),
        ({"output": "both"}, "output=both"),
        ({"fuzziness": 1.0}, "fuzziness=1.0"),
        ({"mini_batch": -1}, "mini_batch=-1"),
        ({"max_iterations": 0}, "max_iterations=0"),
    ],
)
def test_invalid_options_are_rejected(options: dict, key: str) -> None:
    with pytest.raises(InputError, match=f"^method=kmeans: method.{key} is invalid; expected "):
        KMeans(**options)
