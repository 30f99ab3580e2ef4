"""Say in words what the numbers allow to say, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepmatte.compare.comparison import Comparison, Difference, Metric
from deepmatte.compare.statistics import FEW_SEEDS, LEVEL

CONFIDENCE = ((0.001, "very sure"), (0.01, "sure"), (LEVEL, "fairly sure"))
"""Largest corrected p of each degree of confidence; above the last, settings are not distinguishable."""

MANY = 20
"""With more pairs than this their correction costs so much that one baseline is the better question."""


@dataclass(frozen=True)
class Verdict:
    """``headline`` is the answer in one sentence, ``confidence`` its degree, ``details`` what has to be known with it."""

    headline: str
    confidence: str
    details: list[str]


def decide(comparison: Comparison) -> Verdict:
    """Return the verdict on the main metric."""
    metric = comparison.decisive
    if not metric.differences:
        return Verdict(
            f"Only one setting is finished ({metric.scores[0].setting}): there is nothing to compare it with.", "none", caveats(comparison)
        )
    if comparison.baseline is not None:
        return against_baseline(comparison, comparison.baseline)
    best = metric.scores[0].setting
    rivals = [item for item in metric.differences if best in (item.first, item.second)]
    beaten = [other(item, best) for item in rivals if item.distinguishable]
    open_ = [other(item, best) for item in rivals if not item.distinguishable]
    label = metric.name.upper()
    if comparison.fewest_seeds < 2:
        headline = f"{best} has the best {label} of these trained networks; with one seed nothing is said about the settings themselves."
        return Verdict(headline, "none", [*details(metric, best), *caveats(comparison)])
    if not open_:
        confidence = degree(max(item.p_holm for item in rivals))
        headline = f"{best} is better in {label} than {listing(beaten)}: {confidence}."
    elif not beaten:
        confidence = "not distinguishable"
        headline = f"Not distinguishable: no setting is shown to be better in {label} than {best}, nor {best} than the others."
    else:
        confidence = degree(max(item.p_holm for item in rivals if item.distinguishable))
        headline = f"{best} is better in {label} than {listing(beaten)} ({confidence}), but not distinguishable from {listing(open_)}."
    return Verdict(headline, confidence, [*details(metric, best), *caveats(comparison)])


def against_baseline(comparison: Comparison, baseline: str) -> Verdict:
    """Return the verdict where every setting was compared with one baseline."""
    metric = comparison.decisive
    shown = [item for item in metric.differences if item.distinguishable]
    better = [item.first for item in shown if metric.panel.sign * item.estimate.mean < 0]
    worse = [item.first for item in shown if metric.panel.sign * item.estimate.mean > 0]
    label = metric.name.upper()
    parts = [
        f"{listing(names)} {'is' if len(names) == 1 else 'are'} {word} than {baseline} in {label}"
        for names, word in ((better, "better"), (worse, "worse"))
        if names
    ]
    confidence = degree(max(item.p_holm for item in shown)) if shown else "none" if comparison.fewest_seeds < 2 else "not distinguishable"
    headline = (
        f"{'; '.join(parts)}: {confidence}{'' if better else '; none is shown to be better'}."
        if parts
        else f"Not distinguishable: no setting is shown to differ from {baseline} in {label}."
    )
    return Verdict(headline, confidence, [*details(metric, baseline), *caveats(comparison)])


def details(metric: Metric, reference: str) -> list[str]:
    """Return one sentence a setting on its difference from ``reference``, nearest first; at most five."""
    rivals = [item for item in metric.differences if reference in (item.first, item.second)]
    rivals.sort(key=lambda item: abs(item.estimate.mean))
    lines = [sentence(item, reference) for item in rivals[:5]]
    if len(rivals) > 5:
        lines.append(f"{len(rivals) - 5} more settings stand further off; the table of differences has them.")
    return lines


def sentence(item: Difference, reference: str) -> str:
    """Say one difference from ``reference`` in words."""
    flip = -1 if item.first == reference else 1
    low, high = sorted((flip * item.estimate.low, flip * item.estimate.high))
    text = f"{other(item, reference)} minus {reference}: {flip * item.estimate.mean:+.4g}"
    if not math.isinf(low):
        text += f", 95 % interval {low:+.4g} to {high:+.4g}"
    if not math.isnan(item.p_holm):
        text += f", p = {item.p_holm:.2g} after Holm's correction"
    if not item.distinguishable and not math.isnan(item.visible):
        text += f"; this design sees differences from {item.visible:.3g} on"
    return text + "."


def caveats(comparison: Comparison) -> list[str]:
    """Return what limits the verdict: seeds, foregrounds, runs that are missing."""
    lines = []
    seeds, foregrounds = comparison.fewest_seeds, comparison.decisive.panel.num_foregrounds
    if seeds < FEW_SEEDS:
        count = "1 seed" if seeds == 1 else f"{seeds} seeds"
        lines.append(
            f"Only {count} in the smallest setting: the variance between seeds limits what can be said; run at least {FEW_SEEDS} seeds."
        )
    metric = comparison.decisive
    if comparison.baseline is None and len(metric.differences) > MANY and not all(item.distinguishable for item in metric.differences):
        lines.append(
            f"All {len(metric.differences)} pairs are compared, which asks much of each: `--baseline SETTING` compares with one setting "
            "only and sees smaller differences; choose it before you look."
        )
    if foregrounds < 5:
        lines.append(f"Only {foregrounds} foreground{'s' * (foregrounds > 1)} in the test set: the result may not hold for others.")
    missing = len(comparison.left_out)
    if missing:
        lines.append(f"{missing} of {missing + len(comparison.runs)} runs are left out (failed, unfinished or damaged).")
    return lines


def degree(p: float) -> str:
    """Return the degree of confidence of a corrected p.

    >>> degree(0.004), degree(0.2)
    ('sure', 'not distinguishable')
    """
    return next((word for limit, word in CONFIDENCE if p < limit), "not distinguishable")


def other(item: Difference, name: str) -> str:
    """Return the setting of the pair that is not ``name``."""
    return item.second if item.first == name else item.first


def listing(names: list[str], most: int = 4) -> str:
    """Join names by commas and 'and' (by semicolons where they have commas themselves); beyond ``most`` they are counted.

    >>> listing(["a", "b", "c"]), listing(["a", "b", "c"], most=2), listing(["x=1, y=0", "x=0, y=1"])
    ('a, b and c', '3 settings', 'x=1, y=0; x=0, y=1')
    """
    if len(names) > most:
        return f"{len(names)} settings"
    if any(", " in name for name in names):
        return "; ".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
