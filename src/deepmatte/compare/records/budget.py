"""The training budget of the compared runs in words: seeds, steps and minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deepmatte.compare.records.grouping import Setting


def budget_line(settings: Sequence[Setting]) -> str:
    """Return a sentence on the training of the settings; empty where no network was trained.

    Ranges are over the settings' means; what the records lack is left unsaid.
    """
    trained = [setting for setting in settings if not setting.deterministic]
    if not trained:
        return ""
    seeds = sorted({seed for setting in trained for seed in setting.seeds})
    parts = [f"{plural(len(trained), 'setting')}, seed{'s' * (len(seeds) != 1)} {span(seeds)}"]
    steps = [setting.mean_cost("steps") for setting in trained]
    seconds = [setting.mean_cost("seconds") for setting in trained]
    single = []
    if all(map(math.isfinite, steps)):
        single.append(f"{between([f'{value:.0f}' for value in (min(steps), max(steps))])} steps")
    if all(map(math.isfinite, seconds)):
        minutes = between([in_minutes(value) for value in (min(seconds), max(seconds))])
        single.append(f"{minutes} minute{'s' * (minutes != '1')}")
    if single:
        parts.append(f"{', '.join(single)} a run")
    if all(map(math.isfinite, seconds)):
        runs = sum(len(setting.runs) for setting in trained)
        total = sum(value * len(setting.runs) for setting, value in zip(trained, seconds, strict=True))
        parts.append(f"{plural(max(round(total / 60), 1), 'minute')} for {plural(runs, 'run')}")
    return f"Training: {'; '.join(parts)}."


def in_minutes(seconds: float) -> str:
    """Return seconds as minutes, without decimals from 10 on.

    >>> in_minutes(75), in_minutes(3600)
    ('1.2', '60')
    """
    return f"{seconds / 60:.2g}" if seconds < 600 else f"{seconds / 60:.0f}"


def plural(count: int, noun: str) -> str:
    """Return a number of things.

    >>> plural(1, "run"), plural(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def between(ends: Sequence[str]) -> str:
    """Return a range, or the one value that both ends have.

    >>> between(["1.2", "3"]), between(["2", "2"])
    ('1.2 to 3', '2')
    """
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def span(seeds: Sequence[int]) -> str:
    """Return ascending seeds, shortened where they are consecutive.

    >>> span([0, 1, 2]), span([0, 2]), span([0, 1])
    ('0 to 2', '0, 2', '0, 1')
    """
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
