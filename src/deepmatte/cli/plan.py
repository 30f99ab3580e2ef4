"""Plan a sweep: how many seeds and test foregrounds detect a wanted difference, and in how many minutes."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path

from deepmatte.cli.compare import percentage
from deepmatte.errors import InputError

SEEDS = (2, 3, 5, 8, 12, 20)
FOREGROUNDS = (32, 100, 200)


def main(argv: list[str]) -> int:
    """Print designs with what they detect, and the seeds that the wanted difference needs."""
    options = parser().parse_args(argv)
    if options.settings is not None and options.settings < 2:
        raise InputError(f"--settings {options.settings}: a comparison needs at least 2")
    from rich.console import Console  # imported once the options are valid

    from deepmatte.compare.inference import planning
    from deepmatte.compare.plan_table import components_line, plan_table, read_pilot

    pilot = read_pilot(options.pilot, options.metric) if options.pilot is not None else None
    found = planning.recorded() if pilot is None else pilot.components
    settings = options.settings or (pilot.settings if pilot else 10)
    minutes = options.minutes if options.minutes is not None else pilot.minutes if pilot else math.nan
    foregrounds = options.foregrounds or sorted({*FOREGROUNDS, *([pilot.foregrounds] if pilot else [])})
    designs = planning.options(found, settings, minutes, options.seeds or SEEDS, foregrounds)
    least = {count: planning.seeds_for(found, options.detect, count, settings) for count in foregrounds}
    if options.json:
        rows = [
            {key: value if math.isfinite(value) else None for key, value in asdict(item).items()}
            for item in designs
        ]
        record = {
            "detect": options.detect,
            "settings": settings,
            "components": asdict(found),
            "designs": rows,
        }
        print(json.dumps(record | {"fewest_seeds": least}, indent=2, allow_nan=False))
    else:
        Console().print(plan_table(designs, options.detect, settings))
        print(components_line(found, str(options.pilot or "recorded sweeps")))
        for count, seeds in least.items():
            cost = (
                f", {seeds * settings * minutes:.0f} minutes of training"
                if seeds and math.isfinite(minutes)
                else ""
            )
            words = (
                f"about {seeds} seeds{cost}"
                if seeds
                else f"more than {planning.MOST_SEEDS} seeds: take more foregrounds"
            )
            print(f"{options.detect:g} % on {count} test foregrounds: {words}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte plan",
        description="Show which designs detect a difference between settings with 80 % power.",
    )
    pilot = "a finished sweep of at least 2 settings x 2 seeds, for its variances (default: recorded ones)"
    result.add_argument("pilot", nargs="?", type=Path, metavar="SWEEP", help=pilot)
    result.add_argument(
        "--detect",
        type=percentage,
        default=5.0,
        metavar="PERCENT",
        help="the difference to detect (default: 5 %%)",
    )
    result.add_argument(
        "--settings",
        type=int,
        metavar="S",
        help="number of settings, reference included (default: the pilot's, or 10)",
    )
    result.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        metavar="R",
        help=f"rows of the table (default: {' '.join(map(str, SEEDS))})",
    )
    result.add_argument(
        "--foregrounds",
        type=int,
        nargs="+",
        metavar="F",
        help="columns of the table (default: 32 100 200 and the pilot's)",
    )
    result.add_argument(
        "--minutes", type=float, metavar="M", help="minutes of one training (default: the pilot's)"
    )
    result.add_argument("--metric", default="sad", help="the primary metric (default: sad)")
    result.add_argument("--json", action="store_true", help="print JSON, for programs")
    return result
