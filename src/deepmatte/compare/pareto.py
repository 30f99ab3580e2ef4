"""Which settings are worth their cost: those that no other beats in everything at once."""

from __future__ import annotations

import numpy as np

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.score_table import Floats
from deepmatte.metrics.names import higher_is_better

COSTS = ("seconds", "peak_memory_mb")
"""Keys of ``cost`` in ``result.json`` that a front is drawn against, beside the other metrics."""


def axes(comparison: Comparison) -> dict[str, Floats]:
    """Return what can be traded against the main metric, as (settings,) means by name, all known."""
    found = {
        name: metric.table.means() for name, metric in comparison.metrics.items() if name != comparison.main
    }
    found |= {key: np.array([setting.mean_cost(key) for setting in comparison.settings]) for key in COSTS}
    return {name: values for name, values in found.items() if not np.isnan(values).any()}


def front(*names_and_values: tuple[str, Floats]) -> list[int]:
    """Return the settings (numbers) that no other equals or beats in every value and beats in one.

    >>> front(("sad", np.array([1.0, 2.0, 3.0])), ("seconds", np.array([9.0, 5.0, 6.0])))
    [0, 1]
    """
    table = np.stack(
        [-values if higher_is_better(name) else values for name, values in names_and_values], axis=1
    )
    beaten = [bool(np.any((table <= row).all(axis=1) & (table < row).any(axis=1))) for row in table]
    return [number for number, is_beaten in enumerate(beaten) if not is_beaten]
