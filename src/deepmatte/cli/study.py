"""Run an experiment as a study: its sweep, its baselines without a network, and the page of its results."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepmatte.errors import InputError


def main(argv: list[str]) -> int:
    """Run a study; return 1 if a job of its sweep failed, in which case the page is written all the same.

    A sweep that is refused or stopped ends the study with its exit code.
    """
    options = parser().parse_intermixed_args(argv)
    from deepmatte.studies.index import write_index

    if options.name is None:
        if not options.index:
            raise InputError(
                "which experiment? name it, as in `deepmatte study losses_for_mattes`, or give --index"
            )
        if not Path("experiments").is_dir():
            raise InputError("experiments: no such folder here; change to the checkout")
        print(f"index     {write_index(Path('experiments'))}")
        return 0
    from deepmatte.studies.publish import publish
    from deepmatte.studies.study import find_study, run_sweep, unfinished

    study = find_study(options.name, options.override)
    if study.options["tune"] and not options.page:
        raise InputError(
            f"{study.name}: tunes its settings first, as races do: deepmatte race {study.name} …"
        )
    with study.active():
        code = 0 if options.page else run_sweep(study)
    if code not in (0, 1):
        return code
    if options.page and (rest := unfinished(study)):
        raise InputError(
            f"{rest}; run the others first: deepmatte study {' '.join([study.name, *study.overrides])}"
        )
    publish(study, options.out)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte study", description="Run an experiment and write its page, experiments/NAME.md."
    )
    result.add_argument("name", nargs="?", metavar="NAME", help="the experiment of experiments/NAME.yaml")
    result.add_argument(
        "override",
        nargs="*",
        metavar="KEY=VALUE",
        help="overrides of the sweep, such as budget=full or output_root=DIR",
    )
    result.add_argument(
        "--page",
        action="store_true",
        help="train nothing: score the baselines and write the page from finished runs",
    )
    result.add_argument(
        "--index",
        action="store_true",
        help="only write experiments/README.md, the index of all experiments",
    )
    result.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder of the page (default: that of the experiment)"
    )
    return result
