"""What a comparison says of a mean and of a difference."""

from __future__ import annotations

from dataclasses import dataclass

from deepmatte.compare.inference.infer import LEVEL


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference on the metric's scale with its standard error, 95 % interval and two-sided p.

    The interval of a difference is simultaneous over the family and holds at the second setting's mean: it is
    that of the ratio of both, times that mean. ``p`` is of the comparison alone; that of a mean is NaN.
    ``generalises`` is False where the variance between seeds is unknown (one seed): the interval then holds
    for these trained networks, not for their settings, and ``p`` is NaN.
    """

    mean: float
    error: float
    df: float
    low: float
    high: float
    p: float
    generalises: bool


@dataclass(frozen=True)
class Score:
    """A setting's mean; ``sd`` is between seeds (NaN with one), ``chance`` that of being the best."""

    setting: str
    rank: int
    estimate: Estimate
    sd: float
    seeds: int
    chance: float


@dataclass(frozen=True)
class Statement:
    """A simultaneous interval in per cent of the second setting's mean, and the adjusted p."""

    low: float
    high: float
    p_adjusted: float


@dataclass(frozen=True)
class Difference:
    """``first`` minus ``second`` on the same images.

    Attributes:
        estimate: the difference for new foregrounds, on the metric's scale.
        percent, percent_low, percent_high: the same in per cent of the second setting's mean.
        p_adjusted: for new foregrounds, adjusted over the metric's comparisons; below `LEVEL` exactly where
            the interval leaves out 0.
        on_test_set: the statement on these foregrounds, where only the seeds are random.
        equal_within: the smallest x for which two one-sided tests over the family show that both are equal
            within x per cent.
        p_wilcoxon: a check that takes the trained networks as given.
        wins: the share of images on which ``first`` is better (ties count half).
        effect: Cohen's d over foregrounds with its interval.
        detectable: the difference in per cent that a repetition of the sweep finds with a probability of 80
            %.
        pairs_of_seeds: the number of seeds that both have.
    """

    first: str
    second: str
    estimate: Estimate
    percent: float
    percent_low: float
    percent_high: float
    p_adjusted: float
    on_test_set: Statement
    equal_within: float
    p_wilcoxon: float
    wins: float
    effect: tuple[float, float, float]
    detectable: float
    pairs_of_seeds: int

    @property
    def distinguishable(self) -> bool:
        """Whether the adjusted test rejects equality for new foregrounds; never with one seed."""
        return self.p_adjusted < LEVEL

    def equal(self, percent: float) -> bool:
        """Whether both are shown to be equal within ``percent``."""
        return self.equal_within <= percent
