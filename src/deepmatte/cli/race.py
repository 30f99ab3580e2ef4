"""Race the settings of an experiment: seeds in rounds, and no more of them for what can't be the best."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepmatte.cli.compare import percentage
from deepmatte.errors import InputError


def main(argv: list[str]) -> int:
    """Run or resume a race; a sweep that is refused or stopped ends it with its exit code."""
    options = parser().parse_intermixed_args(argv)
    if options.hours is None and options.detect is None:
        raise InputError("when does the race end? give --hours, --detect, or both")
    if options.hours is not None and not options.hours > 0:
        raise InputError(f"--hours {options.hours:g}: give a number above 0")
    if options.first < 2 or options.step < 1 or options.most < options.first:
        raise InputError(
            f"--first {options.first} --step {options.step} --most {options.most}: the first round needs 2 "
            "seeds or more, each later one 1 or more, and --most at least those of the first"
        )
    from deepmatte.compare.racing import Plan  # imported once the options are valid
    from deepmatte.studies.publish import publish
    from deepmatte.studies.race import Limits, run_race
    from deepmatte.studies.study import find_study

    study = find_study(options.name, options.override)
    margin = options.equal_within
    plan = Plan(
        options.first,
        options.step,
        options.most,
        float(study.options["equal_within"] if margin is None else margin),
    )
    metric = options.metric or str(study.options["metric"])
    code = run_race(study, plan, Limits(options.hours, options.detect), metric)
    if not code:
        publish(study, options.out)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte race",
        description="Run an experiment's settings in rounds of seeds. After each round, settings that are "
        "shown not to be the best are dropped; the chance that any of the best is dropped is 5 % at most "
        "over all rounds. The race ends when one setting is left, when the others are shown to be equal, or "
        "at --hours or --detect, with the experiment's page. The same command resumes it.",
        epilog="example: deepmatte race loss_combinations --hours 8 --detect 5% budget=laptop",
    )
    result.add_argument("name", metavar="EXPERIMENT", help="the experiment of experiments/EXPERIMENT.yaml")
    result.add_argument(
        "override", nargs="*", metavar="KEY=VALUE", help="overrides of the sweep, such as budget=full"
    )
    hours = (
        "start no round that would exceed these hours of training, by the measured cost of the runs so far; "
        "the first round always runs"
    )
    result.add_argument("--hours", type=float, metavar="H", help=hours)
    detect = "end once the seeds so far detect this difference between those left, with 80 %% power"
    result.add_argument("--detect", type=percentage, metavar="PERCENT", help=detect)
    result.add_argument(
        "--first", type=int, default=2, metavar="N", help="seeds of the first round (default: 2)"
    )
    result.add_argument("--step", type=int, default=2, metavar="N", help="seeds a further round (default: 2)")
    result.add_argument(
        "--most", type=int, default=12, metavar="N", help="seeds of a setting in all (default: 12)"
    )
    result.add_argument("--metric", help="the primary metric (default: the experiment's)")
    margin = "settings that differ by less count as equal (default: the experiment's, or 3)"
    result.add_argument("--equal-within", type=percentage, metavar="PERCENT", help=margin)
    home = "the folder of the page (default: that of the experiment)"
    result.add_argument("--out", type=Path, metavar="DIR", help=home)
    return result
