"""Simulated sweeps with the variance components of a real one (alpha, dim, bce, laplacian x 6 seeds), as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepmatte.compare.inference import Result, against, infer
from deepmatte.compare.variance import Variances, variances


@dataclass(frozen=True)
class Design:
    """A sweep to simulate; standard deviations are relative to the settings' means.

    Attributes:
        unequal: standard deviation of the logarithm of the settings' own seed effects' sizes; 0 makes all vary alike.
        heavy: whether all effects follow Student's t with 3 degrees of freedom instead of the normal distribution.
        effect: by how much the last setting is worse than the others, which are equal; 1.04 is more than twice as bad.
    """

    seeds: int
    settings: int
    foregrounds: int = 32
    unequal: float = 0.0
    heavy: bool = False
    effect: float = 0.0
    common: float = 0.09
    own: float = 0.045
    liking: float = 0.06
    cell: float = 0.13
    difficulty: float = 0.9

    @property
    def null(self) -> Design:
        """The same where no setting differs."""
        return replace(self, effect=0.0)


def draw(rng: np.random.Generator, design: Design, shape: Sequence[int]) -> np.ndarray:
    """Return numbers of unit variance."""
    if design.heavy:
        return rng.standard_t(3, shape) / np.sqrt(3)
    return rng.standard_normal(shape)


def simulate(rng: np.random.Generator, design: Design) -> np.ndarray:
    """Return the scores (settings, seeds, foregrounds) of one sweep; the mean of all settings is 10, but for the effect."""
    settings, seeds, foregrounds = design.settings, design.seeds, design.foregrounds
    sizes = np.exp(design.unequal * rng.standard_normal((settings, 1, 1)))
    scores = 1 + design.difficulty * (rng.gamma(1.0, 1.0, foregrounds) - 1)
    scores = scores + design.common * draw(rng, design, (1, seeds, 1)) + design.own * sizes * draw(rng, design, (settings, seeds, 1))
    scores = scores + design.liking * draw(rng, design, (settings, 1, foregrounds))
    scores = scores + design.cell * draw(rng, design, (settings, seeds, foregrounds))
    means = np.full(settings, 10.0)
    means[-1] *= 1 + design.effect
    return means[:, None, None] * scores


def parts_of(cells: np.ndarray) -> Variances:
    """Return the variance parts of a sweep whose settings share all seeds and whose foregrounds weigh alike."""
    settings, seeds, foregrounds = cells.shape
    return variances(list(cells), [range(seeds)] * settings, np.full(foregrounds, 1 / foregrounds))


def compare_with_first(cells: np.ndarray, draws: int = 2000, **options: bool) -> Result:
    """Compare all settings with the first one, as `deepmatte compare --baseline` does."""
    return infer(parts_of(cells), against(len(cells), 0), draws=draws, **options)
