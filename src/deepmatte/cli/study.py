"""Run an experiment as a study: its sweep, the methods without a network beside it, and the page that says what came out."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    """Return 1 where a job of the sweep failed or nothing can be compared; the page is written all the same where it can be."""
    options = parser().parse_intermixed_args(argv)
    from deepmatte.studies.launch import find_study, run_sweep, score_baselines, tables

    study = find_study(options.name, options.override)
    code = 0 if options.page else run_sweep(study)
    if code == 130:
        return code
    groups = [(runs, score_baselines(study, runs)) for runs in tables(study)]
    from deepmatte.studies.page import write_page

    print(f"page      {write_page(study, groups, options.out or study.file.parent)}")
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(prog="deepmatte study", description="Run an experiment and write its page, experiments/NAME.md.")
    result.add_argument("name", metavar="NAME", help="of experiments/NAME.yaml")
    result.add_argument("override", nargs="*", metavar="KEY=VALUE", help="overrides of the sweep, such as budget=full or output_root=DIR")
    result.add_argument("--page", action="store_true", help="train nothing: score the methods and write the page from what is there")
    result.add_argument("--out", type=Path, metavar="DIR", help="the folder of the page (default: that of the experiment)")
    return result
