"""Simulated sweeps with the variance components of a real one (alpha, dim, bce, laplacian x 6 seeds), as
arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepmatte.compare.inference.best import chance_to_be_best
from deepmatte.compare.inference.infer import LEVEL, Result, against, infer
from deepmatte.compare.inference.variance import Variances, variances


@dataclass(frozen=True)
class Design:
    """A sweep to simulate; standard deviations are relative to the settings' means.

    Attributes:
        unequal: standard deviation of the logarithm of the settings' own seed effects' sizes; 0 makes all
            vary alike.
        heavy: whether all effects follow Student's t with 3 degrees of freedom instead of the normal
            distribution.
        effect: by how much the last setting is worse than the others, which are equal; 1.04 is more than
            twice as bad.
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
    """Return the scores (settings, seeds, foregrounds) of one sweep; the mean of all settings is 10, but for
    the effect.
    """
    settings, seeds, foregrounds = design.settings, design.seeds, design.foregrounds
    sizes = np.exp(design.unequal * rng.standard_normal((settings, 1, 1)))
    scores = 1 + design.difficulty * (rng.gamma(1.0, 1.0, foregrounds) - 1)
    scores = (
        scores
        + design.common * draw(rng, design, (1, seeds, 1))
        + design.own * sizes * draw(rng, design, (settings, seeds, 1))
    )
    scores = scores + design.liking * draw(rng, design, (settings, 1, foregrounds))
    scores = scores + design.cell * draw(rng, design, (settings, seeds, foregrounds))
    means = np.full(settings, 10.0)
    means[-1] *= 1 + design.effect
    return means[:, None, None] * scores


def parts_of(cells: np.ndarray) -> Variances:
    """Return the variance parts of a sweep whose settings share all seeds."""
    settings, seeds, foregrounds = cells.shape
    return variances(list(cells), [range(seeds)] * settings, np.full(foregrounds, 1 / foregrounds))


def compare_with_first(cells: np.ndarray, draws: int = 2000, **options: bool) -> Result:
    """Compare all settings with the first one, as `deepmatte compare --baseline` does."""
    return infer(parts_of(cells), against(len(cells), 0), draws=draws, **options)


@dataclass(frozen=True)
class Rates:
    """Shares of simulated sweeps.

    Attributes:
        false: with a false positive among settings that are equal.
        found: in which the last setting, which differs, is found.
        covered: whose simultaneous intervals all hold the truth.
        sure: of two settings, in which one has a P(best) of 95 % or more.
    """

    false: float
    found: float
    covered: float
    sure: float


def rates(design: Design, count: int, seed: int = 0, **options: bool) -> Rates:
    """Simulate ``count`` sweeps and compare all settings with the first one."""
    rng = np.random.default_rng((seed, design.seeds, design.settings, int(100 * design.unequal)))
    truth = np.zeros(design.settings - 1)
    truth[-1] = np.log1p(design.effect)
    sums = np.zeros(4)
    for _ in range(count):
        parts = parts_of(simulate(rng, design))
        result = infer(parts, against(design.settings, 0), draws=1000, **options)
        rejected = result.adjusted < LEVEL
        sums[0] += (rejected & (truth == 0)).any()
        sums[1] += rejected[-1]
        sums[2] += ((result.low <= truth) & (truth <= result.high)).all()
        if design.settings == 2:
            sums[3] += chance_to_be_best(parts, 1, draws=1000).max() >= 0.95
    return Rates(*(sums / count))
