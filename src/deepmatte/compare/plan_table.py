"""A plan in the terminal, and what a pilot sweep says for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from deepmatte.compare.comparison import compare
from deepmatte.compare.inference.planning import Components, Option, components_of
from deepmatte.errors import InputError


@dataclass(frozen=True)
class Pilot:
    """What a finished sweep says for a plan; ``minutes`` are those of one training, NaN where unknown."""

    components: Components
    settings: int
    foregrounds: int
    minutes: float


def read_pilot(path: Path, metric: str) -> Pilot:
    """Return the pilot of a sweep directory; InputError where its variances are unknown."""
    comparison = compare([path], metric)
    found = components_of(comparison.decisive.variances)
    if found is None:
        raise InputError(
            f"{path}: its variances between seeds are unknown; give a pilot of 2 settings x 2 seeds or more"
        )
    trained = [setting for setting in comparison.settings if not setting.deterministic]
    minutes = float(np.mean([setting.mean_cost("seconds") for setting in trained])) / 60
    return Pilot(found, len(trained), comparison.decisive.table.num_foregrounds, minutes)


def plan_table(designs: Sequence[Option], detect: float, settings: int) -> Table:
    """Return the designs, seeds by foregrounds; those that detect the wanted difference are bold."""
    title = f"{settings} settings: difference found with 80 % power"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("seeds", justify="right")
    columns = sorted({item.foregrounds for item in designs})
    for count in columns:
        table.add_column(f"{count} foregrounds", justify="right")
    table.add_column("minutes", justify="right")
    for seeds in sorted({item.seeds for item in designs}):
        row = {item.foregrounds: item for item in designs if item.seeds == seeds}
        cells = [
            f"[bold]{text(row[count].percent)}[/bold]"
            if row[count].percent <= detect
            else text(row[count].percent)
            for count in columns
        ]
        minutes = row[columns[0]].minutes
        table.add_row(str(seeds), *cells, f"{minutes:.0f}" if math.isfinite(minutes) else "-")
    return table


def components_line(found: Components, source: str) -> str:
    """Say what the plan reckons with."""
    return (
        f"Standard deviations of {source}, relative to the mean: common seed {found.common:.1%}, "
        f"own seed {found.own:.1%}, setting x foreground {found.setting_by_foreground:.1%}, "
        f"cell {found.cell:.1%}."
    )


def text(value: float) -> str:
    """Return a detectable difference.

    >>> text(4.321), text(float("inf"))
    ('4.3 %', 'none')
    """
    return f"{value:.1f} %" if math.isfinite(value) else "none"
