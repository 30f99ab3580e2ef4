"""Compare the runs of a sweep, or tables of scores: which setting is better, by how much, how sure."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.compare.comparison import Comparison
    from deepmatte.compare.evaluations import SeveralSets


def main(argv: list[str]) -> int:
    """Compare settings; return 0 if two could be compared, 1 if only one was there.

    InputError if the input can't be used.
    """
    arguments = parser()
    options = arguments.parse_args(argv)
    if options.wandb is not None and options.out is None:
        arguments.error("--wandb logs what --out writes: give --out DIR, too")
    if bool(options.runs) == bool(options.csv):
        arguments.error("give either runs or --csv with tables of scores")
    if options.on and options.csv:
        arguments.error("--on names evaluations of runs; --csv has no runs")
    from rich.console import Console  # imports wait until the options are known to be right

    from deepmatte.compare.evaluations import SeveralSets, print_several, several_records
    from deepmatte.compare.record import as_record
    from deepmatte.compare.table import print_comparison

    found = compared(options)
    comparison = found.over_all if isinstance(found, SeveralSets) else found
    if options.json:
        record = several_records(found) if isinstance(found, SeveralSets) else as_record(found)
        print(json.dumps(record, indent=2, allow_nan=False))
    elif isinstance(found, SeveralSets):
        print_several(found, Console())
    else:
        print_comparison(found, Console())
    if options.out is not None:
        for name, each in found.sets.items() if isinstance(found, SeveralSets) else ():
            report(each, options.out / name)
        report(comparison, options.out, options.wandb)
    return 0 if len(comparison.settings) > 1 else 1


def report(comparison: Comparison, folder: Path, project: str | None = None) -> None:
    """Write the page and its files to ``folder``, log them to a W&B project if given, and say where."""
    from deepmatte.reports.report import PAGE, write_report

    drawings = write_report(comparison, folder)
    print(f"page: {folder / PAGE}", file=sys.stderr)
    if project is not None:
        from deepmatte.reports.online import log_comparison

        run = log_comparison(comparison, drawings, folder, project)
        print(f"W&B run: {run}", file=sys.stderr)


def compared(options: argparse.Namespace) -> Comparison | SeveralSets:
    """Return the comparison of the runs, of their evaluations, or of the tables, that the options name."""
    from deepmatte.compare.comparison import compare, compare_settings
    from deepmatte.compare.evaluations import compare_evaluations
    from deepmatte.compare.records.csv_scores import read_score_files
    from deepmatte.compare.records.remote import local_paths

    ways = {"screening": options.screening, "equal_within": options.equal_within}
    if options.csv:
        return compare_settings(read_score_files(options.csv), options.metric, options.baseline, **ways)
    paths = local_paths(options.runs)
    if options.on:
        return compare_evaluations(paths, options.on, options.metric, options.baseline, **ways)
    return compare(paths, options.metric, options.baseline, **ways)


def percentage(text: str) -> float:
    """Return a percentage above 0, written with or without its sign.

    >>> percentage("5%"), percentage("2.5")
    (5.0, 2.5)
    """
    value = float(text.strip().removesuffix("%"))
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f"{text} is no percentage above 0")
    return value


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte compare", description="Compare the finished runs of a sweep, or tables of scores."
    )
    runs = (
        "run directories, the sweep directory that holds them, wandb:ENTITY/PROJECT/GROUP, or "
        "mlflow:URI/EXPERIMENT"
    )
    result.add_argument("runs", nargs="*", metavar="RUN", help=runs)
    tables = (
        "compare tables of scores instead, one setting a file (NAME.seed0.csv: a seed of NAME): columns "
        "image and metrics, as per_image.csv or what `deepmatte score --csv` or `--json` writes"
    )
    result.add_argument("--csv", nargs="+", type=Path, default=[], metavar="FILE", help=tables)
    evaluations = (
        "compare the runs by their evaluations of this name (RUN/evaluations/NAME, as `deepmatte evaluate "
        "SWEEP data=…` writes them); given several times: a verdict for each, and one over all"
    )
    result.add_argument("--on", action="append", default=[], metavar="NAME", help=evaluations)
    result.add_argument(
        "--metric", default="sad", help="the primary metric, which alone decides (default: sad)"
    )
    result.add_argument(
        "--baseline", metavar="SETTING", help="compare every setting with this one instead of every pair"
    )
    screening = (
        "control the false discovery rate (one find in twenty may be chance) instead of the chance of any "
        "false find: to sift many settings"
    )
    result.add_argument("--screening", action="store_true", help=screening)
    margin = "settings that differ by less count as equal (default: 3)"
    result.add_argument("--equal-within", type=percentage, default=3.0, metavar="PERCENT", help=margin)
    result.add_argument(
        "--out", type=Path, metavar="DIR", help="write one HTML page, Markdown, CSV, JSON and PNG there"
    )
    result.add_argument(
        "--wandb", metavar="PROJECT", help="log what --out writes to a summary run of this W&B project"
    )
    result.add_argument("--json", action="store_true", help="print everything as JSON, for programs")
    return result
