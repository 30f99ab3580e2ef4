"""Stratified sampling: colour shares in closed form, moments against a simple random sample."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from deepmatte.classical.clustering import features
from deepmatte.classical.sampling import stratified


def test_every_colour_is_drawn_in_its_share() -> None:
    """Each colour is one run on the curve, so it shares at most two strata with others."""
    rng = np.random.default_rng(0)
    colours = rng.random((5, 3)).astype(np.float32)
    shares = np.array([0.5, 0.3, 0.15, 0.049, 0.001])
    pixels = rng.permutation(np.repeat(colours, (shares * 20_000).astype(int), axis=0))
    drawn = stratified(pixels, 1000, seed=1)
    counts = [(drawn == colour).all(1).sum() for colour in colours]
    assert sum(counts) == 1000
    np.testing.assert_array_less(np.abs(counts - 1000 * shares), 2)


def test_no_pixel_is_drawn_twice_and_a_small_image_is_returned_whole() -> None:
    pixels = np.random.default_rng(0).random((999, 5))
    drawn = stratified(pixels, 500, seed=2)
    assert len(np.unique(drawn, axis=0)) == len(drawn) == 500
    assert stratified(pixels, 999, seed=2) is pixels


@pytest.mark.parametrize("position", [0.0, 0.5])
def test_moments_are_closer_than_those_of_a_simple_random_sample(position: float) -> None:
    """RMS errors of first and second moments over ten seeds are below half of sigma / sqrt(n)."""
    pixels = features(load_sample_image("china.jpg")[::3, ::3] / 255, "lab", position).astype(np.float64)
    moments = np.hstack([pixels, np.square(pixels)])
    by_chance = moments.std(0) / np.sqrt(2000)
    errors = []
    for seed in range(10):
        drawn = stratified(pixels, 2000, seed)
        errors.append(np.hstack([drawn, np.square(drawn)]).mean(0) - moments.mean(0))
    assert (np.sqrt(np.square(errors).mean(0)) / by_chance).max() < 1 / 2
